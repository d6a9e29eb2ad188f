/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nexthop.c - from a nexthop to the addresses to try, in order
 *
 * RFC 5321 section 5.1: MX hosts by preference, equal ones in random order (lib/dns
 * shuffles), the domain itself when it has no MX. RFC 7505: a null MX takes no mail.
 * MX hosts that are not better than ourselves are dropped, since mail would come back.
 *
 * Runs in: smtp. DNS answers are hostile.
 */
#include <errno.h>
#include <netdb.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "dns/dns.h"
#include "mail/address.h"
#include "mail/idna.h"
#include "smtp/smtp.h"

enum { TARGETS_MAX = 100 };

static int parse_port(struct span rest, unsigned default_port, unsigned *ret)
{
    uint32_t port;

    *ret = default_port;
    if (rest.len == 0)
        return 0;
    if (!span_take(&rest, ':') || span_u32(rest, 65535, &port) < 0 || port == 0)
        return -EINVAL;
    *ret = port;
    return 0;
}

int nexthop_parse(struct span text, unsigned default_port, struct nexthop *ret)
{
    struct span host = text, rest = SPAN_NULL;

    ret->no_mx = text.len > 0 && text.ptr[0] == '[';
    if (ret->no_mx) {
        ptrdiff_t end = span_chr(text, ']');
        if (end < 0)
            return -EINVAL;
        host = span_make(text.ptr + 1, (size_t)end - 1);
        rest = span_from(text, (size_t)end + 1);
        span_take_nocase(&host, "IPv6:");
    } else if (span_chr(text, ':') >= 0) {
        host = span_first(text, (size_t)span_chr(text, ':'));
        rest = span_from(text, host.len);
    }
    str_reset(&ret->host);
    if (host.len == 0 || span_chr(host, '\0') >= 0 || parse_port(rest, default_port, &ret->port) < 0)
        return -EINVAL;
    if (idna_to_ascii(host, &ret->host) < 0)
        str_set(&ret->host, host);
    return 0;
}

void targets_done(struct targets *t)
{
    for (size_t i = 0; i < t->len; i++)
        free(t->items[i].host), free(t->items[i].alias);
    free(t->items);
    free(t->expanded);
    *t = (struct targets){ 0 };
}

static struct target *add_target(struct targets *t, const char *host, const union sockaddr_any *addr, unsigned port)
{
    if (t->len >= TARGETS_MAX)
        return &t->items[t->len - 1];
    MEM_GROW(t->items, t->len, t->cap);
    struct target *n = &t->items[t->len++];
    n->host = mem_strdup(host);
    n->addr = *addr;
    n->alias = NULL;
    n->secure = false;
    if (addr->sa.sa_family == AF_INET6)
        n->addr.in6.sin6_port = htons((uint16_t)port);
    else
        n->addr.in.sin_port = htons((uint16_t)port);
    return n;
}

static int families(const struct params *p)
{
    if (strcmp(p->inet_protocols, "ipv4") == 0)
        return AF_INET;
    return strcmp(p->inet_protocols, "ipv6") == 0 ? AF_INET6 : AF_UNSPEC;
}

/* ---- the system's resolver, on a helper thread ---- */

struct native_query {
    const char *host;
    int family;
    struct addrinfo *found;
};

static int run_native(void *arg)
{
    struct native_query *q = arg;
    struct addrinfo hints = { .ai_family = q->family, .ai_socktype = SOCK_STREAM };

    return getaddrinfo(q->host, NULL, &hints, &q->found);
}

static int native_addresses(struct smtp_client *c, const char *host, unsigned port, struct targets *ret,
                            struct failure *why)
{
    struct native_query q = { host, families(c->params), NULL };
    int r = offload(run_native, &q);

    if (r != 0) {
        bool permanent = r == EAI_NONAME || r == EAI_NODATA;
        failure_set(why, permanent, permanent ? "5.4.4" : "4.4.3", "unable to look up host %s: %s", host,
                    gai_strerror(r));
        return -1;
    }
    for (struct addrinfo *a = q.found; a; a = a->ai_next) {
        union sockaddr_any addr;
        memcpy(&addr, a->ai_addr, a->ai_addrlen);
        add_target(ret, host, &addr, port);
    }
    freeaddrinfo(q.found);
    return 0;
}

/* ---- DNS ---- */

static void dns_failure(const struct dns_answer *a, struct failure *why)
{
    bool permanent = a->status == DNS_NOT_FOUND || a->status == DNS_NO_DATA || a->status == DNS_INVALID;

    failure_set(why, permanent, permanent ? "5.4.4" : "4.4.3", "%s", a->text);
}

