/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manage.c - CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 3501 sections 6.3.3 to 6.3.7)
 *
 * Runs in: imapd (input is hostile).
 */
#include <errno.h>

#include "command.h"
#include "reply.h"

static bool is_inbox(const struct str *name)
{
    return span_eq_str(str_span(name), "INBOX");
}

int cmd_create(struct imap *s, struct parse *p)
{
    _cleanup_(str_free) struct str name = STR_INIT;

    if (!parse_mailbox(p, &name) || !parse_end(p))
        return reply_bad(s, "A mailbox name is expected.");

    int r = is_inbox(&name) ? -EEXIST : account_create(s->account, str_span(&name));

    return r < 0 ? reply_errno(s, r, "Creating the mailbox") : reply_ok(s, "Create completed.");
}

int cmd_delete(struct imap *s, struct parse *p)
{
    _cleanup_(str_free) struct str name = STR_INIT;

    if (!parse_mailbox(p, &name) || !parse_end(p))
        return reply_bad(s, "A mailbox name is expected.");

    int r = is_inbox(&name) ? -EPERM : account_delete(s->account, str_span(&name));

    return r < 0 ? reply_errno(s, r, "Deleting the mailbox") : reply_ok(s, "Delete completed.");
}

int cmd_rename(struct imap *s, struct parse *p)
{
    _cleanup_(str_free) struct str from = STR_INIT, to = STR_INIT;

    if (!parse_mailbox(p, &from) || !parse_mailbox(p, &to) || !parse_end(p))
        return reply_bad(s, "Two mailbox names are expected.");

    int r = is_inbox(&to) ? -EEXIST : account_rename(s->account, str_span(&from), str_span(&to));

    return r < 0 ? reply_errno(s, r, "Renaming the mailbox") : reply_ok(s, "Rename completed.");
}

enum subscription { UNSUBSCRIBED, SUBSCRIBED };

static int subscribe(struct imap *s, struct parse *p, enum subscription want)
{
    _cleanup_(str_free) struct str name = STR_INIT;

    if (!parse_mailbox(p, &name) || !parse_end(p))
        return reply_bad(s, "A mailbox name is expected.");

    int r = account_subscribe(s->account, str_span(&name), want == SUBSCRIBED);

    return r < 0 ? reply_errno(s, r, "Subscribing") : reply_ok(s, "Completed.");
}

int cmd_subscribe(struct imap *s, struct parse *p)
{
    return subscribe(s, p, SUBSCRIBED);
}

int cmd_unsubscribe(struct imap *s, struct parse *p)
{
    return subscribe(s, p, UNSUBSCRIBED);
}
