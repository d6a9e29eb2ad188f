/* SPDX-License-Identifier: Apache-2.0 */
/*
 * subscribe.c - the file `subscriptions` of a Maildir
 *
 * Runs in: imapd, as the mailbox owner. Another program may have written the file.
 */
#include "mailbox/subscribe.h"

#include <errno.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "mailbox/internal.h"
#include "mailbox/mutf7.h"
#include "mailbox/spool.h"

#define FILE_NAME "subscriptions"
#define COURIER_NAME "courierimapsubscribed"    /* read as long as there is no file of our name */
#define FILE_MAX  (4 * 1024 * 1024)

void name_list_done(struct name_list *l)
{
    for (size_t i = 0; i < l->len; i++)
        free(l->items[i]);
    free(l->items);
    *l = (struct name_list){ 0 };
}

ptrdiff_t name_list_find(const struct name_list *l, struct span name)
{
    bool inbox = span_eq_nocase_str(name, "INBOX");

    for (size_t i = 0; i < l->len; i++)
        if (span_eq_str(name, l->items[i]) || (inbox && span_eq_nocase_str(name, l->items[i])))
            return (ptrdiff_t)i;
    return -1;
}

enum writer { DOVECOT, COURIER };   /* Courier writes UTF-8 since version 5 */

static void parse_line(struct span line, const char *separators, enum writer writer, struct name_list *ret)
{
    _cleanup_(str_free) struct str name = STR_INIT, dir = STR_INIT;

    while (line.len > 0) {
        if (name.len > 0)
            str_add_char(&name, '/');
        struct span part = span_cut_any(&line, separators);

        if (mutf7_decode(part, &name) == 0)
            continue;
        if (writer != COURIER || !utf8_valid(part))
            return;
        str_add(&name, part);
    }
    if (maildir_folder_dir(str_span(&name), &dir) < 0 || name_list_find(ret, str_span(&name)) >= 0)
        return;
    MEM_GROW(ret->items, ret->len, ret->cap);
    ret->items[ret->len++] = mem_dup_span(str_span(&name));
}

void subscriptions_parse(struct span text, struct name_list *ret)
{
    struct span rest = text;
    bool version2 = span_eq_str(span_cut(&rest, '\n'), "V\t2");

    *ret = (struct name_list){ 0 };
    if (version2)
        text = rest;
    while (text.len > 0 && ret->len < SUBSCRIPTIONS_MAX)
        parse_line(span_cut(&text, '\n'), version2 ? "\t" : "./", DOVECOT, ret);
}

void subscriptions_print(const struct name_list *l, struct str *ret)
{
    str_set(ret, span_of("V\t2\n\n"));
    for (size_t i = 0; i < l->len; i++) {
        for (struct span rest = span_of(l->items[i]); rest.len > 0;) {
            mutf7_encode(span_cut(&rest, '/'), ".", ret);
            str_add_char(ret, rest.len > 0 ? '\t' : '\n');
        }
    }
}

/* Courier's: "INBOX" and "INBOX.Sent"; mailboxes of others ("shared.") are not ours. */
void subscriptions_parse_courier(struct span text, struct name_list *ret)
{
    *ret = (struct name_list){ 0 };
    while (text.len > 0 && ret->len < SUBSCRIPTIONS_MAX) {
        struct span line = span_cut(&text, '\n'), rest = line;

        if (span_eq_str(line, "INBOX"))
            parse_line(line, ".", COURIER, ret);
        else if (span_eq_str(span_cut(&rest, '.'), "INBOX"))
            parse_line(rest, ".", COURIER, ret);
    }
}

int subscriptions_load(const char *maildir, struct name_list *ret)
{
    _cleanup_(str_free) struct str path = STR_INIT, text = STR_INIT;
    int r = read_file(maildir_path(&path, maildir, FILE_NAME, NULL), FILE_MAX, &text);

    *ret = (struct name_list){ 0 };
    if (r == 0)
        subscriptions_parse(str_span(&text), ret);
    if (r != -ENOENT)
        return r;
    r = read_file(maildir_path(&path, maildir, COURIER_NAME, NULL), FILE_MAX, &text);
    if (r == 0)
        subscriptions_parse_courier(str_span(&text), ret);
    return r == -ENOENT ? 0 : r;
}

static void change_list(struct name_list *l, struct span name, bool on)
{
    ptrdiff_t at = name_list_find(l, name);

    if (on && at < 0) {
        MEM_GROW(l->items, l->len, l->cap);
        l->items[l->len++] = span_eq_nocase_str(name, "INBOX") ? mem_strdup("INBOX") : mem_dup_span(name);
    } else if (!on && at >= 0) {
        free(l->items[at]);
        l->items[at] = l->items[--l->len];
    }
}

/* Read, change and replace the file under the writer's lock of the index, so that no session
 * loses what another has just written. */
int account_subscribe(struct account *a, struct span name, bool on)
{
    _cleanup_(index_end) struct index_txn lock = INDEX_TXN_INIT;
    _cleanup_(name_list_done) struct name_list l = { 0 };
    _cleanup_(str_free) struct str path = STR_INIT, text = STR_INIT, dir = STR_INIT;
    int r = maildir_folder_dir(name, &dir);

    if (r < 0)
        return r;
    r = index_begin_write(a->index, &lock);
    if (r == 0)
        r = subscriptions_load(a->maildir, &l);
    if (r == 0 && on && l.len >= SUBSCRIPTIONS_MAX && name_list_find(&l, name) < 0)
        return -EOVERFLOW;
    if (r < 0)
        return account_check(a, r);
    change_list(&l, name, on);
    subscriptions_print(&l, &text);
    return write_file(maildir_path(&path, a->maildir, FILE_NAME, NULL), str_span(&text));
}
