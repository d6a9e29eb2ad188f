/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restrict_dns.c - DNS look-ups for restrictions
 *
 * Runs in: smtpd (names and answers are hostile). Logs nothing.
 */
#include "base/clock.h"
#include "base/own.h"
#include "mail/address.h"
#include "mail/idna.h"
#include "smtpd/restrict_internal.h"

static uint64_t deadline(const struct smtpd *s)
{
    return clock_deadline_ms(s->sv->params->dns_timeout * 1000);
}

enum dns_status restrict_query(struct smtpd *s, struct span name, enum dns_type type,
                               struct dns_answer *ret)
{
    _cleanup_(str_free) struct str ascii = STR_INIT;

    if (idna_to_ascii(name, &ascii) < 0)
        return DNS_INVALID;
    if (dns_query(str_cstr(&ascii), type, deadline(s), ret) < 0)
        return DNS_TEMPORARY;
    return ret->status;
}

enum dns_status restrict_addresses(struct smtpd *s, struct span name, struct dns_answer *ret)
{
    _cleanup_(str_free) struct str ascii = STR_INIT;

    if (idna_to_ascii(name, &ascii) < 0)
        return DNS_INVALID;
    if (dns_addresses(str_cstr(&ascii), AF_UNSPEC, deadline(s), ret) < 0)
        return DNS_TEMPORARY;
    return ret->status;
}

static bool is_null_mx(const struct dns_answer *a)
{
    return a->len == 1 && a->records[0].name && a->records[0].name[0] == '\0';
}

/* RFC 5321 section 5.1: an address stands in for a missing MX; RFC 7505: a null MX says there is no
 * mail */
enum domain_state restrict_domain_state(struct smtpd *s, struct span domain)
{
    _cleanup_(dns_answer_done) struct dns_answer mx = { 0 };
    _cleanup_(dns_answer_done) struct dns_answer addresses = { 0 };
    struct span inner;

    if (address_literal(domain, &inner))
        return DOMAIN_EXISTS;

    enum dns_status status = restrict_query(s, domain, DNS_MX, &mx);

    if (status == DNS_OK)
        return is_null_mx(&mx) ? DOMAIN_NULL_MX : DOMAIN_EXISTS;
    if (status == DNS_NO_DATA)
        status = restrict_addresses(s, domain, &addresses);
    return status == DNS_OK          ? DOMAIN_EXISTS
           : status == DNS_TEMPORARY ? DOMAIN_TEMPORARY
                                     : DOMAIN_UNKNOWN;
}
