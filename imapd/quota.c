/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quota.c - GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208, RFC 2087)
 *
 * One root for all mailboxes of a user, whose limits and use are the Maildir's (mailbox/quota.h). Its
 * administrator is the server's, so a client can change nothing.
 *
 * Runs in: imapd (input is hostile).
 */
#include "mailbox/quota.h"

#include <errno.h>
#include <inttypes.h>

#include "command.h"
#include "reply.h"

#define ROOT "User quota"

static void send_quota(struct imap *s, const struct quota *q)
{
    _cleanup_(str_free) struct str line = STR_INIT;

    str_add_str(&line, "* QUOTA \"" ROOT "\" (");
    if (q->limits.bytes > 0) /* in units of 1024 bytes (RFC 9208 section 5.1) */
        str_addf(&line, "STORAGE %" PRIu64 " %" PRIu64, (q->bytes + 1023) / 1024, q->limits.bytes / 1024);
    if (q->limits.messages > 0)
        str_addf(&line, "%sMESSAGE %" PRIu64 " %" PRIu64, q->limits.bytes > 0 ? " " : "", q->messages,
                 q->limits.messages);
    str_add_str(&line, ")\r\n");
    imap_write(s, str_span(&line));
}

int cmd_getquota(struct imap *s, struct parse *p)
{
    struct span root;
    struct quota q;
    int r;

    if (!parse_sp(p) || !parse_astring(p, &root) || !parse_end(p))
        return reply_bad(s, "A quota root is expected.");
    r = span_eq_str(root, ROOT) ? account_quota(s->account, &q) : -ENOENT;
    if (r == -ENOENT)
        return reply_no(s, "[NONEXISTENT] No such quota root.");
    if (r < 0)
        return reply_errno(s, r, "Reading the quota");
    send_quota(s, &q);
    return reply_ok(s, "Getquota completed.");
}

int cmd_getquotaroot(struct imap *s, struct parse *p)
{
    _cleanup_(str_free) struct str name = STR_INIT, line = STR_INIT, dir = STR_INIT;
    struct quota q;

    if (!parse_mailbox(p, &name) || !parse_end(p))
        return reply_bad(s, "A mailbox name is expected.");

    /* Of a mailbox that could be made as well (RFC 9208 section 4.1.2) */
    int has = maildir_folder_dir(str_span(&name), &dir);

    if (has == 0)
        has = account_quota(s->account, &q);
    if (has < 0 && has != -ENOENT)
        return reply_errno(s, has, "Reading the quota");
    str_add_str(&line, "* QUOTAROOT ");
    put_mailbox_name(&line, str_span(&name), imap_names(s));
    str_add_str(&line, has == 0 ? " \"" ROOT "\"\r\n" : "\r\n");
    imap_write(s, str_span(&line));
    if (has == 0)
        send_quota(s, &q);
    return reply_ok(s, "Getquotaroot completed.");
}

/* "(" [resource-name SP resource-limit *(SP ...)] ")" */
static bool parse_setquota_list(struct parse *p)
{
    struct span name;
    uint64_t limit;

    if (!parse_char(p, '('))
        return false;
    if (parse_char(p, ')'))
        return true;
    do
        if (!parse_atom(p, &name) || !parse_sp(p) || !parse_number(p, INT64_MAX, &limit))
            return false;
    while (parse_sp(p));
    return parse_char(p, ')');
}

/* Without QUOTASET (RFC 9208 section 4.1.3) */
int cmd_setquota(struct imap *s, struct parse *p)
{
    struct span root;

    if (!parse_sp(p) || !parse_astring(p, &root) || !parse_sp(p) || !parse_setquota_list(p) || !parse_end(p))
        return reply_bad(s, "A quota root and a list of limits are expected.");
    return reply_no(s, "[NOPERM] Quotas are set by the administrator.");
}
