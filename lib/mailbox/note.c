/* SPDX-License-Identifier: Apache-2.0 */
/*
 * note.c - what sessions have found out about messages' content, kept with the index
 *
 * Written in batches and without a flush of the last step, because whatever is lost can be found
 * out again. A note lives as long as its message's record: content never changes under a UID.
 *
 * Runs in: imapd, as the mailbox owner. Notes may come damaged from the disk.
 */
#include <errno.h>

#include "mailbox/internal.h"

int mailbox_note_get(struct mailbox *mb, uint32_t seq, struct str *ret)
{
    _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;
    struct span bytes;
    int r = index_begin_read(mb->account->index, &t);

    if (r == 0)
        r = index_note_get(&t, mb->folder.id, mailbox_entry(mb, seq)->uid, &bytes);
    if (r < 0)
        return account_check(mb->account, r);
    str_set(ret, bytes);
    return 0;
}

int mailbox_note_put(struct mailbox *mb, const struct mailbox_note *notes, size_t n)
{
    _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;
    struct index_message m;
    int r = index_begin_write(mb->account->index, &t);

    for (size_t i = 0; i < n && r == 0; i++) {
        r = index_message_get(&t, mb->folder.id, notes[i].uid, &m);
        if (r == 0)
            r = index_note_put(&t, mb->folder.id, notes[i].uid, str_span(&notes[i].bytes));
        else if (r == -ENOENT)
            r = 0; /* expunged meanwhile */
    }
    if (r == 0)
        r = index_commit(&t, false);
    return account_check(mb->account, r);
}
