/* SPDX-License-Identifier: Apache-2.0 */
/*
 * note.c - what sessions have found out about messages' content, kept with the index
 *
 * Whatever is lost can be found out again. So a note waits in memory for the next write of its session, which takes it
 * along for the price of its bytes, or for the end; only many at once are written for their own sake, without a
 * flush of the last step. A note lives as long as its message's record: content never changes under a UID.
 *
 * Runs in: imapd, as the mailbox owner. Notes may come damaged from the disk.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "mailbox/internal.h"

enum { PENDING_MAX = 256 * 1024 };  /* bytes */

/* ---- those that are not written yet ---- */

/* Where that of a UID is or would be; they ascend. */
static size_t pending_place(const struct pending_notes *p, uint32_t uid)
{
    size_t low = 0, high = p->len;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (p->items[mid].uid < uid)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void pending_add(struct pending_notes *p, const struct mailbox_note *note)
{
    size_t at = pending_place(p, note->uid);

    if (at == p->len || p->items[at].uid != note->uid) {
        MEM_GROW(p->items, p->len, p->cap);
        memmove(&p->items[at + 1], &p->items[at], (p->len - at) * sizeof *p->items);
        p->items[at] = (struct mailbox_note){ note->uid, STR_INIT };
        p->len++;
    }
    p->bytes += note->bytes.len;
    str_set(&p->items[at].bytes, str_span(&note->bytes));
}

void pending_notes_done(struct pending_notes *p)
{
    for (size_t i = 0; i < p->len; i++)
        str_free(&p->items[i].bytes);
    free(p->items);
    *p = (struct pending_notes){ .items = NULL };
}

int pending_notes_put(struct mailbox *mb, struct index_txn *t)
{
    struct index_message m;
    int r = 0;

    for (size_t i = 0; i < mb->pending.len && r == 0; i++) {
        const struct mailbox_note *note = &mb->pending.items[i];

        r = index_message_get(t, mb->folder.id, note->uid, &m);
        if (r == 0)
            r = index_note_put(t, mb->folder.id, note->uid, str_span(&note->bytes));
        else if (r == -ENOENT)
            r = 0; /* expunged meanwhile */
    }
    pending_notes_done(&mb->pending);
    return r;
}

int pending_notes_write(struct mailbox *mb)
{
    _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;

    if (mb->pending.len == 0)
        return 0;
    int r = index_begin_write(mb->account->index, &t);
    if (r == 0)
        r = pending_notes_put(mb, &t);
    if (r == 0)
        r = index_commit(&t, false);
    return account_check(mb->account, r);
}

/* ---- for sessions ---- */

int mailbox_note_get(struct mailbox *mb, uint32_t seq, struct str *ret)
{
    _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;
    const uint32_t uid = mailbox_entry(mb, seq)->uid;
    const size_t at = pending_place(&mb->pending, uid);
    struct span bytes;

    if (at < mb->pending.len && mb->pending.items[at].uid == uid) {
        str_set(ret, str_span(&mb->pending.items[at].bytes));
        return 0;
    }
    int r = index_begin_read(mb->account->index, &t);
    if (r == 0)
        r = index_note_get(&t, mb->folder.id, uid, &bytes);
    if (r < 0)
        return account_check(mb->account, r);
    str_set(ret, bytes);
    return 0;
}

int mailbox_note_put(struct mailbox *mb, const struct mailbox_note *notes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        pending_add(&mb->pending, &notes[i]);
    return mb->pending.bytes > PENDING_MAX ? pending_notes_write(mb) : 0;
}
