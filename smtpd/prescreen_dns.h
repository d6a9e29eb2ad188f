/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prescreen_dns.h - weighted DNS block and allow lists, asked in parallel (postscreen_dnsbl_sites)
 */
#ifndef SMTPD_PRESCREEN_DNS_H
#define SMTPD_PRESCREEN_DNS_H

#include "base/hash.h"
#include "smtpd/smtpd.h"

struct dnsbl;

/* What the lists say of one address. Shared by its connections. */
struct dnsbl_score {
    struct hash_node node;
    struct list link;
    struct dnsbl *dnsbl;
    union sockaddr_any addr;
    char text[INET6_ADDRSTRLEN];
    size_t users;
    struct waitq waiting;
    bool done;                  /* the rest is final */
    bool complete;              /* every list has answered */
    int64_t score;
    const char *domain;         /* of the listing that weighs most, as clients may see it */
    int64_t ttl;                /* seconds for which it holds */
    uint64_t fresh_until;
};

/* "list.example=127.0.0.[2..11]*2, allow.example*-3". 0, or negative with *err; *ret NULL when there is none. */
int dnsbl_open(const struct params *p, const struct restriction_set *set, struct dnsbl **ret, struct str *err);

/* Ask all lists about an address, unless that is going on or was done a moment ago. dnsbl_release when done. */
struct dnsbl_score *dnsbl_ask(struct dnsbl *d, const union sockaddr_any *addr, const char *text);
/* 0: score->done; -ETIMEDOUT, -ECANCELED */
MAY_WAIT int dnsbl_wait(struct dnsbl_score *score, uint64_t deadline);
void dnsbl_release(struct dnsbl_score *score);

#endif
