/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interfaces.c - the addresses by which this system is reached: inet_interfaces, proxy_interfaces
 *
 * Runs in: smtpd, qmgr, smtp, at start, on the administrator's text. Logs nothing.
 */
#include "mail/interfaces.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netdb.h>

#include "base/mem.h"

struct interfaces {
    union sockaddr_any *items;
    size_t len, cap;
};

struct interfaces *interfaces_new(void)
{
    return mem_new(struct interfaces);
}

void interfaces_free(struct interfaces *i)
{
    if (!i)
        return;
    free(i->items);
    free(i);
}

static void add(struct interfaces *i, const struct sockaddr *sa)
{
    union sockaddr_any a = { 0 };

    if (!sa || (sa->sa_family != AF_INET && sa->sa_family != AF_INET6))
        return;
    memcpy(&a, sa, sa->sa_family == AF_INET ? sizeof(a.in) : sizeof(a.in6));
    MEM_GROW(i->items, i->len, i->cap);
    i->items[i->len++] = a;
}

static int add_all(struct interfaces *i)
{
    struct ifaddrs *list;

    if (getifaddrs(&list) < 0)
        return -errno;
    for (struct ifaddrs *a = list; a; a = a->ifa_next)
        add(i, a->ifa_addr);
    freeifaddrs(list);
    return 0;
}

/* A host name or an address, which may be in brackets */
static void add_host(struct interfaces *i, struct span word)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    struct addrinfo *list = NULL;

    if (span_take(&word, '[') && word.len > 0)
        word.len--;
    _cleanup_free_ char *name = mem_dup_span(word);
    if (getaddrinfo(name, NULL, &hints, &list) != 0)
        return; /* master says so, which cannot bind it */
    for (struct addrinfo *a = list; a; a = a->ai_next)
        add(i, a->ai_addr);
    freeaddrinfo(list);
}

int interfaces_add(struct interfaces *i, const char *list)
{
    struct span in = span_of(list);
    struct span word;

    while (span_word(&in, ", \t\r\n", &word)) {
        if (span_eq_nocase_str(word, "all")) {
            int r = add_all(i);
            if (r < 0)
                return r;
        } else if (span_eq_nocase_str(word, "loopback-only")) {
            add_host(i, span_of("127.0.0.1"));
            add_host(i, span_of("::1"));
        } else {
            add_host(i, word);
        }
    }
    return 0;
}

bool interfaces_have(const struct interfaces *i, const union sockaddr_any *addr)
{
    for (size_t n = 0; n < i->len; n++) {
        const union sockaddr_any *own = &i->items[n];

        if (own->sa.sa_family != addr->sa.sa_family)
            continue;
        if (own->sa.sa_family == AF_INET && own->in.sin_addr.s_addr == addr->in.sin_addr.s_addr)
            return true;
        if (own->sa.sa_family == AF_INET6 &&
            memcmp(&own->in6.sin6_addr, &addr->in6.sin6_addr, sizeof(own->in6.sin6_addr)) == 0)
            return true;
    }
    return false;
}
