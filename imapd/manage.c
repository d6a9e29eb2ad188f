/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manage.c - CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 3501 sections 6.3.3 to 6.3.7)
 *
 * Runs in: imapd (input is hostile).
 */
#include <errno.h>
#include <inttypes.h>

#include "base/utf8.h"
#include "command.h"
#include "list.h"
#include "mail/nfc.h"
#include "reply.h"

static bool is_inbox(const struct str *name)
{
    return span_eq_str(str_span(name), "INBOX");
}

/* SP "(" "USE" SP "(" [use-attr *(SP use-attr)] ")" ")" (RFC 6154 section 6, RFC 4466 section 2.2) */
static bool parse_use(struct parse *p, struct span *ret)
{
    struct span name;

    if (parse_end(p))
        return true;
    if (!parse_sp(p) || !parse_char(p, '(') || !parse_word(p, "USE") || !parse_sp(p) || !parse_char(p, '('))
        return false;
    ret->ptr = p->in.ptr;
    while (!parse_char(p, ')')) {
        parse_sp(p);
        if (!parse_char(p, '\\') || !parse_atom(p, &name))
            return false;
        ret->len = (size_t)(name.ptr + name.len - ret->ptr);
    }
    return parse_char(p, ')') && parse_end(p);
}

/* One mailbox, one use: that is all the LIST answer of most servers can tell. */
static int give_use(struct imap *s, const struct str *name, struct span use)
{
    int r = span_chr(use, ' ') >= 0 ? -EINVAL : account_set_special_use(s->account, str_span(name), use);

    if (r < 0)
        account_delete(s->account, str_span(name));
    if (r == -EINVAL)
        return reply_no(s, "[USEATTR] A mailbox can be given one of \\Archive, \\Drafts, \\Junk, \\Sent, \\Trash.");
    if (r == -EEXIST)
        return reply_no(s, "[USEATTR] Another mailbox has this use.");
    return r < 0 ? reply_errno(s, r, "Writing down the use") : 1;
}

/* RFC 6855 section 3: control characters, and separators of lines and paragraphs. Those of ASCII are refused by the library. */
static bool has_controls(struct span name)
{
    uint32_t cp;

    for (size_t n; (n = utf8_decode(name, &cp)) > 0; name = span_from(name, n))
        if ((cp >= 0x7f && cp <= 0x9f) || cp == 0x2028 || cp == 0x2029)
            return true;
    return false;
}

/* RFC 9051 section 5.1: a new name in UTF-8 is Net-Unicode; two names that look the same would be two mailboxes. */
static bool is_fit(struct imap *s, const struct str *name)
{
    if (has_controls(str_span(name)))
        reply_no(s, "[CANNOT] A mailbox name has no control characters.");
    else if (imap_names(s) == NAMES_UTF8 && !nfc_is_normal(str_span(name)))
        reply_no(s, "[CANNOT] A mailbox name has to be in Normalization Form C.");
    else
        return true;
    return false;
}

int cmd_create(struct imap *s, struct parse *p)
{
    _cleanup_(str_free) struct str name = STR_INIT;
    struct span use = SPAN_NULL;
    struct mailbox_status st;

    if (!parse_mailbox(p, &name) || !parse_use(p, &use))
        return reply_bad(s, "A mailbox name is expected, and perhaps its USE.");

    if (!is_fit(s, &name))
        return 0;
    int r = is_inbox(&name) ? -EEXIST : account_create(s->account, str_span(&name));

    if (r < 0)
        return reply_errno(s, r, "Creating the mailbox");
    if (use.len > 0 && give_use(s, &name, use) == 0)
        return 0;
    list_normalised(s, p->mailbox, str_span(&name));
    if (account_status(s->account, str_span(&name), &st) < 0)
        return reply_ok(s, "Create completed.");
    return reply_ok(s, "[MAILBOXID (F%016" PRIx64 ")] Create completed.", st.id);
}

/* A level of hierarchy without a mailbox: LIST tells it as \Noselect, for what is below it. */
static bool is_level(struct imap *s, struct span name)
{
    struct mailbox_info *infos;
    size_t n;
    bool found = false;

    if (account_list(s->account, &infos, &n) < 0)
        return false;
    for (size_t i = 0; i < n && !found; i++)
        found = infos[i].has_children && span_eq_str(name, infos[i].name);
    account_list_free(infos, n);
    return found;
}

int cmd_delete(struct imap *s, struct parse *p)
{
    _cleanup_(str_free) struct str name = STR_INIT;

    if (!parse_mailbox(p, &name) || !parse_end(p))
        return reply_bad(s, "A mailbox name is expected.");

    int r = is_inbox(&name) ? -EPERM : account_delete(s->account, str_span(&name));

    if (r == -ENOENT && is_level(s, str_span(&name)))
        return reply_no(s, "[HASCHILDREN] It is no mailbox, but others are below it.");
    if (r < 0)
        return reply_errno(s, r, "Deleting the mailbox");
    list_normalised(s, p->mailbox, str_span(&name));
    if (s->mb && !mailbox_exists(s->mb))
        select_leave(s);
    return reply_ok(s, "Delete completed.");
}

int cmd_rename(struct imap *s, struct parse *p)
{
    _cleanup_(str_free) struct str from = STR_INIT, to = STR_INIT;

    if (!parse_mailbox(p, &from))
        return reply_bad(s, "Two mailbox names are expected.");

    struct span given_from = p->mailbox;

    if (!parse_mailbox(p, &to) || !parse_end(p))
        return reply_bad(s, "Two mailbox names are expected.");
    if (!is_fit(s, &to))
        return 0;
    int r = is_inbox(&to) ? -EEXIST : account_rename(s->account, str_span(&from), str_span(&to));

    if (r < 0)
        return reply_errno(s, r, "Renaming the mailbox");
    list_renamed(s, given_from, str_span(&from), p->mailbox, str_span(&to));
    return reply_ok(s, "Rename completed.");
}

int cmd_subscribe(struct imap *s, struct parse *p)
{
    _cleanup_(str_free) struct str name = STR_INIT;
    uint32_t most = (uint32_t)s->params->imap_subscription_limit;

    if (!parse_mailbox(p, &name) || !parse_end(p))
        return reply_bad(s, "A mailbox name is expected.");

    int r = account_subscribe(s->account, str_span(&name), most);

    if (r == -EOVERFLOW)
        return reply_no(s, "[LIMIT] An account has at most %" PRIu32 " subscriptions.", most);
    return r < 0 ? reply_errno(s, r, "Subscribing") : reply_ok(s, "Subscribe completed.");
}

int cmd_unsubscribe(struct imap *s, struct parse *p)
{
    _cleanup_(str_free) struct str name = STR_INIT;

    if (!parse_mailbox(p, &name) || !parse_end(p))
        return reply_bad(s, "A mailbox name is expected.");

    int r = account_unsubscribe(s->account, str_span(&name));

    return r < 0 ? reply_errno(s, r, "Unsubscribing") : reply_ok(s, "Unsubscribe completed.");
}