/* uses_dnssec - what the resolver has validated is believed */
static bool uses_dnssec(const struct params *p)
{
    return strcmp(p->smtp_dns_support_level, "dnssec") == 0;
}

static void note_security(struct target *t, const struct dns_answer *a, const struct params *p)
{
    t->secure = a->authentic && uses_dnssec(p);
    if (a->alias && !t->alias)
        t->alias = mem_strdup(a->alias);
}

static int dns_host(struct smtp_client *c, const char *host, unsigned port, struct targets *ret,
                    struct failure *why)
{
    _cleanup_(dns_answer_done) struct dns_answer a = { 0 };

    dns_addresses(host, families(c->params), clock_deadline_ms(c->params->dns_timeout * 3000), &a);
    if (a.status != DNS_OK) {
        dns_failure(&a, why);
        return -1;
    }
    for (size_t i = 0; i < a.len; i++)
        note_security(add_target(ret, host, &a.records[i].addr, port), &a, c->params);
    return 0;
}

/* without_dns - look up nothing in DNS */
static bool without_dns(const struct params *p)
{
    return strcmp(p->smtp_dns_support_level, "disabled") == 0;
}

bool nexthop_asks_system(const struct params *p)
{
    return without_dns(p) || strstr(p->smtp_host_lookup, "native");
}

static int host_addresses(struct smtp_client *c, const char *host, unsigned port, struct targets *ret,
                          struct failure *why)
{
    const struct params *p = c->params;
    union sockaddr_any addr;

    if (socket_addr_parse(span_of(host), port, &addr) == 0) {
        add_target(ret, host, &addr, port);
        return 0;
    }
    if (without_dns(p) || strcmp(p->smtp_host_lookup, "native") == 0)
        return native_addresses(c, host, port, ret, why);
    int r = dns_host(c, host, port, ret, why);
    if (r < 0 && strstr(p->smtp_host_lookup, "native"))
        r = native_addresses(c, host, port, ret, why);
    return r;
}

/* Addresses of the MX hosts before `end`; an unusable host is skipped as long as another one is left. */
static int mx_addresses(struct smtp_client *c, const struct dns_answer *mx, size_t end, unsigned port,
                        struct targets *ret, struct failure *why)
{
    bool temporary = false;

    for (size_t i = 0; i < end; i++) {
        if (host_addresses(c, mx->records[i].name, port, ret, why) < 0 && !why->permanent)
            temporary = true;
    }
    if (ret->len > 0)
        return 0;
    if (temporary && why->permanent)
        failure_set(why, false, "4.4.3", "no MX host has an address that can be looked up now");
    return -1;
}

/* How many MX records are better than the first that names us. */
static size_t better_than_us(const struct params *p, const struct dns_answer *mx)
{
    size_t i, end;

    for (i = 0; i < mx->len; i++)
        if (span_eq_nocase(span_of(mx->records[i].name), span_of(p->myhostname)))
            break;
    if (i == mx->len)
        return mx->len;
    for (end = i; end > 0 && mx->records[end - 1].preference >= mx->records[i].preference;)
        end--;
    return end;
}

static int find_by_mx(struct smtp_client *c, const struct nexthop *hop, struct targets *ret,
                      struct failure *why)
{
    _cleanup_(dns_answer_done) struct dns_answer mx = { 0 };
    const char *domain = str_cstr((struct str *)&hop->host);

    dns_query(domain, DNS_MX, clock_deadline_ms(c->params->dns_timeout * 3000), &mx);
    ret->mx_secure = mx.authentic && uses_dnssec(c->params);
    ret->expanded = TAKE_PTR(mx.alias);
    if (mx.status == DNS_NO_DATA)
        return host_addresses(c, domain, hop->port, ret, why);
    if (mx.status != DNS_OK) {
        dns_failure(&mx, why);
        return -1;
    }
    if (mx.len == 1 && mx.records[0].name[0] == '\0') {
        failure_set(why, true, "5.1.0", "Domain %s does not accept mail (nullMX)", domain);
        return -1;
    }
    size_t end = better_than_us(c->params, &mx);
    if (end == 0) {
        failure_set(why, true, "5.4.6", "mail for %s loops back to myself", domain);
        return -1;
    }
    return mx_addresses(c, &mx, end, hop->port, ret, why);
}

int targets_find(struct smtp_client *c, const struct nexthop *hop, struct targets *ret, struct failure *why)
{
    union sockaddr_any addr;
    const char *host = str_cstr((struct str *)&hop->host);

    if (hop->no_mx || socket_addr_parse(str_span(&hop->host), hop->port, &addr) == 0 ||
        without_dns(c->params)) {
        ret->mx_secure = true;      /* none was asked for */
        return host_addresses(c, host, hop->port, ret, why);
    }
    return find_by_mx(c, hop, ret, why);
}
