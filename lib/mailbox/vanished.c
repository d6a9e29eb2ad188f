/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vanished.c - which messages were expunged since a modification sequence (QRESYNC, RFC 7162 section 3.2)
 *
 * The index remembers the last expunges (INDEX_EXPUNGED_MAX). A client that was away for longer hears of every
 * UID that is not there, which RFC 7162 section 3.2.5.2 allows: it may hear of messages that it never had.
 *
 * Runs in: imapd, as the mailbox owner.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "mailbox/internal.h"

struct vanished {
    const struct mailbox *mb;
    struct uid_list uids;
};

/* What is newer than the snapshot is left to the next mailbox_sync(). */
static int note_vanished(uint32_t uid, uint64_t modseq, void *arg)
{
    struct vanished *v = arg;

    if (modseq > v->mb->highestmodseq || mailbox_seq(v->mb, uid) > 0)
        return 0;
    MEM_GROW(v->uids.items, v->uids.len, v->uids.cap);
    v->uids.items[v->uids.len++] = uid;
    return 0;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* A list that grows at its end */
struct range_list {
    struct uid_range *items;
    size_t len, cap;
};

static void add_range(struct range_list *l, uint32_t first, uint32_t last)
{
    if (first > last)
        return;
    if (l->len > 0 && l->items[l->len - 1].last + 1 == first) {
        l->items[l->len - 1].last = last;
        return;
    }
    MEM_GROW(l->items, l->len, l->cap);
    l->items[l->len++] = (struct uid_range){ first, last };
}

/* Every UID that was given and is not in the snapshot */
static void all_that_are_not_there(const struct mailbox *mb, struct range_list *ret)
{
    uint32_t next = 1;

    for (uint32_t i = 0; i < mb->len; i++) {
        add_range(ret, next, mb->entries[i].uid - 1);
        next = mb->entries[i].uid + 1;
    }
    add_range(ret, next, mb->uidnext - 1);
}

/* The expunges that are remembered; 1 if older ones are not. */
static int read_expunged(struct mailbox *mb, uint64_t since_modseq, struct vanished *v)
{
    _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;
    struct index_mailbox rec;
    int r = index_begin_read(mb->account->index, &t);

    if (r == 0)
        r = index_mailbox_get(&t, mb->folder.id, &rec);
    if (r < 0)
        return r;
    if (since_modseq < rec.expunged_since)
        return 1;
    return index_each_expunged(&t, mb->folder.id, since_modseq, note_vanished, v);
}

int mailbox_vanished(struct mailbox *mb, uint64_t since_modseq, struct uid_range **ret, size_t *ret_len)
{
    struct vanished v = { .mb = mb };
    struct range_list ranges = { 0 };
    int r = read_expunged(mb, since_modseq, &v);

    if (v.uids.len > 1)
        qsort(v.uids.items, v.uids.len, sizeof *v.uids.items, by_number);
    for (size_t i = 0; i < v.uids.len; i++)
        add_range(&ranges, v.uids.items[i], v.uids.items[i]);
    uid_list_done(&v.uids);
    if (r < 0) {
        free(ranges.items);
        return account_check(mb->account, r);
    }
    if (r > 0)
        all_that_are_not_there(mb, &ranges);
    *ret = ranges.items;
    *ret_len = ranges.len;
    return 0;
}
