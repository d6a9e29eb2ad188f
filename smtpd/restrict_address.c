/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restrict_address.c - restrictions on the sender's and the recipient's address: whose it is, does
 * it exist
 *
 * Runs in: smtpd (addresses are hostile). Logs nothing.
 */
#include "base/own.h"
#include "mail/address.h"
#include "smtpd/reply.h"
#include "smtpd/restrict_internal.h"

/* ---- relaying ---- */

static enum verdict rcpt_lookup_failed(struct smtpd *s)
{
    _cleanup_(str_free) struct str scratch = STR_INIT;
    struct subject about = subject_rcpt(s, &scratch);

    return restrict_lookup_failed(s, &about);
}

/* The class of s->rcpt, or a refusal */
static enum verdict class_of_rcpt(struct smtpd *s, enum address_class *ret)
{
    *ret = CLASS_LOCAL;
    if (route_class(s->sv->router, address_domain(str_span(&s->rcpt)), ret) < 0)
        return rcpt_lookup_failed(s);
    return VERDICT_NONE;
}

static enum verdict unless_ours(struct smtpd *s, int64_t code)
{
    _cleanup_(str_free) struct str scratch = STR_INIT;
    _cleanup_(str_free) struct str text = STR_INIT;
    struct subject about = subject_rcpt(s, &scratch);
    enum address_class class;
    enum verdict v = class_of_rcpt(s, &class);

    if (v != VERDICT_NONE || class != CLASS_DEFAULT)
        return v;
    str_addf(&text, "%d %d.7.1 <" SPAN_FMT ">: Relay access denied", (int)code, (int)code / 100,
             SPAN_ARG(about.name));
    return restrict_refuse_text(s, str_span(&text));
}

enum verdict ask_reject_unauth(struct smtpd *s, const struct restriction_item *item)
{
    (void)item;
    return unless_ours(s, s->sv->params->relay_domains_reject_code);
}

enum verdict ask_defer_unauth(struct smtpd *s, const struct restriction_item *item)
{
    (void)item;
    return unless_ours(s, 454);
}

enum verdict ask_auth_destination(struct smtpd *s, const struct restriction_item *item)
{
    enum address_class class;
    enum verdict v = class_of_rcpt(s, &class);

    (void)item;
    return v == VERDICT_NONE && class != CLASS_DEFAULT ? VERDICT_PERMIT : v;
}

/* ---- does the address exist ---- */

static int64_t unlisted_code(const struct params *p, enum address_class class)
{
    switch (class) {
    case CLASS_LOCAL:
        return p->unknown_local_recipient_reject_code;
    case CLASS_VIRTUAL_ALIAS:
        return p->unknown_virtual_alias_reject_code;
    case CLASS_VIRTUAL_MAILBOX:
        return p->unknown_virtual_mailbox_reject_code;
    case CLASS_RELAY:
        return p->unknown_relay_recipient_reject_code;
    case CLASS_DEFAULT:
        break;
    }
    return 550;
}

/* Refuse an address of ours that no table knows. detail: "1.1" for a recipient, "1.0" for a sender
 */
static enum verdict unlisted(struct smtpd *s, struct span address, const struct subject *about,
                             const char *detail)
{
    static const char *const tables[] = {
        [CLASS_LOCAL] = "local recipient",
        [CLASS_VIRTUAL_ALIAS] = "virtual alias",
        [CLASS_VIRTUAL_MAILBOX] = "virtual mailbox",
        [CLASS_RELAY] = "relay recipient",
        [CLASS_DEFAULT] = "recipient",
    };
    enum address_class class;
    char why[128];

    if (route_class(s->sv->router, address_domain(address), &class) < 0)
        return restrict_lookup_failed(s, about);

    int exists = route_recipient_exists(s->sv->router, address, class);

    if (exists < 0)
        return restrict_lookup_failed(s, about);
    if (exists > 0)
        return VERDICT_NONE;
    snprintf(why, sizeof(why), "User unknown in %s table", tables[class]);
    return restrict_refuse(s, about, unlisted_code(s->sv->params, class), detail, why);
}

