/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deliver.c - one recipient: find the mailbox, store the message, judge the result
 *
 * Headers and their order are those of Postfix's agents. A recipient that stands in a Delivered-To of
 * the message already is a loop: each delivery adds one, so that aliases pointing at each
 * other end here (RFC 3463: 5.4.6).
 *
 * Runs in: local, virtual. Addresses and the message are anybody's.
 */
#include <errno.h>

#include "base/mem.h"
#include "local/agent.h"
#include "mail/address.h"
#include "mail/header.h"
#include "mailbox/quota.h"
#include "table/table.h"

/* ---- headers ---- */

bool message_has_looped(const struct message *m, struct span address)
{
    struct span rest = str_span(&m->head);
    struct header_field field;

    while (header_next(&rest, MESSAGE_HEAD_MAX, &field) == 1)
        if (span_eq_nocase_str(field.name, "Delivered-To") && span_eq_nocase(span_trim(field.value), address))
            return true;
    return false;
}

/* No address can end a header line. */
static void add_address(struct str *ret, struct span address)
{
    for (size_t i = 0; i < address.len; i++)
        str_add_char(ret, address.ptr[i] == '\r' || address.ptr[i] == '\n' || address.ptr[i] == '\0'
                              ? '?' : address.ptr[i]);
}

void deliver_prepend(const struct message *m, const struct recipient *r, bool return_path, struct str *ret)
{
    _cleanup_(str_free) struct str sender = STR_INIT;
    struct span address = str_span(&r->rcpt.address), orig = str_span(&r->rcpt.orig);

    if (return_path) {
        address_quote(&sender, str_span(&m->request.sender));
        str_add_str(ret, "Return-Path: <");
        add_address(ret, str_span(&sender));
        str_add_str(ret, ">\n");
    }
    if (m->agent->sv->params->enable_original_recipient) {
        str_add_str(ret, "X-Original-To: ");
        add_address(ret, orig.len > 0 ? orig : address);
        str_add_str(ret, "\n");
    }
    str_add_str(ret, "Delivered-To: ");
    add_address(ret, address);
    str_add_str(ret, "\n");
}

/* ---- results ---- */

static const struct {
    int error;
    enum outcome_status status;
    const char *dsn, *text;
} failures[] = {
    { EDQUOT, OUTCOME_DEFERRED, "4.2.2", "the mailbox is over its quota" },
    { ENOSPC, OUTCOME_DEFERRED, "4.3.1", "the mail system's disk is full" },
    { EFBIG, OUTCOME_BOUNCED, "5.2.3", "the message is larger than the mailbox takes" },
    { EROFS, OUTCOME_DEFERRED, "4.3.0", NULL },
    { EIO, OUTCOME_DEFERRED, "4.3.0", NULL },
};

void deliver_failed(struct outcome *o, const char *maildir, int r)
{
    for (size_t i = 0; i < ARRAY_LEN(failures); i++)
        if (failures[i].error == -r) {
            outcome_set(o, failures[i].status, failures[i].dsn, "maildir delivery failed: %s: %s", maildir,
                        failures[i].text ? failures[i].text : strerror(-r));
            return;
        }
    outcome_set(o, OUTCOME_DEFERRED, "4.2.0", "maildir delivery failed: %s: %s", maildir, strerror(-r));
}

/* locate() was not able to say: a table is down, or the configuration is wrong */
static void location_failed(struct outcome *o, int r, const char *why)
{
    outcome_set(o, OUTCOME_DEFERRED, r == -EINVAL ? "4.3.5" : "4.3.0", "%s%s",
                r == -EINVAL ? "mail system configuration error: " : "", why);
}

static void unknown_user(struct outcome *o, struct span user)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    str_add_escaped(&text, user, 320, STR_UTF8);
    outcome_set(o, OUTCOME_BOUNCED, "5.1.1", "unknown user: \"%s\"", str_cstr(&text));
}

/* ---- delivery ---- */

/* The quota that is configured for a mailbox. 1: *ret is set; 0: none; negative: not known now. */
static int find_limits(struct agent *a, struct span address, struct quota_limits *ret)
{
    _cleanup_(str_free) struct str value = STR_INIT;
    int r = maps_get(a->limits, address, &value);

    if (r == 0 && a->sv->params->virtual_mailbox_quota[0] != '\0') {
        str_add_str(&value, a->sv->params->virtual_mailbox_quota);
        r = 1;
    }
    return r > 0 && quota_limits_parse(str_span(&value), ret) < 0 ? -EINVAL : r;
}

static void store(struct message *m, struct recipient *r, const struct location *where)
{
    struct quota_limits limits;
    _cleanup_(str_free) struct str prepend = STR_INIT;
    struct maildir_save save = {
        .content_fd = m->fd,
        .offset = m->request.content_offset,
        .size = m->request.content_size,
        .head = str_span(&m->head),
        .max_size = m->agent->max_size,
    };

    deliver_prepend(m, r, true, &prepend);
    save.prepend = str_span(&prepend);
    int e = find_limits(m->agent, str_span(&r->rcpt.address), &limits);
    if (e >= 0)
        e = owner_deliver(m->agent, where, &save, e > 0 ? &limits : NULL);
    if (e == -EDQUOT && m->agent->sv->params->virtual_overquota_bounce)
        outcome_set(&r->outcome, OUTCOME_BOUNCED, "5.2.2", "maildir delivery failed: %s: the mailbox is over its quota",
                    where->maildir);
    else if (e < 0)
        deliver_failed(&r->outcome, where->maildir, e);
    else
        outcome_set(&r->outcome, OUTCOME_SENT, "2.0.0", "delivered to maildir");
}

void deliver_mailbox(struct message *m, struct recipient *r)
{
    _cleanup_(location_done) struct location where = { 0 };
    _cleanup_(str_free) struct str err = STR_INIT;
    struct agent *a = m->agent;
    struct span address = str_span(&r->rcpt.address);
    struct span user = a->system_users ? address_local(address) : address;
    int found = a->system_users ? locate_system(a->locator, user, &where, &err)
                                : locate_virtual(a->locator, address, &where, &err);

    if (found < 0)
        location_failed(&r->outcome, found, str_cstr(&err));
    else if (found == 0)
        unknown_user(&r->outcome, user);
    else if (m->request.flags & SUBMIT_PROBE)
        outcome_set(&r->outcome, OUTCOME_SENT, "2.0.0", "delivers to maildir");
    else
        store(m, r, &where);
}

void deliver_recipient(struct message *m, struct recipient *r)
{
    struct span address = str_span(&r->rcpt.address);

    if (message_has_looped(m, address)) {
        _cleanup_(str_free) struct str text = STR_INIT;

        str_add_escaped(&text, address, 320, STR_UTF8);
        outcome_set(&r->outcome, OUTCOME_BOUNCED, "5.4.6", "mail forwarding loop for %s", str_cstr(&text));
        return;
    }
    if (m->agent->system_users && alias_deliver(m, r))
        return;
    deliver_mailbox(m, r);
}
