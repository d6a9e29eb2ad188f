/* SPDX-License-Identifier: Apache-2.0 */
/*
 * select.c - SELECT and EXAMINE (RFC 3501 sections 6.3.1 and 6.3.2, RFC 7162 section 3.1.8)
 *
 * Runs in: imapd (input is hostile).
 */
#include <inttypes.h>

#include "command.h"
#include "reply.h"
#include "untagged.h"

/* What SELECT tells of the messages. */
struct counts {
    uint32_t recent, first_unseen;
};

static struct counts count(const struct mailbox *mb)
{
    struct counts c = { 0, 0 };

    for (uint32_t seq = 1; seq <= mailbox_count(mb); seq++) {
        const struct mail_entry *e = mailbox_entry(mb, seq);

        c.recent += e->recent;
        if (c.first_unseen == 0 && !(e->flags & MAIL_SEEN))
            c.first_unseen = seq;
    }
    return c;
}

static void describe(struct imap *s)
{
    struct counts c = count(s->mb);

    untagged_flags(s);
    imap_printf(s, "* %" PRIu32 " EXISTS\r\n* %" PRIu32 " RECENT\r\n", mailbox_count(s->mb),
                c.recent);
    if (c.first_unseen > 0)
        imap_printf(s, "* OK [UNSEEN %" PRIu32 "] First unseen.\r\n", c.first_unseen);
    imap_printf(s, "* OK [UIDVALIDITY %" PRIu32 "] UIDs valid.\r\n", mailbox_uidvalidity(s->mb));
    imap_printf(s, "* OK [UIDNEXT %" PRIu32 "] Predicted next UID.\r\n", mailbox_uidnext(s->mb));
    imap_printf(s, "* OK [HIGHESTMODSEQ %" PRIu64 "] Highest.\r\n", mailbox_highestmodseq(s->mb));
}

/* select-params = SP "(" "CONDSTORE" ")" (RFC 4466 section 2.3, RFC 7162 section 3.1.8) */
static bool parse_select_params(struct parse *p, bool *ret_condstore)
{
    if (parse_end(p))
        return true;
    if (!parse_sp(p) || !parse_char(p, '(') || !parse_word(p, "CONDSTORE") || !parse_char(p, ')'))
        return false;
    *ret_condstore = true;
    return parse_end(p);
}

static int select_mailbox(struct imap *s, struct parse *p, unsigned flags)
{
    _cleanup_(str_free) struct str name = STR_INIT;
    bool condstore = false;

    if (!parse_mailbox(p, &name) || !parse_select_params(p, &condstore))
        return reply_bad(s, "A mailbox name is expected.");

    /* Also when the new one cannot be opened, the old one is not selected any more. */
    mailbox_close(TAKE_PTR(s->mb));
    s->state = IMAP_AUTHENTICATED;
    s->condstore |= condstore;

    int r = mailbox_open(s->account, str_span(&name), flags, &s->mb);

    if (r < 0)
        return reply_errno(s, r, "Opening the mailbox");
    s->state = IMAP_SELECTED;
    describe(s);
    return reply_ok(s, mailbox_read_only(s->mb) ? "[READ-ONLY] Examine completed." :
                                                  "[READ-WRITE] Select completed.");
}

int cmd_select(struct imap *s, struct parse *p)
{
    return select_mailbox(s, p, 0);
}

int cmd_examine(struct imap *s, struct parse *p)
{
    return select_mailbox(s, p, MAILBOX_READ_ONLY);
}
