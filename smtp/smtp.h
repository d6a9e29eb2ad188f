/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp.h - what the parts of the SMTP client share
 *
 *     main.c       what the process is
 *     session.c    qmgr's requests, one after another
 *     nexthop.c    "[host]:port" and domains -> addresses to try, in order
 *     tls_policy.c what TLS a server must offer: one decision (tls_policy.h)
 *     tls_start.c  STARTTLS, the handshake, and what was shown in it
 *     connection.c a connection to one server: connect, greeting, EHLO, STARTTLS
 *     reply.c      what the server answers, line by line
 *     cache.c      connections kept for the next message
 *     transfer.c   MAIL, RCPT, DATA: one message over one connection
 *     content.c    the bytes of the message
 *     delivery.c   one message to its next hop: which address next, what became of each recipient
 */
#ifndef SMTP_SMTP_H
#define SMTP_SMTP_H

#include "daemon/daemon.h"
#include "ipc/msg_deliver.h"
#include "mail/status.h"
#include "queue/delivery_line.h"
#include "smtp/tls_policy.h"

/* The process: what start() opened. */
struct smtp_client {
    const struct params *params;
    struct smtp_tls *tls;
    unsigned default_port;
    struct list cached;             /* of struct connection, oldest first */
    bool reaper_runs;
};

