/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expunge.c - EXPUNGE, UID EXPUNGE (RFC 4315), CLOSE, UNSELECT (RFC 3691)
 *
 * Runs in: imapd (input is hostile).
 */
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "command.h"
#include "reply.h"
#include "untagged.h"

/* The EXPUNGE lines are sent by the dispatcher, which sees the messages gone. */
int cmd_expunge(struct imap *s, struct parse *p)
{
    _cleanup_(seqs_done) struct seqs seqs = SEQS_INIT;
    int r;

    if ((s->uid && !parse_messages(s, p, &seqs)) || !parse_end(p))
        return reply_bad(s, s->uid ? "A set of UIDs is expected." : "EXPUNGE takes no arguments.");
    if (mailbox_read_only(s->mb))
        return reply_no(s, "[NOPERM] The mailbox is read-only.");
    if (s->uid) {
        for (size_t i = 0; i < seqs.len; i++)
            seqs.items[i] = mailbox_entry(s->mb, seqs.items[i])->uid;
        r = seqs.len > 0 ? mailbox_expunge(s->mb, seqs.items, seqs.len) : 0;
    } else {
        r = mailbox_expunge(s->mb, NULL, 0);
    }
    if (r < 0)
        return reply_errno(s, r, "Expunging");
    return untagged_reply_expunged(s, "Expunge completed.");
}

static int deselect(struct imap *s, const char *text)
{
    mailbox_close(TAKE_PTR(s->mb));
    s->state = IMAP_AUTHENTICATED;
    return reply_ok(s, "%s", text);
}

static void count_expunged(uint32_t seq, uint32_t uid, void *arg)
{
    struct imap *s = arg;

    (void)seq;
    (void)uid;
    s->stats.expunged++;
}

int cmd_close(struct imap *s, struct parse *p)
{
    const struct mailbox_changes silent = { .expunge = count_expunged, .arg = s };

    if (!parse_end(p))
        return reply_bad(s, "CLOSE takes no arguments.");
    if (!mailbox_read_only(s->mb)) {
        int r = mailbox_expunge(s->mb, NULL, 0);

        if (r < 0)
            return reply_errno(s, r, "Expunging");
        mailbox_sync(s->mb, true, &silent); /* for the count; the mailbox is left in any case */
    }
    return deselect(s, "Close completed.");
}

int cmd_unselect(struct imap *s, struct parse *p)
{
    if (!parse_end(p))
        return reply_bad(s, "UNSELECT takes no arguments.");
    return deselect(s, "Unselect completed.");
}
