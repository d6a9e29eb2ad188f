/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_dane.c - TLSA records as a source of the TLS policy
 *
 * RFC 7672. The records count only when the resolver has authenticated them and the way to the
 * host: its MX record, its aliases and its address. A look-up that fails is no denial: the host is
 * left alone, or an attacker who can drop packets could choose the weaker policy (section 2.1.1).
 *
 * What smtp_dns_support_level = dnssec trusts is the resolver's AD bit: the resolver must validate, and the
 * way to it be safe, which means on this host.
 *
 * Runs in: smtp. DNS answers are hostile until authenticated.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/mem.h"
#include "smtp/smtp.h"
#include "smtp/tls_policy.h"

static uint64_t deadline(const struct tls_engine *e)
{
    return clock_deadline_ms(e->params->dns_timeout * 3000);
}

/* 1: authenticated records; 0: there are none; -1 with *why: cannot be known now. */
static int ask(struct tls_engine *e, const char *base, unsigned port, struct dns_answer *ret, struct failure *why)
{
    _cleanup_(str_free) struct str name = STR_INIT;

    str_addf(&name, "_%u._tcp.%s", port, base);
    dns_answer_done(ret);
    dns_query(str_cstr(&name), DNS_TLSA, deadline(e), ret);
    if (ret->status == DNS_OK)
        return ret->authentic;
    if (ret->status == DNS_NOT_FOUND || ret->status == DNS_NO_DATA)
        return 0;
    failure_set(why, false, "4.7.5", "TLSA lookup error for %s:%u", base, port);
    return -1;
}

/* Is host itself, not what its aliases lead to, in a signed zone? 1 yes, 0 no, -1 with *why. */
static int alias_is_secure(struct tls_engine *e, const struct tls_host *h, struct failure *why)
{
    _cleanup_(dns_answer_done) struct dns_answer a = { 0 };

    dns_query(h->host, DNS_CNAME, deadline(e), &a);
    if (a.status == DNS_OK)
        return a.authentic;
    if (a.status == DNS_NOT_FOUND || a.status == DNS_NO_DATA)
        return 0;
    failure_set(why, false, "4.7.5", "TLSA lookup error for %s:%u", h->host, h->port);
    return -1;
}

/* The names to ask for, RFC 7672 section 2.2.2: the end of a secure chain of aliases, then the host. */
static int find_records(struct tls_engine *e, const struct tls_host *h, struct dns_answer *ret, const char **ret_base,
                        struct failure *why)
{
    int r = 0;

    *ret_base = h->alias;
    if (h->host_secure && h->alias)
        r = ask(e, h->alias, h->port, ret, why);
    if (r != 0)
        return r;
    *ret_base = h->host;
    r = h->host_secure || e->params->smtp_tls_force_insecure_host_tlsa_lookup;
    if (!r && h->alias)
        r = alias_is_secure(e, h, why);
    return r == 1 ? ask(e, h->host, h->port, ret, why) : r;
}

/* The usable ones of p->answer go to p->tlsa. */
static void take_usable(struct tls_policy *p)
{
    p->tlsa = mem_new_n(struct tls_tlsa, p->answer.len);
    for (size_t i = 0; i < p->answer.len; i++) {
        struct tls_tlsa t;
        if (tls_tlsa_parse(p->answer.records[i].data, p->answer.records[i].data_len, &t) == 0 && tls_tlsa_usable(&t))
            p->tlsa[p->n_tlsa++] = t;
    }
    if (p->n_tlsa == 0)
        free(TAKE_PTR(p->tlsa));
}

static int no_records(const struct tls_host *h, struct tls_policy *p, struct failure *why)
{
    if (p->level == TLS_LEVEL_DANE_ONLY) {
        failure_set(why, false, "4.7.5", "no TLSA records found for %s, which TLS level dane-only needs", h->host);
        return -1;
    }
    p->level = TLS_LEVEL_MAY;
    str_addf(&p->source, ", no TLSA of %s", h->host);
    return 0;
}

/* Records, but none that says anything to us: something encrypted is meant (RFC 7672 section 2.2). */
static int none_usable(const struct tls_host *h, struct tls_policy *p, struct failure *why)
{
    if (p->level == TLS_LEVEL_DANE_ONLY) {
        failure_set(why, false, "4.7.5", "no usable TLSA records for %s, which TLS level dane-only needs", h->host);
        return -1;
    }
    p->level = TLS_LEVEL_ENCRYPT;
    str_addf(&p->source, ", unusable TLSA of %s", h->host);
    return 0;
}

int tls_dane_apply(struct tls_engine *e, const struct tls_host *h, struct tls_policy *p, struct failure *why)
{
    const char *base;
    bool only = p->level == TLS_LEVEL_DANE_ONLY;
    union sockaddr_any addr;

    if (socket_addr_parse(span_of(h->host), 0, &addr) == 0)
        return no_records(h, p, why);
    if (!h->mx_secure && (only || e->insecure_mx == TLS_LEVEL_MAY))
        return no_records(h, p, why);
    int r = find_records(e, h, &p->answer, &base, why);
    if (r < 0)
        return r;
    if (r == 0)
        return no_records(h, p, why);
    if (!h->mx_secure && e->insecure_mx == TLS_LEVEL_ENCRYPT) {
        p->level = TLS_LEVEL_ENCRYPT;
        str_addf(&p->source, ", TLSA of %s, insecure MX", base);
        return 0;
    }
    take_usable(p);
    if (p->n_tlsa == 0)
        return none_usable(h, p, why);
    p->level = TLS_LEVEL_DANE;
    p->mx_insecure = !h->mx_secure;
    str_addf(&p->source, ", TLSA of %s%s", base, p->mx_insecure ? ", insecure MX" : "");
    str_add_str(&p->match, base);
    str_add_str(&p->sni, base);
    return 0;
}