enum verdict ask_unlisted_rcpt(struct smtpd *s, const struct restriction_item *item)
{
    _cleanup_(str_free) struct str scratch = STR_INIT;
    struct subject about = subject_rcpt(s, &scratch);

    (void)item;
    return unlisted(s, str_span(&s->rcpt), &about, "1.1");
}

enum verdict ask_unlisted_sender(struct smtpd *s, const struct restriction_item *item)
{
    _cleanup_(str_free) struct str scratch = STR_INIT;
    struct subject about = subject_sender(s, &scratch);

    (void)item;
    if (s->sender.len == 0)
        return VERDICT_NONE;
    return unlisted(s, str_span(&s->sender), &about, "1.0");
}

/* ---- domains ---- */

static bool is_fqdn(struct span address)
{
    struct span domain = address_domain(address);
    struct span inner;

    return address_literal(domain, &inner) || span_chr(domain, '.') > 0;
}

static enum verdict non_fqdn(struct smtpd *s, struct span address, const struct subject *about)
{
    if (address.len == 0 || is_fqdn(address))
        return VERDICT_NONE;
    return restrict_refuse(s, about, s->sv->params->non_fqdn_reject_code, "5.2",
                           "need fully-qualified address");
}

enum verdict ask_non_fqdn_sender(struct smtpd *s, const struct restriction_item *item)
{
    _cleanup_(str_free) struct str scratch = STR_INIT;
    struct subject about = subject_sender(s, &scratch);

    (void)item;
    return non_fqdn(s, str_span(&s->sender), &about);
}

enum verdict ask_non_fqdn_rcpt(struct smtpd *s, const struct restriction_item *item)
{
    _cleanup_(str_free) struct str scratch = STR_INIT;
    struct subject about = subject_rcpt(s, &scratch);

    (void)item;
    return non_fqdn(s, str_span(&s->rcpt), &about);
}

/* The codes of a domain that is unknown, or takes no mail (RFC 7505 section 4.2) */
struct domain_codes {
    const char *unknown, *null_mx;
    int64_t null_mx_code;
};

static enum verdict unknown_domain(struct smtpd *s, struct span address,
                                   const struct subject *about, const struct domain_codes *codes)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    struct span domain = address_domain(address);
    enum address_class class;

    if (route_class(s->sv->router, domain, &class) < 0)
        return restrict_lookup_failed(s, about);
    if (class != CLASS_DEFAULT)
        return VERDICT_NONE;
    switch (restrict_domain_state(s, domain)) {
    case DOMAIN_EXISTS:
        return VERDICT_NONE;
    case DOMAIN_UNKNOWN:
        return restrict_refuse(s, about, s->sv->params->unknown_address_reject_code, codes->unknown,
                               "Domain not found");
    case DOMAIN_NULL_MX:
        str_add_str(&text, "Domain ");
        show(&text, domain);
        str_add_str(&text, " does not accept mail (nullMX)");
        return restrict_refuse(s, about, codes->null_mx_code, codes->null_mx, str_cstr(&text));
    case DOMAIN_TEMPORARY:
        break;
    }
    reply_text(&text, about, 450, codes->unknown, "Domain not found");
    return restrict_tempfail(s, s->sv->params->unknown_address_tempfail_action, str_span(&text));
}

enum verdict ask_unknown_sender(struct smtpd *s, const struct restriction_item *item)
{
    static const struct domain_codes codes = { "1.8", "7.27", 550 };
    _cleanup_(str_free) struct str scratch = STR_INIT;
    struct subject about = subject_sender(s, &scratch);

    (void)item;
    if (s->sender.len == 0)
        return VERDICT_NONE;
    return unknown_domain(s, str_span(&s->sender), &about, &codes);
}

enum verdict ask_unknown_rcpt(struct smtpd *s, const struct restriction_item *item)
{
    static const struct domain_codes codes = { "1.2", "1.10", 556 };
    _cleanup_(str_free) struct str scratch = STR_INIT;
    struct subject about = subject_rcpt(s, &scratch);

    (void)item;
    return unknown_domain(s, str_span(&s->rcpt), &about, &codes);
}
