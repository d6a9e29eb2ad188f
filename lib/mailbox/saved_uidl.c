/* SPDX-License-Identifier: Apache-2.0 */
/*
 * saved_uidl.c - POP3 unique-ids that the server before us gave and that no format makes again
 *
 *     /3 13 1275660208                                              courierpop3dsizelist: version, next number,
 *     1276528487.M364837P9451.host,S=1355:2,S 2481 12:1275660208:0  number; name, size, number, UIDVALIDITY, UTF-8
 *
 * Version 2 lacks the last number. Courier's id is "UID12-1275660208", without the second number if that is 0, and the
 * file name if the first is 0: so old are those messages.
 *
 * Runs in: imapd, pop3d, as the mailbox owner. The files may hold anything.
 */
#include "mailbox/saved_uidl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "mailbox/internal.h"
#include "mailbox/spool.h"
#include "mailbox/takeover.h"

#define FILE_NAME    "postern-pop3-uidl"
#define COURIER_NAME "courierpop3dsizelist"
enum { FILE_MAX = 256 << 20, ID_MAX = 70 };

static bool is_good(struct span id)
{
    for (size_t i = 0; i < id.len; i++)
        if (id.ptr[i] <= ' ' || id.ptr[i] > '~')
            return false;
    return id.len > 0 && id.len <= ID_MAX;
}

static void put_line(struct str *out, struct span id, struct span base)
{
    if (is_good(id) && base.len > 0)
        str_addf(out, SPAN_FMT " " SPAN_FMT "\n", SPAN_ARG(id), SPAN_ARG(base));
}

/* "name size 12:1275660208:0"; names may hold blanks */
static void add_courier(struct span line, struct str *out)
{
    _cleanup_(str_free) struct str id = STR_INIT;
    ptrdiff_t blank = span_rchr(line, ' ');
    uint32_t number, uidvalidity;

    if (blank < 0)
        return;
    struct span numbers = span_from(line, (size_t)blank + 1), name = span_first(line, (size_t)blank);
    blank = span_rchr(name, ' ');
    if (blank < 0 || span_u32(span_cut(&numbers, ':'), UINT32_MAX, &number) < 0 ||
        span_u32(span_cut(&numbers, ':'), UINT32_MAX, &uidvalidity) < 0)
        return;
    name.len = (size_t)blank;
    struct span base = span_cut(&name, ':');
    if (number == 0)
        str_set(&id, base);
    else if (uidvalidity == 0)
        str_addf(&id, "UID%" PRIu32, number);
    else
        str_addf(&id, "UID%" PRIu32 "-%" PRIu32, number, uidvalidity);
    put_line(out, str_span(&id), base);
}

void saved_uidls_parse_courier(struct span text, struct str *ret)
{
    struct span header = span_cut(&text, '\n'), version = span_cut(&header, ' ');

    if (!span_eq_str(version, "/3") && !span_eq_str(version, "/2"))
        return;
    while (text.len > 0)
        add_courier(span_cut(&text, '\n'), ret);
}

int saved_uidls_write(const char *folder_path, const struct takeover *list)
{
    _cleanup_(str_free) struct str path = STR_INIT, courier = STR_INIT, text = STR_INIT;
    int r = read_file(maildir_path(&path, folder_path, COURIER_NAME, NULL), FILE_MAX, &courier);

    if (r < 0 && r != -ENOENT && r != -EFBIG && r != -ELOOP)
        return r;
    for (size_t i = 0; i < list->len; i++) {
        const struct takeover_message *m = &list->messages[i];

        /* An empty one is the file's name, which Dovecot need not write twice. */
        if (m->pop3_uidl.ptr)
            put_line(&text, m->pop3_uidl.len > 0 ? m->pop3_uidl : m->node.key, m->node.key);
    }
    if (r == 0)
        saved_uidls_parse_courier(str_span(&courier), &text);
    return text.len > 0 ? write_file(maildir_path(&path, folder_path, FILE_NAME, NULL), str_span(&text)) : 0;
}

static void add_line(struct saved_uidls *l, struct span line)
{
    struct saved_uidl u = { .id = span_cut(&line, ' ') };

    if (!is_good(u.id) || line.len == 0)
        return;
    u.node.key = line;
    MEM_GROW(l->items, l->len, l->cap);
    l->items[l->len++] = u;
}

int saved_uidls_load(const char *folder_path, struct saved_uidls *ret)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    int r;

    *ret = SAVED_UIDLS_INIT;
    r = read_file(maildir_path(&path, folder_path, FILE_NAME, NULL), FILE_MAX, &ret->text);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    for (struct span text = str_span(&ret->text); text.len > 0;)
        add_line(ret, span_cut(&text, '\n'));
    for (size_t i = 0; i < ret->len; i++)       /* not before: the array has moved while it grew */
        if (!hash_get(&ret->by_base, ret->items[i].node.key))
            hash_put(&ret->by_base, &ret->items[i].node);
    return 0;
}

void saved_uidls_done(struct saved_uidls *l)
{
    hash_done(&l->by_base);
    free(l->items);
    str_free(&l->text);
    *l = SAVED_UIDLS_INIT;
}

struct span saved_uidls_find(const struct saved_uidls *l, struct span base)
{
    const struct saved_uidl *found = HASH_ENTRY(hash_get(&l->by_base, base), struct saved_uidl, node);

    return found ? found->id : SPAN_NULL;
}
