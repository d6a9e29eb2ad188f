/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_policy.h - what TLS a server must offer before it gets our mail: one decision, and who made it
 *
 *     site    for a destination, before its servers are known: main.cf, then the policy table
 *     policy  for one server of it: the site's, then TLSA records; ready for lib/tls
 *
 * The sources are rows of two tables in tls_policy.c; each may change what those before it said and adds
 * its name to `source`, which the log shows.
 */
#ifndef SMTP_TLS_POLICY_H
#define SMTP_TLS_POLICY_H

#include "conf/conf.h"
#include "dns/dns.h"
#include "table/table.h"
#include "tls/client.h"

struct failure;

/* ---- tls_policy_line.c ---- */

/* A level and its attributes, as main.cf or a line of the policy table gives them. */
struct tls_line {
    enum tls_level level;
    unsigned given;             /* enum tls_attribute: which of these are set; the rest is main.cf's */
    struct str protocols, ciphers, exclude, servername;
    struct str match;           /* blank-separated */
    struct str tafiles;         /* blank-separated */
    bool connection_reuse;
};
enum tls_attribute {
    TLS_PROTOCOLS = 1 << 0, TLS_CIPHERS = 1 << 1, TLS_EXCLUDE = 1 << 2, TLS_MATCH = 1 << 3, TLS_TAFILE = 1 << 4,
    TLS_CONNECTION_REUSE = 1 << 5, TLS_SERVERNAME = 1 << 6,
};
/*
 * "LEVEL name=value ...", separated by blanks or commas. ret is zeroed or was used before. 0, or -EINVAL with *err
 * naming the word and what is accepted.
 */
int tls_line_parse(struct span text, struct tls_line *ret, struct str *err);
void tls_line_done(struct tls_line *l);

/* ---- tls_policy.c ---- */

/* What start() opened: the settings as they are used. */
struct tls_engine {
    const struct params *params;
    struct maps *table;             /* smtp_tls_policy_maps */
    struct tls_line main_cf;        /* level only */
    enum tls_level insecure_mx;     /* MAY, ENCRYPT or DANE */
    struct tls_anchors anchors;     /* smtp_tls_trust_anchor_file */
    bool dnssec;                    /* look-ups are authenticated */
};
/* 0, or -EINVAL/-errno with *err naming the parameter. */
int tls_engine_open(const struct params *p, struct tls_engine *ret, struct str *err);
void tls_engine_done(struct tls_engine *e);

struct tls_site {
    struct tls_line line;
    struct str source;              /* "main.cf", "policy table .example.com" */
    struct str identity;            /* equal for sites that ask the same: part of the key of kept connections */
};
/* destination: as qmgr names it, "example.com", "[mail.example.com]:587". 0, or -1 with *why. */
MAY_WAIT int tls_site_find(struct tls_engine *e, const char *destination, struct tls_site *ret, struct failure *why);
void tls_site_done(struct tls_site *s);

/* A server, as DNS led to it. Borrowed. */
struct tls_host {
    const char *domain;             /* of the destination, without brackets and port */
    const char *expanded;           /* the name that it is an alias of; or NULL */
    const char *host;               /* or an address */
    const char *alias;              /* at the end of host's aliases; or NULL */
    unsigned port;
    bool mx_secure;                 /* the way from domain to host is authenticated */
    bool host_secure;               /* and that from host to its address */
};

/* The decision. */
struct tls_policy {
    enum tls_level level;           /* what is done in the end: not DANE_ONLY, and DANE only with records */
    struct str source;              /* "main.cf, TLSA of mx.example.com" */
    size_t site_len;                /* of it the part of the site, which may be another's on a kept connection */
    uint64_t protocols_off;
    struct str ciphers, match, sni;
    struct tls_tlsa *tlsa;          /* into answer, or the engine's or our own anchors */
    size_t n_tlsa;
    struct dns_answer answer;
    struct tls_anchors anchors;
    bool mx_insecure;               /* the host's name may be forged: "Trusted" at best */
};
/* 0, or -1 with *why: this server must not get the mail now. */
MAY_WAIT int tls_policy_decide(struct tls_engine *e, const struct tls_site *site, const struct tls_host *h,
                               struct tls_policy *ret, struct failure *why);
void tls_policy_done(struct tls_policy *p);
/* For lib/tls; borrows from p. */
struct tls_need tls_policy_need(const struct tls_engine *e, const struct tls_policy *p);
/* Everything a session depends on beside the server's address: part of the key of kept sessions. */
void tls_policy_identity(const struct tls_policy *p, struct str *ret);

/* ---- tls_dane.c ---- */

/*
 * TLSA records of a server: p->level is DANE or DANE_ONLY before, and MAY, ENCRYPT or DANE after. 0, or -1 with
 * *why. RFC 7672 sections 2.1 and 2.2.
 */
MAY_WAIT int tls_dane_apply(struct tls_engine *e, const struct tls_host *h, struct tls_policy *p,
                            struct failure *why);

#endif
