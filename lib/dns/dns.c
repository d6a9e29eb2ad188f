/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns.c - look-ups and what is said of them
 *
 * Runs in: smtpd and smtp; names are hostile.
 */
#include "dns/dns.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "dns/internal.h"

/* explain - Postfix's words, which its operators' scripts know */
static void explain(struct dns_answer *a, const char *name, enum dns_type type)
{
    static const char *const texts[] = {
        [DNS_OK] = NULL,
        [DNS_NOT_FOUND] = "Host not found",
        [DNS_NO_DATA] = "Host found but no data record of requested type",
        [DNS_TEMPORARY] = "Host not found, try again",
        [DNS_INVALID] = "Malformed or unexpected name server reply",
    };
    _cleanup_(str_free) struct str shown = STR_INIT;

    if (!texts[a->status])
        return;
    str_add_escaped(&shown, span_of(name), 100, STR_ASCII);
    snprintf(a->text, sizeof a->text,
             "Host or domain name not found. Name service error for name=%s type=%s: %s",
             str_cstr(&shown), dns_type_name(type), texts[a->status]);
}

int dns_query(const char *name, enum dns_type type, uint64_t deadline, struct dns_answer *ret)
{
    int r = dns_resolver_wait(dns_resolver_start(name, type), deadline, ret);

    explain(ret, name, type);
    return r;
}

int dns_query_all(const char *const *names, size_t n, enum dns_type type, uint64_t deadline,
                  struct dns_answer *ret)
{
    struct dns_query_state **asked = mem_new_n(struct dns_query_state *, n);
    int r = 0;

    for (size_t i = 0; i < n; i++)
        asked[i] = dns_resolver_start(names[i], type);
    for (size_t i = 0; i < n; i++) {
        int one = dns_resolver_wait(asked[i], deadline, &ret[i]);

        explain(&ret[i], names[i], type);
        if (one < 0)
            r = one;
    }
    free(asked);
    return r;
}

/* join - the records of b behind those of a; b is empty afterwards. Which status counts: an answer
 * before a temporary failure before a denial, so that nobody is bounced for an answer that was
 * lost. */
static void join(struct dns_answer *a, struct dns_answer *b)
{
    static const int rank[] = {
        [DNS_OK] = 0,      [DNS_TEMPORARY] = 1, [DNS_INVALID] = 2,
        [DNS_NO_DATA] = 3, [DNS_NOT_FOUND] = 4,
    };
    /* Of the records that there are: an answer that was suppressed must not make the other one insecure. */
    bool authentic = (a->authentic || (a->len == 0 && b->len > 0)) && (b->authentic || (b->len == 0 && a->len > 0));

    if (!a->alias)
        a->alias = TAKE_PTR(b->alias);
    a->records = mem_realloc(a->records, a->len + b->len, sizeof *a->records);
    if (b->len > 0)
        memcpy(a->records + a->len, b->records, b->len * sizeof *b->records);
    a->len += b->len;
    b->len = 0;
    if (rank[b->status] <= rank[a->status]) {
        a->status = b->status;
        memcpy(a->text, b->text, sizeof a->text);
    }
    a->authentic = authentic;
    dns_answer_done(b);
}

int dns_addresses(const char *name, int families, uint64_t deadline, struct dns_answer *ret)
{
    struct dns_answer v4;

    if (families == AF_INET)
        return dns_query(name, DNS_A, deadline, ret);
    if (families == AF_INET6)
        return dns_query(name, DNS_AAAA, deadline, ret);
    struct dns_query_state *ask_v6 = dns_resolver_start(name, DNS_AAAA);
    struct dns_query_state *ask_v4 = dns_resolver_start(name, DNS_A);
    int r6 = dns_resolver_wait(ask_v6, deadline, ret);
    int r4 = dns_resolver_wait(ask_v4, deadline, &v4);
    explain(ret, name, DNS_AAAA);
    explain(&v4, name, DNS_A);
    join(ret, &v4);
    return r6 < 0 ? r6 : r4;
}

/* reverse_name - RFC 1035 section 3.5, RFC 3596 section 2.5 */
static void reverse_name(const union sockaddr_any *a, struct str *ret)
{
    if (a->sa.sa_family == AF_INET) {
        const unsigned char *b = (const unsigned char *)&a->in.sin_addr;

        str_addf(ret, "%u.%u.%u.%u.in-addr.arpa", b[3], b[2], b[1], b[0]);
        return;
    }
    for (int i = 15; i >= 0; i--) {
        unsigned b = a->in6.sin6_addr.s6_addr[i];

        str_addf(ret, "%x.%x.", b & 15, b >> 4);
    }
    str_add_str(ret, "ip6.arpa");
}

int dns_reverse(const union sockaddr_any *a, uint64_t deadline, struct dns_answer *ret)
{
    _cleanup_(str_free) struct str name = STR_INIT;
    union sockaddr_any plain = *a;

    socket_addr_unmap(&plain);
    reverse_name(&plain, &name);
    return dns_query(str_cstr(&name), DNS_PTR, deadline, ret);
}
