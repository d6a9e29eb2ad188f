/* SPDX-License-Identifier: Apache-2.0 */
/*
 * targets.c - from a next hop to the addresses to try, in order
 *
 * RFC 5321 section 5.1: MX hosts by preference, the domain itself when it has no MX. RFC 7505: a
 * null MX takes no mail. MX hosts that are not better than ourselves are dropped, since mail would
 * come back. Addresses of equal preference are shuffled, then their families take turns (RFC 8305
 * section 4), so that a broken IPv6 costs one attempt and not one for each of its addresses.
 *
 * Runs in: smtp. DNS answers are hostile.
 */
#include <errno.h>
#include <netdb.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "dns/dns.h"
#include "smtp/smtp.h"

enum { TARGETS_MAX = 100, LOOP_PORT = 25 };

static void free_target(struct target *t)
{
    free(t->host);
    free(t->alias);
}

void targets_done(struct targets *t)
{
    for (size_t i = 0; i < t->len; i++)
        free_target(&t->items[i]);
    free(t->items);
    free(t->expanded);
    *t = (struct targets){ 0 };
}

void target_add_name(const struct target *t, struct str *ret)
{
    char addr[INET6_ADDRSTRLEN];
    bool is_unix = t->addr.sa.sa_family == AF_UNIX;

    str_add_escaped(ret, span_of(t->host), 255, STR_ASCII);
    str_addf(ret, "[%s]",
             is_unix ? ((const struct sockaddr_un *)&t->addr.sa)->sun_path
                     : socket_addr_print(&t->addr, addr));
    if (!is_unix)
        str_addf(ret, ":%u", socket_addr_port(&t->addr));
}

/* What one look-up of addresses needs to know */
struct search {
    struct smtp_client *client;
    unsigned port;
    uint16_t preference;        /* of the MX record whose host is looked up */
    struct targets *ret;
    struct failure *why;
};

/* NULL: there are enough */
static struct target *add_target(struct search *s, const char *host, const union sockaddr_any *addr)
{
    struct targets *t = s->ret;

    if (t->len >= TARGETS_MAX)
        return NULL;
    MEM_GROW(t->items, t->len, t->cap);
    struct target *n = &t->items[t->len++];
    *n = (struct target){ .host = mem_strdup(host), .addr = *addr, .preference = s->preference };
    if (addr->sa.sa_family == AF_INET6)
        n->addr.in6.sin6_port = htons((uint16_t)s->port);
    else
        n->addr.in.sin_port = htons((uint16_t)s->port);
    return n;
}

