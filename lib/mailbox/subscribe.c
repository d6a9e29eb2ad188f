/* SPDX-License-Identifier: Apache-2.0 */
/*
 * subscribe.c - the file `subscriptions` of a Maildir
 *
 * Runs in: imapd, as the mailbox owner. Another program may have written the file.
 */
#include "mailbox/subscribe.h"

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "mailbox/internal.h"
#include "mailbox/mutf7.h"
#include "mailbox/spool.h"

#define FILE_NAME "subscriptions"
#define COURIER_NAME "courierimapsubscribed"    /* read as long as there is no file of our name */
#define FILE_MAX  (32 * 1024 * 1024)

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

static void add_name(struct name_list *l, struct span name)
{
    MEM_GROW(l->items, l->len, l->cap);
    l->items[l->len++] = span_eq_nocase_str(name, "INBOX") ? mem_strdup("INBOX") : mem_dup_span(name);
}

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
    if (maildir_folder_dir(str_span(&name), &dir) == 0)
        add_name(ret, str_span(&name));
}

/* ---- a name once ---- */

struct place {
    char *name;
    size_t at;      /* in the list */
};

static int by_name(const void *a, const void *b, void *arg)
{
    const struct place *x = a, *y = b;
    struct name_list *l = arg;
    int order = strcmp(x->name, y->name);

    l->compared++;
    return order != 0 ? order : x->at < y->at ? -1 : x->at > y->at;
}

/* Of each name the first stays where it is. */
static void drop_repeated(struct name_list *l)
{
    _cleanup_free_ struct place *places = mem_new_n(struct place, l->len + 1);
    size_t n = 0;

    for (size_t i = 0; i < l->len; i++)
        places[i] = (struct place){ l->items[i], i };
    if (l->len > 1)
        qsort_r(places, l->len, sizeof *places, by_name, l);
    for (size_t i = 1; i < l->len; i++)
        if (strcmp(places[i].name, places[i - 1].name) == 0)
            l->items[places[i].at] = NULL;
    for (size_t i = 0; i < l->len; i++) {
        char *name = places[i].name;

        if (l->items[places[i].at] == NULL)
            free(name);
    }
    for (size_t i = 0; i < l->len; i++)
        if (l->items[i])
            l->items[n++] = l->items[i];
    l->len = n;
}

void subscriptions_parse(struct span text, struct name_list *ret)
{
    struct span rest = text;
    bool version2 = span_eq_str(span_cut(&rest, '\n'), "V\t2");

    *ret = (struct name_list){ 0 };
    if (version2)
        text = rest;
    while (text.len > 0)
        parse_line(span_cut(&text, '\n'), version2 ? "\t" : "./", DOVECOT, ret);
    drop_repeated(ret);
}

/* Courier's: "INBOX" and "INBOX.Sent"; mailboxes of others ("shared.") are not ours. */
void subscriptions_parse_courier(struct span text, struct name_list *ret)
{
    *ret = (struct name_list){ 0 };
    while (text.len > 0) {
        struct span line = span_cut(&text, '\n'), rest = line;

        if (span_eq_str(line, "INBOX"))
            parse_line(line, ".", COURIER, ret);
        else if (span_eq_str(span_cut(&rest, '.'), "INBOX"))
            parse_line(rest, ".", COURIER, ret);
    }
    drop_repeated(ret);
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

/* Read, change and replace the file under the writer's lock of the index, so that no session
 * loses what another has just written. most: how many names there may be when one is added; -1: take it out. */
static int change(struct account *a, struct span name, int64_t most)
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
    if (r < 0)
        return account_check(a, r);

    ptrdiff_t at = name_list_find(&l, name);

    if ((at >= 0) == (most >= 0))
        return 0;
    if (at >= 0) {
        free(l.items[at]);
        l.items[at] = l.items[--l.len];
    } else if (l.len < (size_t)most) {
        add_name(&l, name);
    } else {
        return -EOVERFLOW;
    }
    subscriptions_print(&l, &text);
    return write_file(maildir_path(&path, a->maildir, FILE_NAME, NULL), str_span(&text));
}

int account_subscribe(struct account *a, struct span name, uint32_t most)
{
    return change(a, name, most);
}

int account_unsubscribe(struct account *a, struct span name)
{
    return change(a, name, -1);
}
