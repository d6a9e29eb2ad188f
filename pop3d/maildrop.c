/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maildrop.c - the snapshot of INBOX that a POP3 client sees
 *
 * It comes from the account's index, so that UIDL is the same in every session and a large INBOX is
 * not read to be listed. No lock is held: another session may remove a message, which then
 * cannot be retrieved, but keeps its number.
 *
 * Runs in: pop3d, as the mailbox owner.
 */
#include <errno.h>

#include "base/mem.h"
#include "pop3d/pop3.h"
#include "pop3d/uidl.h"

int maildrop_open(struct maildrop *d, const char *maildir, struct str *err)
{
    int r = account_open(maildir, &d->account, err);

    if (r < 0)
        return r;
    r = mailbox_open(d->account, (struct span)SPAN("INBOX"), 0, &d->mailbox);
    if (r == 0)
        r = mailbox_measure(d->mailbox, 1, UINT32_MAX);
    if (r == 0)
        r = saved_uidls_load(maildir, &d->saved);
    if (r < 0) {
        str_addf(err, "cannot open INBOX of %s: %s", maildir, strerror(-r));
        return r;
    }
    d->count = mailbox_count(d->mailbox);
    d->deleted = mem_calloc(d->count + 1, sizeof *d->deleted);
    d->retrieved = mem_calloc(d->count + 1, sizeof *d->retrieved);
    for (uint32_t i = 1; i <= d->count; i++)
        d->size += maildrop_size(d, i);
    return 0;
}

void maildrop_done(struct maildrop *d)
{
    mailbox_close(d->mailbox);
    account_close(d->account);
    saved_uidls_done(&d->saved);
    free(d->deleted);
    free(d->retrieved);
}

bool maildrop_is_deleted(const struct maildrop *d, uint32_t number)
{
    return d->deleted[number - 1];
}

uint64_t maildrop_size(const struct maildrop *d, uint32_t number)
{
    return mailbox_entry(d->mailbox, number)->vsize;
}

void maildrop_delete(struct maildrop *d, uint32_t number)
{
    d->deleted[number - 1] = true;
    d->n_deleted++;
    d->deleted_size += maildrop_size(d, number);
}

void maildrop_reset(struct maildrop *d)
{
    memset(d->deleted, 0, d->count * sizeof *d->deleted);
    d->n_deleted = 0;
    d->deleted_size = 0;
}

void maildrop_uidl(const struct maildrop *d, uint32_t number, const char *format, struct str *ret)
{
    _cleanup_(str_free) struct str base = STR_INIT;

    if (d->saved.len > 0 || uidl_needs_file(format))
        mailbox_file_base(d->mailbox, number, &base);   /* without it uidl_make() has another way */

    struct span saved = saved_uidls_find(&d->saved, str_span(&base));

    if (saved.len > 0)
        str_set(ret, saved);
    else
        uidl_make(format, mailbox_entry(d->mailbox, number)->uid, mailbox_uidvalidity(d->mailbox), str_span(&base), ret);
}

void maildrop_retrieved(struct maildrop *d, uint32_t number)
{
    d->retrieved[number - 1] = true;
}

int maildrop_mark_seen(struct maildrop *d)
{
    _cleanup_free_ uint32_t *seqs = mem_calloc(d->count + 1, sizeof *seqs);
    size_t n = 0;

    for (uint32_t i = 1; i <= d->count; i++)
        if (d->retrieved[i - 1] && !d->deleted[i - 1] && !(mailbox_entry(d->mailbox, i)->flags & MAIL_SEEN))
            seqs[n++] = i;
    return n == 0 ? 0 : mailbox_store(d->mailbox, seqs, n, FLAGS_ADD, MAIL_SEEN, 0, UINT64_MAX, NULL, NULL);
}

int maildrop_read(struct maildrop *d, uint32_t number)
{
    return mailbox_open_message(d->mailbox, number);
}

int maildrop_update(struct maildrop *d)
{
    if (d->n_deleted == 0)
        return 0;
    _cleanup_free_ uint32_t *uids = mem_calloc(d->n_deleted, sizeof *uids);
    size_t n = 0;

    for (uint32_t i = 1; i <= d->count; i++)
        if (d->deleted[i - 1])
            uids[n++] = mailbox_entry(d->mailbox, i)->uid;
    return mailbox_remove(d->mailbox, uids, n);
}
