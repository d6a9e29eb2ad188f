/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync.c - bring an open mailbox's snapshot up to date, and tell what changed
 *
 * The index keeps pages of messages sorted by their last change, and expunges likewise; only what came
 * after the snapshot is looked at. An expunged message keeps its place in the snapshot until
 * the client may be told (RFC 3501 section 7.4.1).
 *
 * Runs in: imapd, pop3d, as the mailbox owner.
 */
#include "mailbox/internal.h"

#include <errno.h>

#include "base/mem.h"

/* ---- what the index says ---- */

struct change_list {
    struct mailbox *mb;
    struct uid_list changed; /* UIDs in the snapshot whose flags or modseq are different */
    uint32_t first_new;      /* number of messages before the new ones */
};

static int apply_change(const struct index_message *m, void *arg)
{
    struct change_list *l = arg;
    uint32_t seq = m->modseq > l->mb->highestmodseq ? mailbox_seq(l->mb, m->uid) : 0;

    if (seq == 0)
        return 0; /* unchanged, or a new one: read in order of UID below */
    struct mail_entry *e = &l->mb->entries[seq - 1];
    if (e->modseq == m->modseq)
        return 0;
    e->flags = m->flags;
    e->keywords = m->keywords & l->mb->keyword_mask;
    e->modseq = m->modseq;
    MEM_GROW(l->changed.items, l->changed.len, l->changed.cap);
    l->changed.items[l->changed.len++] = m->uid;
    return 0;
}

static int apply_expunge(uint32_t uid, uint64_t modseq, void *arg)
{
    struct mailbox *mb = arg;
    uint32_t seq = mailbox_seq(mb, uid);

    if (seq > 0 && !mb->entries[seq - 1].expunged) {
        if (mb->n_expunged == 0 || modseq < mb->first_untold)
            mb->first_untold = modseq;
        mb->entries[seq - 1].expunged = true;
        mb->n_expunged++;
    }
    return 0;
}

/* Our last look was so long ago that expunges have been forgotten since: whatever is not there is gone. */
static int apply_forgotten(struct mailbox *mb, struct index_txn *t)
{
    for (uint32_t i = 0; i < mb->len; i++) {
        struct index_message m;
        int r = mb->entries[i].expunged ? 0 : index_message_get(t, mb->folder.id, mb->entries[i].uid, &m);

        if (r == -ENOENT)
            r = apply_expunge(mb->entries[i].uid, mb->highestmodseq + 1, mb);
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_keywords(struct mailbox *mb, struct index_txn *t)
{
    _cleanup_(str_free) struct str names = STR_INIT;
    int r = index_keywords_get(t, mb->folder.id, &names);

    if (r < 0)
        return r;
    if (!span_eq(str_span(&names), str_span(&mb->keywords)))
        mailbox_set_keywords(mb, &names);
    return 0;
}

static int add_arrival(const struct index_message *m, void *arg)
{
    return mailbox_append_entries(m, 1, arg);
}

/* Is there nothing new but what APPEND has stored? Then a commit is saved. 1; 0: not so; -errno. */
static int read_arrivals(struct mailbox *mb)
{
    _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;
    struct index_mailbox rec;
    int r = index_begin_look(mb->account->index, &t);

    if (r == 0)
        r = index_mailbox_get(&t, mb->folder.id, &rec);
    if (r < 0)
        return r;
    if (rec.highestmodseq == mb->highestmodseq && rec.uidnext == mb->uidnext)
        return 1;
    if (!index_knows_up_to(&t, mb->folder.id, mb->uidnext, mb->highestmodseq))
        return 0;
    index_each_arrival(&t, mb->folder.id, mb->uidnext, add_arrival, mb);
    mb->highestmodseq = rec.highestmodseq;
    mb->uidnext = rec.uidnext;
    return 1;
}

static int read_changes(struct mailbox *mb, struct change_list *l)
{
    _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;
    struct index_mailbox rec;

    l->first_new = mb->len;
    int r = read_arrivals(mb);
    if (r != 0)
        return r < 0 ? r : 0;
    r = index_begin_read(mb->account->index, &t);
    if (r < 0)
        return r;
    r = index_mailbox_get(&t, mb->folder.id, &rec);
    if (r < 0)
        return r;
    r = read_keywords(mb, &t);
    if (r == 0)
        r = index_each_changed(&t, mb->folder.id, mb->highestmodseq, apply_change, l);
    if (r == 0)
        r = mb->highestmodseq < rec.expunged_since
                ? apply_forgotten(mb, &t)
                : index_each_expunged(&t, mb->folder.id, mb->highestmodseq, apply_expunge, mb);
    if (r == 0)
        r = index_each_run(&t, mb->folder.id, mb->uidnext, mailbox_append_entries, mb);
    if (r < 0)
        return r;
    mb->highestmodseq = rec.highestmodseq;
    mb->uidnext = rec.uidnext;
    return 0;
}

/* ---- what the client is told ---- */

/* From the last to the first, so that each number is valid when it is told. */
static void tell_expunges(struct mailbox *mb, const struct mailbox_changes *report)
{
    uint32_t kept = 0;

    if (mb->n_expunged == 0)
        return;
    for (uint32_t seq = mb->len; seq >= 1; seq--)
        if (mb->entries[seq - 1].expunged && report && report->expunge)
            report->expunge(seq, mb->entries[seq - 1].uid, report->arg);
    for (uint32_t i = 0; i < mb->len; i++)
        if (!mb->entries[i].expunged)
            mb->entries[kept++] = mb->entries[i];
        else
            mb->n_recent -= mb->entries[i].recent;
    mb->len = kept;
    mb->n_expunged = 0;
    mb->first_untold = 0;
}

static void tell_flags(struct mailbox *mb, const struct uid_list *changed, const struct mailbox_changes *report)
{
    if (!report || !report->flags)
        return;
    for (size_t i = 0; i < changed->len; i++) {
        uint32_t seq = mailbox_seq(mb, changed->items[i]);

        if (seq > 0 && !mb->entries[seq - 1].expunged)
            report->flags(seq, report->arg);
    }
}

static void tell_exists(struct mailbox *mb, const struct mailbox_changes *report)
{
    if (report && report->exists)
        report->exists(mb->len, mb->n_recent, report->arg);
}

int mailbox_sync(struct mailbox *mb, bool allow_expunge, const struct mailbox_changes *report)
{
    _cleanup_(uid_list_done) struct uid_list recent = { 0 };
    struct change_list l = { .mb = mb };
    int r = mb->late ? 0 : folder_refresh(mb->account, &mb->folder, !mb->read_only, false, &recent);

    if (r == 0)
        r = read_changes(mb, &l);
    if (r < 0) {
        uid_list_done(&l.changed);
        return account_check(mb->account, r);
    }
    mailbox_mark_recent(mb, &recent);
    bool more = mb->len > l.first_new;
    if (allow_expunge)
        tell_expunges(mb, report);
    tell_flags(mb, &l.changed, report);
    if (more)
        tell_exists(mb, report);
    uid_list_done(&l.changed);
    return 0;
}
