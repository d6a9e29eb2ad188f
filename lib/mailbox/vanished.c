/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vanished.c - which messages were expunged since a modification sequence (QRESYNC, RFC 7162 section 3.2)
 *
 * The index remembers each expunged UID for as long as the mailbox has its UIDVALIDITY, so that the
 * answer is exact however long a client was away.
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
static int note_vanished(uint32_t uid, uint64_t modseq, bool expunged, void *arg)
{
    struct vanished *v = arg;

    if (!expunged || modseq > v->mb->highestmodseq || mailbox_seq(v->mb, uid) > 0)
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

int mailbox_vanished(struct mailbox *mb, uint64_t since_modseq, uint32_t **ret, size_t *ret_len)
{
    _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;
    struct vanished v = { .mb = mb };
    int r = index_begin_read(mb->account->index, &t);

    if (r == 0)
        r = index_each_change(&t, mb->folder.id, since_modseq, note_vanished, &v);
    if (r < 0) {
        uid_list_done(&v.uids);
        return account_check(mb->account, r);
    }
    if (v.uids.len > 1)
        qsort(v.uids.items, v.uids.len, sizeof *v.uids.items, by_number);
    *ret = v.uids.items;
    *ret_len = v.uids.len;
    return 0;
}
