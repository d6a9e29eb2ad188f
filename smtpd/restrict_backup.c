/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restrict_backup.c - permit_mx_backup: DNS names us as a backup mail exchanger of the recipient's domain
 *
 * Whoever controls a domain's DNS can say so, hence three bounds: we must not be its primary (mail would loop,
 * or anybody's domain would be ours), the primaries must lie in permit_mx_backup_networks if that is set,
 * and an answer that does not come is a reason to defer, not to permit.
 *
 * Runs in: smtpd (domains and what DNS says of them are hostile). Logs nothing.
 */
#include "base/own.h"
#include "mail/address.h"
#include "smtpd/restrict_internal.h"

#define EXCHANGERS_MAX 100

enum exchanger { EXCHANGER_OTHER, EXCHANGER_OURS, EXCHANGER_TRUSTED, EXCHANGER_TEMPORARY };

/* Is this host we ourselves, or one in permit_mx_backup_networks with all its addresses? */
static enum exchanger judge_host(struct smtpd *s, const char *host)
{
    _cleanup_(dns_answer_done) struct dns_answer answer = { 0 };
    enum dns_status status = restrict_addresses(s, span_of(host), &answer);
    bool trusted = answer.len > 0;
    char addr[INET6_ADDRSTRLEN];

    if (span_eq_nocase_str(span_of(host), s->sv->params->myhostname))
        return EXCHANGER_OURS;
    if (status == DNS_TEMPORARY)
        return EXCHANGER_TEMPORARY;
    for (size_t i = 0; i < answer.len; i++) {
        const union sockaddr_any *a = &answer.records[i].addr;

        if (router_has_interface(s->sv->router, a))
            return EXCHANGER_OURS;
        if (match_list_has_client(s->sv->backup_networks, span_of("unknown"),
                                  span_of(socket_addr_print(a, addr))) <= 0)
            trusted = false;
    }
    return trusted ? EXCHANGER_TRUSTED : EXCHANGER_OTHER;
}

/* Are we one of the exchangers, but not of the best preference, and are those acceptable? */
static enum dns_status is_backup(struct smtpd *s, const struct dns_answer *mx, bool *ret)
{
    bool restricted = *s->sv->params->permit_mx_backup_networks;
    bool ours = false, temporary = false;

    *ret = false;
    for (size_t i = 0; i < mx->len && i < EXCHANGERS_MAX && !ours; i++) {
        bool primary = mx->records[i].preference == mx->records[0].preference;
        enum exchanger who = judge_host(s, mx->records[i].name);

        if (primary && (who == EXCHANGER_OURS || (restricted && who == EXCHANGER_OTHER)))
            return DNS_OK;
        if (primary && restricted && who == EXCHANGER_TEMPORARY)
            return DNS_TEMPORARY;
        temporary |= who == EXCHANGER_TEMPORARY;
        ours = who == EXCHANGER_OURS;
    }
    *ret = ours;
    return !ours && temporary ? DNS_TEMPORARY : DNS_OK;
}

static enum verdict defer(struct smtpd *s)
{
    _cleanup_(str_free) struct str scratch = STR_INIT;
    _cleanup_(str_free) struct str text = STR_INIT;
    struct subject about = subject_rcpt(s, &scratch);

    reply_text(&text, &about, 450, "4.4", "Unable to look up mail exchanger information");
    return restrict_defer_if_permit(s, str_span(&text));
}

enum verdict ask_mx_backup(struct smtpd *s, const struct restriction_item *item)
{
    _cleanup_(dns_answer_done) struct dns_answer mx = { 0 };
    struct span domain = address_domain(str_span(&s->rcpt)), inner;
    enum verdict v = ask_auth_destination(s, item);
    bool permit = false;

    if (v != VERDICT_NONE || domain.len == 0 || address_literal(domain, &inner))
        return v;

    enum dns_status status = restrict_query(s, domain, DNS_MX, &mx);

    if (status == DNS_OK)
        status = is_backup(s, &mx, &permit);
    if (status == DNS_TEMPORARY)
        return defer(s);
    return permit ? VERDICT_PERMIT : VERDICT_NONE;
}