/* Why something failed as a whole, for every recipient it concerns. */
struct failure {
    bool permanent;
    char dsn[16];
    struct str text;
};
void failure_set(struct failure *f, bool permanent, const char *dsn, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* ---- nexthop.c ---- */

struct nexthop {
    struct str host;        /* A-label form, or an address */
    unsigned port;
    bool no_mx;             /* was in brackets */
};
/* "domain", "domain:port", "[host]", "[host]:port", "[192.0.2.1]", "[IPv6:2001:db8::1]:port". 0 or -EINVAL. */
int nexthop_parse(struct span text, unsigned default_port, struct nexthop *ret);

/* Do the settings have host names looked up by the system, beside or instead of DNS? */
bool nexthop_asks_system(const struct params *p);

struct target {
    char *host;
    char *alias;            /* at the end of host's aliases; or NULL */
    bool secure;            /* DNS has authenticated the way from host to address */
    union sockaddr_any addr;
};
struct targets {
    struct target *items;
    size_t len, cap;
    bool mx_secure;         /* DNS has authenticated the way from the next hop to the hosts */
    char *expanded;         /* the domain that the next hop is an alias of; or NULL */
};
void targets_done(struct targets *t);
/* Addresses to try, in order (RFC 5321 section 5.1, RFC 7505). 0, or -1 with *why set. */
MAY_WAIT int targets_find(struct smtp_client *c, const struct nexthop *hop, struct targets *ret,
                          struct failure *why);

/* ---- reply.c ---- */

/*
 * Add line `number` (from 0) of a reply, without its line end, to *reply, which is empty before the first.
 * ret_text  what stands after the code; points into line
 * Returns 1: more lines follow, 0: it was the last, -EPROTO: not a reply, or beyond its limits.
 */
int reply_add_line(struct smtp_reply *reply, unsigned number, struct span line, struct span *ret_text);
/* Set reply->dsn from the text, or from the code when the text has none that fits. */
void reply_set_dsn(struct smtp_reply *reply);

enum smtp_feature {
    FEATURE_PIPELINING = 1 << 0, FEATURE_8BITMIME = 1 << 1, FEATURE_SIZE = 1 << 2, FEATURE_STARTTLS = 1 << 3,
    FEATURE_SMTPUTF8 = 1 << 4, FEATURE_DSN = 1 << 5, FEATURE_CHUNKING = 1 << 6, FEATURE_ENHANCED = 1 << 7,
};

/* A line of the answer to EHLO, without its code: adds the feature that it names. size_limit: of SIZE. */
void ehlo_note_feature(struct span line, unsigned *features, uint64_t *size_limit);

/* ---- connection.c ---- */

struct connection {
    struct list cached;         /* in smtp_client.cached */
    struct smtp_client *client;
    struct stream *stream;
    char *nexthop;              /* the key it is kept under */
    struct str peer;            /* "host[addr]" for log and reports */
    struct str relay;           /* "host[addr]:port" */
    char *host;
    unsigned features;
    uint64_t size_limit;        /* 0: not known */
    unsigned uses;
    uint64_t opened_ms, idle_until_ms;
    struct tls_policy policy;
    const char *doing;          /* "RCPT TO", for texts; "initial greeting" ... */
};
/* Connect and introduce ourselves. 0 and *ret, or -1 with *why (then *reached tells whether the server
 * had answered at all). */
struct delivery;
MAY_WAIT int connection_open(struct delivery *d, const struct targets *targets, const struct target *t,
                             struct connection **ret, struct failure *why);
/* Send QUIT if the connection still works, do not wait for the answer, and free. */
MAY_WAIT void connection_close(struct connection *k);
/* Read a whole reply; *reply is reset first. 0, or a stream error (or -EPROTO), then *why is set. */
MAY_WAIT int connection_reply(struct connection *k, const char *doing, int64_t timeout_s,
                              struct smtp_reply *reply, struct failure *why);
/* "host h[a] said: 550 ... (in reply to RCPT TO command)" */
void connection_said(const struct connection *k, const struct smtp_reply *reply, const char *doing,
                     struct str *ret);

/* ---- tls_start.c ---- */

/* Read certificates and what main.cf says of TLS. 0, or negative after having logged why. */
int smtp_tls_open(struct server *sv, struct smtp_tls **ret);
/* The same again for what has changed on disk; on failure the old stays. For struct daemon. */
int smtp_tls_reread(struct server *sv);

/* d->tls of the destination; 0, or -1 with *why. */
MAY_WAIT int smtp_tls_destination(struct delivery *d, struct failure *why);
/* The policy for one server of it; 0, or -1 with *why: it must not get the mail now. */
MAY_WAIT int smtp_tls_decide(struct delivery *d, const struct targets *targets, const struct target *t,
                             struct tls_policy *ret, struct failure *why);
/* Say which policy the message goes under (smtp_tls_loglevel). */
void smtp_tls_log(const struct delivery *d, const struct connection *k);

enum tls_start { TLS_STARTED, TLS_NOT_STARTED, TLS_TRY_WITHOUT, TLS_FAILED };
/* With smtp_tls_wrappermode: the handshake before anything is said. */
MAY_WAIT enum tls_start smtp_tls_wrap(struct delivery *d, struct connection *k, struct failure *why);
/* After EHLO: STARTTLS and the handshake, if the policy wants it; *why is set for the last two. */
MAY_WAIT enum tls_start smtp_tls_start(struct delivery *d, struct connection *k, struct failure *why);
/* After EHLO within TLS: has the server said more than it was asked? 0, or -1 with *why. */
int smtp_tls_check_early(struct connection *k, struct failure *why);

/* ---- cache.c ---- */
struct connection *cache_take(struct smtp_client *c, const char *nexthop);
void cache_put(struct smtp_client *c, struct connection *k);

/* ---- delivery.c ---- */

struct delivery_rcpt {
    struct deliver_rcpt r;
    enum { RCPT_UNDECIDED, RCPT_DECIDED } state;
    bool accepted;              /* by RCPT TO on the present connection */
    struct outcome result;      /* what would stand now */
};
struct delivery {
    struct smtp_client *client;
    struct deliver request;
    struct delivery_rcpt *rcpts;
    int fd;                     /* the queue file, read-only */
    struct delivery_times times;
    bool dead;                  /* no server could be reached */
    struct failure last;        /* why, for deliver_done */
    struct nexthop hop;
    struct tls_site tls;        /* what TLS the destination wants */
    struct str key;             /* what its connections are kept under */
};
MAY_WAIT void delivery_run(struct delivery *d);

/* Set what is to be said of a recipient. final: no other server will be asked. */
void delivery_result(struct delivery *d, struct delivery_rcpt *r, const struct connection *k,
                     uint32_t status, const char *dsn, struct span text, bool final);

/* ---- transfer.c ---- */

/* One message over one connection. Sets the result of each undecided recipient. 0: the connection can be
 * used again; negative: it is broken or out of step. */
MAY_WAIT int transfer(struct delivery *d, struct connection *k);

/* ---- content.c ---- */

/* Send `size` bytes of fd from offset, dot-stuffed, then the end of DATA (RFC 5321 section 4.5.2). Errors
 * are sticky in the stream; -EIO when the file cannot be read. */
MAY_WAIT int content_send(struct stream *st, int fd, uint64_t offset, uint64_t size, bool keep_bare_cr);
/* What stands between two pieces of content: the last byte that was sent ('\n' at the start), and whether a
 * CR waits for its LF. */
struct content_state {
    bool at_line_start, cr;
    bool keep_bare_cr;
};
/* Append bytes with dots doubled at the start of lines, and bare CRs as blanks unless they are to be kept. */
void content_stuff(struct span bytes, struct content_state *s, struct str *ret);

#endif
