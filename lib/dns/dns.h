/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns.h - look-ups by c-ares under fibers
 *
 * Names are ASCII (A-labels). Answers are owned by the caller. dns_init() reads
 * the system's resolver configuration, before the sandbox closes; the parameter
 * dns_servers ("127.0.0.1:5353 ...", empty: the system's) overrides its servers.
 */
#ifndef DNS_DNS_H
#define DNS_DNS_H

#include "base/own.h"
#include "base/str.h"
#include "io/socket.h"

enum dns_status {
    DNS_OK,
    DNS_NOT_FOUND,      /* NXDOMAIN */
    DNS_NO_DATA,        /* the name exists, without such records */
    DNS_TEMPORARY,      /* timeout, SERVFAIL */
    DNS_INVALID,        /* the name is malformed, or the answer is */
};

enum dns_type {
    DNS_A = 1, DNS_NS = 2, DNS_CNAME = 5, DNS_PTR = 12, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28, DNS_TLSA = 52,
};

struct dns_record {
    enum dns_type type;
    uint32_t ttl;
    uint16_t preference;                /* MX */
    char *name;                         /* MX, NS, PTR, CNAME target; "" is the root (null MX) */
    union sockaddr_any addr;            /* A, AAAA; port 0 */
    unsigned char *data;                /* TXT (joined), TLSA (RDATA) */
    size_t data_len;
};

struct dns_answer {
    enum dns_status status;
    uint32_t negative_ttl;              /* of NOT_FOUND and NO_DATA (RFC 2308 section 5); 0: not known */
    bool authentic;                     /* the AD bit of a resolver that validates (RFC 4035 section 3.2.3): of the
                                           records and of the aliases that led to them, or of their absence */
    char *alias;                        /* the name at the end of the aliases (CNAME) of the one asked for; or NULL */
    struct dns_record *records;         /* MX sorted by preference, equal ones shuffled */
    size_t len;
    char text[256];                     /* for the log: "Host or domain name not found. Name service error for name=x type=MX: Host not found" */
};

int dns_init(const char *servers, int64_t timeout_ms, struct str *err);
MAY_WAIT int dns_query(const char *name, enum dns_type type, uint64_t deadline, struct dns_answer *ret);
/* Several names at once, each with its answer; all are over when this returns. 0, or -ECANCELED. */
MAY_WAIT int dns_query_all(const char *const *names, size_t n, enum dns_type type, uint64_t deadline,
                           struct dns_answer *ret);
/* Both address families, IPv6 and IPv4 by `families` (AF_UNSPEC, AF_INET, AF_INET6), concurrently. */
MAY_WAIT int dns_addresses(const char *name, int families, uint64_t deadline, struct dns_answer *ret);
/* Reverse look-up of an address; 0 and status in *ret. */
MAY_WAIT int dns_reverse(const union sockaddr_any *a, uint64_t deadline, struct dns_answer *ret);
void dns_answer_done(struct dns_answer *a);

/* Are all name servers on this host? Only then is `authentic` out of the reach of others on the network. */
bool dns_servers_are_local(void);

#endif