static int families(const struct params *p)
{
    struct span list = span_of(p->inet_protocols), word;
    bool v4 = false, v6 = false;

    while (span_word(&list, ", \t\r\n", &word)) {
        v4 |= span_eq_nocase_str(word, "ipv4") || span_eq_nocase_str(word, "all");
        v6 |= span_eq_nocase_str(word, "ipv6") || span_eq_nocase_str(word, "all");
    }
    return v4 == v6 ? AF_UNSPEC : v4 ? AF_INET : AF_INET6;
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

static int native_addresses(struct search *s, const char *host)
{
    struct native_query q = { host, families(s->client->params), NULL };
    int r = offload(run_native, &q);

    if (r != 0) {
        bool permanent = r == EAI_NONAME || r == EAI_NODATA;
        failure_set(s->why, permanent, permanent ? "5.4.4" : "4.4.3",
                    "unable to look up host %s: %s", host, gai_strerror(r));
        return -1;
    }
    for (struct addrinfo *a = q.found; a; a = a->ai_next) {
        union sockaddr_any addr = { 0 };
        memcpy(&addr, a->ai_addr, a->ai_addrlen);
        add_target(s, host, &addr);
    }
    freeaddrinfo(q.found);
    return 0;
}

/* ---- DNS ---- */

static void dns_failure(const struct dns_answer *a, struct failure *why)
{
    bool permanent =
        a->status == DNS_NOT_FOUND || a->status == DNS_NO_DATA || a->status == DNS_INVALID;

    failure_set(why, permanent, permanent ? "5.4.4" : "4.4.3", "%s", a->text);
}

/* uses_dnssec - what the resolver has validated is believed */
static bool uses_dnssec(const struct params *p)
{
    return strcmp(p->smtp_dns_support_level, "dnssec") == 0;
}

static void note_security(struct target *t, const struct dns_answer *a, const struct params *p)
{
    if (!t)
        return;
    t->secure = a->authentic && uses_dnssec(p);
    if (a->alias)
        t->alias = mem_strdup(a->alias);
}

static int dns_host(struct search *s, const char *host)
{
    _cleanup_(dns_answer_done) struct dns_answer a = { 0 };
    const struct params *p = s->client->params;

    dns_addresses(host, families(p), clock_deadline_ms(p->dns_timeout * 3000), &a);
    if (a.status != DNS_OK) {
        dns_failure(&a, s->why);
        return -1;
    }
    for (size_t i = 0; i < a.len; i++)
        note_security(add_target(s, host, &a.records[i].addr), &a, p);
    return 0;
}

/* without_dns - look up nothing in DNS */
static bool without_dns(const struct params *p)
{
    return strcmp(p->smtp_dns_support_level, "disabled") == 0;
}

bool targets_ask_system(const struct params *p)
{
    return without_dns(p) || strstr(p->smtp_host_lookup, "native");
}

/* By the methods of smtp_host_lookup, in their order */
static int look_up(struct search *s, const char *host)
{
    const struct params *p = s->client->params;
    struct span list = span_of(without_dns(p) ? "native" : p->smtp_host_lookup), word;
    int r = -1;

    while (r < 0 && span_word(&list, ", \t\r\n", &word))
        r = span_eq_nocase_str(word, "native") ? native_addresses(s, host) : dns_host(s, host);
    return r;
}

static int host_addresses(struct search *s, const char *host)
{
    union sockaddr_any addr;

    if (socket_addr_parse(span_of(host), s->port, &addr) < 0)
        return look_up(s, host);
    add_target(s, host, &addr);
    return 0;
}

/* Is one of the addresses ours? Only on the port where other systems' mail comes in: others are for
 * filters. */
static bool is_own(const struct search *s, const struct target *t)
{
    return !s->client->lmtp && s->port == LOOP_PORT && interfaces_have(s->client->own, &t->addr);
}

static int loops_back(struct search *s, const char *domain)
{
    failure_set(s->why, true, "5.4.6", "mail for %s loops back to myself", domain);
    s->why->final = true;
    return -1;
}

/* ---- MX ---- */

/* Addresses of the MX hosts; an unusable host is skipped as long as another one is left. */
static int mx_addresses(struct search *s, const struct dns_answer *mx)
{
    bool temporary = false;

    for (size_t i = 0; i < mx->len; i++) {
        s->preference = mx->records[i].preference;
        if (host_addresses(s, mx->records[i].name) < 0 && !s->why->permanent)
            temporary = true;
    }
    if (s->ret->len > 0)
        return 0;
    if (temporary && s->why->permanent)
        failure_set(s->why, false, "4.4.3", "no MX host has an address that can be looked up now");
    if (s->why->permanent && s->client->params->smtp_defer_if_no_mx_address_found) {
        s->why->permanent = false;
        s->why->dsn[0] = '4';
    }
    return -1;
}

/* Drop the hosts that are no better than ourselves, by name or address. False: none is left. */
static bool keep_better_than_us(struct search *s, const struct dns_answer *mx)
{
    struct targets *t = s->ret;
    unsigned ours = UINT16_MAX + 1;

    for (size_t i = 0; i < mx->len; i++)
        if (span_eq_nocase(span_of(mx->records[i].name), span_of(s->client->params->myhostname)) &&
            mx->records[i].preference < ours)
            ours = mx->records[i].preference;
    for (size_t i = 0; i < t->len; i++)
        if (t->items[i].preference < ours && is_own(s, &t->items[i]))
            ours = t->items[i].preference;
    t->we_are_mx = ours <= UINT16_MAX;
    while (t->len > 0 && t->items[t->len - 1].preference >= ours)
        free_target(&t->items[--t->len]);
    return t->len > 0;
}

static int by_preference(const void *a, const void *b)
{
    const struct dns_record *x = a, *y = b;

    return x->preference != y->preference ? x->preference - y->preference
                                          : strcmp(x->name, y->name);
}

static int find_by_mx(struct search *s, const char *domain)
{
    _cleanup_(dns_answer_done) struct dns_answer mx = { 0 };
    const struct params *p = s->client->params;

    dns_query(domain, DNS_MX, clock_deadline_ms(p->dns_timeout * 3000), &mx);
    s->ret->mx_secure = mx.authentic && uses_dnssec(p);
    s->ret->expanded = TAKE_PTR(mx.alias);
    if (mx.status == DNS_NO_DATA || (mx.status == DNS_TEMPORARY && p->ignore_mx_lookup_error))
        return host_addresses(s, domain) < 0  ? -1
               : is_own(s, &s->ret->items[0]) ? loops_back(s, domain)
                                              : 0;
    if (mx.status != DNS_OK) {
        dns_failure(&mx, s->why);
        return -1;
    }
    if (mx.len == 1 && mx.records[0].name[0] == '\0') {
        failure_set(s->why, true, "5.1.0", "Domain %s does not accept mail (nullMX)", domain);
        s->why->final = true;
        return -1;
    }
    if (!p->smtp_randomize_addresses)
        qsort(mx.records, mx.len, sizeof *mx.records, by_preference);
    if (mx_addresses(s, &mx) < 0)
        return -1;
    return keep_better_than_us(s, &mx) ? 0 : loops_back(s, domain);
}

/* ---- order ---- */

static void swap(struct target *a, struct target *b)
{
    struct target t = *a;

    *a = *b;
    *b = t;
}

static void shuffle(struct target *t, size_t n)
{
    for (size_t i = n; i > 1; i--)
        swap(&t[i - 1], &t[rand_below(i)]);
}

/* Bring the first of `family` at or behind t[0] to the front, the others keep their order. */
static void bring_forward(struct target *t, size_t n, int family)
{
    for (size_t i = 0; i < n; i++)
        if (t[i].addr.sa.sa_family == family) {
            for (; i > 0; i--)
                swap(&t[i], &t[i - 1]);
            return;
        }
}

/* Families by turns, as long as there are both */
static void interleave(struct target *t, size_t n, int first)
{
    int family = first ? first : t[0].addr.sa.sa_family;

    for (size_t i = 0; i < n; i++) {
        bring_forward(&t[i], n - i, family);
        family = t[i].addr.sa.sa_family == AF_INET6 ? AF_INET : AF_INET6;
    }
}

/* With a limit to the number of addresses, the second family must not stand behind it. */
static void balance(struct target *t, size_t n, size_t limit)
{
    if (limit < 2 || n <= limit)
        return;
    for (size_t i = 1; i < limit; i++)
        if (t[i].addr.sa.sa_family != t[0].addr.sa.sa_family)
            return;
    for (size_t i = limit; i < n; i++)
        if (t[i].addr.sa.sa_family != t[0].addr.sa.sa_family) {
            swap(&t[limit - 1], &t[i]);
            return;
        }
}

void targets_arrange(const struct params *p, struct targets *t)
{
    const char *preference = p->smtp_address_preference;
    int first = strcmp(preference, "ipv6") == 0   ? AF_INET6
                : strcmp(preference, "ipv4") == 0 ? AF_INET
                                                  : 0;

    for (size_t i = 0, end; i < t->len; i = end) {
        for (end = i; end < t->len && t->items[end].preference == t->items[i].preference;)
            end++;
        if (p->smtp_randomize_addresses)
            shuffle(&t->items[i], end - i);
        interleave(&t->items[i], end - i, first);
    }
    if (p->smtp_balance_inet_protocols)
        balance(t->items, t->len, (size_t)p->smtp_mx_address_limit);
}

int targets_find(struct smtp_client *c, const struct nexthop *hop, struct targets *ret,
                 struct failure *why)
{
    struct search s = { .client = c, .port = hop->port, .ret = ret, .why = why };
    const char *host = str_cstr((struct str *)&hop->host);
    union sockaddr_any addr;
    int r;

    if (hop->no_mx || c->lmtp || without_dns(c->params) ||
        socket_addr_parse(str_span(&hop->host), 0, &addr) == 0) {
        ret->mx_secure = true;      /* none was asked for */
        r = host_addresses(&s, host);
        if (r == 0 && ret->len > 0 && is_own(&s, &ret->items[0]))
            r = loops_back(&s, host);
    } else {
        r = find_by_mx(&s, host);
    }
    if (r == 0)
        targets_arrange(c->params, ret);
    return r;
}
