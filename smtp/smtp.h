/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp.h - what the parts of the SMTP and LMTP client share
 *
 *     client.c     what the process opens at its start
 *     session.c    qmgr's requests, one after another
 *     nexthop.c    the forms in which a next hop is written
 *     targets.c    next hop -> addresses to try, in order
 *     race.c       connect to the first of several addresses that answers
 *     sasl.c       signing in
 *     connection.c a connection to one server: greeting, EHLO
 *     tls_policy.c what TLS a server must offer: one decision (tls_policy.h)
 *     tls_start.c  STARTTLS, the handshake, and what was shown in it
 *     reply.c      what the server answers, line by line
 *     ehlo.c       what it announces
 *     cache.c      connections kept for the next message
 *     envelope.c   MAIL and RCPT as they are written
 *     transfer.c   MAIL, RCPT, DATA or BDAT: one message over one connection
 *     content.c    the bytes of the message
 *     rewrite.c    checks, generic addresses, 8-bit text for servers without 8BITMIME
 *     xforward.c   whose mail it is, for a content filter
 *     delivery.c   one message to its next hop: which address next, what became of each recipient
 */
#ifndef SMTP_SMTP_H
#define SMTP_SMTP_H

#include "daemon/daemon.h"
#include "ipc/msg_deliver.h"
#include "mail/interfaces.h"
#include "mail/status.h"
#include "queue/delivery_line.h"
#include "smtp/tls_policy.h"
#include "table/table.h"

enum { CACHE_BUCKETS = 256 };

/* The process: what start() opened. */
struct smtp_client {
    const struct params *params;
    bool lmtp;
    struct smtp_tls *tls;
    unsigned default_port;
    struct interfaces *own;         /* addresses of ours */
    struct {
        struct maps *bind_address, *discard_ehlo, *pix_workarounds, *reply_filter, *status_filter;
        struct maps *sasl_passwords;
        struct maps *generic, *header_checks, *mime_header_checks, *nested_header_checks,
            *body_checks;
        struct match_list *destinations;    /* mydestination */
    } tables;
    struct match_list *kept_destinations;
    struct list cached;             /* of struct connection, oldest first */
    struct list buckets[CACHE_BUCKETS];         /* the same by hash of their key */
    struct list server_buckets[CACHE_BUCKETS];  /* those that other destinations may share, by hash
                                                   of server_key */
    bool reaper_runs;
    struct smtp_refusals *refusals; /* of sign-ins; NULL: none yet */
};
/* Open what the parameters name. 0, or negative after having logged why. For struct daemon. */
int smtp_start(struct server *sv);
int lmtp_start(struct server *sv);

/* Why something failed as a whole, for every recipient it concerns. */
struct failure {
    bool permanent;
    bool final;             /* permanent, and no other server is to be asked */
    char dsn[16];
    struct str text;
};
void failure_set(struct failure *f, bool permanent, const char *dsn, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* ---- nexthop.c ---- */

struct nexthop {
    struct str host;        /* A-label form, or an address; the path of a Unix socket */
    unsigned port;
    bool no_mx;             /* was in brackets */
    bool is_unix;
};
/* "domain", "domain:port", "[host]", "[host]:port", "[192.0.2.1]", "[IPv6:2001:db8::1]:port", each
 * perhaps behind "inet:"; "unix:path". 0 or -EINVAL. */
int nexthop_parse(struct span text, unsigned default_port, struct nexthop *ret);
void nexthop_done(struct nexthop *hop);

/* ---- targets.c ---- */

struct target {
    char *host;
    char *alias;            /* at the end of host's aliases; or NULL */
    bool secure;            /* DNS has authenticated the way from host to address */
    bool tried;
    uint16_t preference;    /* of its MX record */
    union sockaddr_any addr;
};
struct targets {
    struct target *items;
    size_t len, cap;
    bool mx_secure;         /* DNS has authenticated the way from the next hop to the hosts */
    char *expanded;         /* the domain that the next hop is an alias of; or NULL */
    bool we_are_mx;         /* we are an MX host of the domain ourselves */
};
void targets_done(struct targets *t);
/* "host[addr]:port", or "host[path]" of a Unix socket. Appended. */
void target_add_name(const struct target *t, struct str *ret);
/* Addresses to try, in order (RFC 5321 section 5.1, RFC 7505). 0, or -1 with *why set. */
MAY_WAIT int targets_find(struct smtp_client *c, const struct nexthop *hop, struct targets *ret,
                          struct failure *why);
/* Put addresses that are sorted by preference into the order in which they are tried. */
void targets_arrange(const struct params *p, struct targets *t);
/* Do the settings have host names looked up by the system, beside or instead of DNS? */
bool targets_ask_system(const struct params *p);

/* ---- reply.c ---- */

/*
 * Add line `number` (from 0) of a reply, without its line end, to *reply, which is empty before the
 * first. ret_text  what stands after the code; points into line Returns 1: more lines follow, 0: it
 * was the last, -EPROTO: not a reply, or beyond its limits.
 */
int reply_add_line(struct smtp_reply *reply, unsigned number, struct span line,
                   struct span *ret_text);
/* Set reply->dsn from the text, or from the code when the text has none that fits. */
void reply_set_dsn(struct smtp_reply *reply);
void reply_done(struct smtp_reply *reply);

/* ---- ehlo.c ---- */

enum smtp_feature {
    FEATURE_PIPELINING = 1 << 0,
    FEATURE_8BITMIME = 1 << 1,
    FEATURE_SIZE = 1 << 2,
    FEATURE_STARTTLS = 1 << 3,
    FEATURE_SMTPUTF8 = 1 << 4,
    FEATURE_DSN = 1 << 5,
    FEATURE_CHUNKING = 1 << 6,
    FEATURE_ENHANCED = 1 << 7,
    FEATURE_AUTH = 1 << 8,
    FEATURE_XFORWARD = 1 << 9,
    FEATURE_LIMITS = 1 << 10,
};

struct ehlo {
    unsigned features;
    uint64_t size_limit;            /* SIZE; 0: not known */
    uint32_t mail_max, rcpt_max;    /* LIMITS (RFC 9422 section 4); 0: none */
    struct str auth, xforward;      /* their arguments: mechanisms, attributes */
};
void ehlo_reset(struct ehlo *e);
void ehlo_done(struct ehlo *e);
/* Note a line of the answer to EHLO, without its code. discard: keywords to be ignored, separated
 * by blanks or commas. */
void ehlo_note_line(struct ehlo *e, struct span line, struct span discard);

struct connection;

/* ---- delivery.c ---- */

struct delivery_rcpt {
    struct deliver_rcpt r;
    enum { RCPT_UNDECIDED, RCPT_DECIDED } state;
    bool asked;                 /* for on the present connection */
    bool in_turn;               /* takes part in the present transaction */
    bool accepted;              /* by RCPT TO in the present transaction */
    unsigned conn_use; /* how many messages its connection had carried, this one included */
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
    struct nexthop hop;         /* the present one */
    struct str hop_text;        /* as qmgr wrote it */
    struct tls_site tls;        /* what TLS it wants */
    struct str key; /* what connections of this delivery are kept under; empty: not kept */
    struct str terms;           /* the part of key that is not the next hop */
    union sockaddr_any bind[2]; /* address to send from, IPv4 and IPv6; family 0: any */
};
MAY_WAIT void delivery_run(struct delivery *d);

/* Set what is to be said of a recipient. final: no other server will be asked. */
void delivery_result(struct delivery *d, struct delivery_rcpt *r, const struct connection *k,
                     uint32_t status, const char *dsn, struct span text, bool final);

/* ---- race.c ---- */

/*
 * Connect to targets->items[first], or to one behind it that has the same preference and is not
 * tried yet; those that failed, or won, are marked as tried. budget: the most that may be started.
 * The descriptor and *ret, or negative with *why: none could be reached.
 */
MAY_WAIT int race_connect(struct delivery *d, struct targets *targets, size_t first, size_t budget,
                          struct target **ret, struct failure *why);

/* ---- connection.c ---- */

enum pix_workaround { PIX_DISABLE_ESMTP = 1 << 0, PIX_DELAY_DOTCRLF = 1 << 1 };

struct connection {
    struct list cached, bucket,
        server_bucket; /* in smtp_client.cached, .buckets, .server_buckets */
    struct smtp_client *client;
    struct stream *stream;
    char *key, *server_key;     /* it is kept under; NULL: not kept, not shared */
    struct str peer;            /* "host[addr]" for log and reports */
    struct str relay;           /* "host[addr]:port" */
    char *host;
    char addr[INET6_ADDRSTRLEN + 64]; /* as text; the path of a Unix socket */
    unsigned port;
    union sockaddr_any remote;
    struct ehlo ehlo;
    bool greeted_esmtp;
    unsigned pix;               /* enum pix_workaround */
    bool needs_reset;           /* a transaction was left open: RSET before the next one */
    bool signed_in;
    unsigned uses;
    uint64_t opened_ms, idle_until_ms;
    struct tls_policy policy;
    enum tls_verdict verdict;   /* of the server's certificate, when TLS is on */
};
/* Begin to connect to an address; the descriptor, and whether it is connected already, or -errno.
 */
int connection_begin(const struct delivery *d, const struct target *t, bool *ret_connected);
/* Introduce ourselves on the connected descriptor fd, which is taken. 0 and *ret, or -1 with *why.
 */
MAY_WAIT
int connection_open(struct delivery *d, const struct targets *targets, const struct target *t,
                    int fd, struct connection **ret, struct failure *why);
/* Send QUIT if the connection still works, and free. */
MAY_WAIT void connection_close(struct connection *k);
/* Read a whole reply; *reply is reset first. 0, or a stream error (or -EPROTO), then *why is set.
 */
MAY_WAIT int connection_reply(struct connection *k, const char *doing, int64_t timeout_s,
                              struct smtp_reply *reply, struct failure *why);
/* Set *why for error r of the connection. */
void connection_lost(const struct connection *k, const char *doing, int r, struct failure *why);
/* "host h[a] said: 550 ... (in reply to RCPT TO command)" */
void connection_said(const struct connection *k, const struct smtp_reply *reply, const char *doing,
                     struct str *ret);

/* ---- tls_start.c ---- */

/* Read certificates and what main.cf says of TLS. 0, or negative after having logged why. */
int smtp_tls_open(struct server *sv, struct smtp_tls **ret);
/* The same again for what has changed on disk; on failure the old stays. For struct daemon. */
int smtp_tls_reread(struct server *sv);

/* d->tls of the next hop `destination`; 0, or -1 with *why. */
MAY_WAIT int smtp_tls_destination(struct delivery *d, const char *destination, struct failure *why);
/* The policy for one server of it; 0, or -1 with *why: it must not get the mail now. */
MAY_WAIT
int smtp_tls_decide(struct delivery *d, const struct targets *targets, const struct target *t,
                    struct tls_policy *ret, struct failure *why);
/* Say which policy the message goes under, and what the server has shown (smtp_tls_loglevel). */
void smtp_tls_log(const struct delivery *d, const struct connection *k);

enum tls_start { TLS_STARTED, TLS_NOT_STARTED, TLS_TRY_WITHOUT, TLS_FAILED };
/* With smtp_tls_wrappermode: the handshake before anything is said. */
MAY_WAIT
enum tls_start smtp_tls_wrap(struct delivery *d, struct connection *k, struct failure *why);
/* After EHLO: STARTTLS and the handshake, if the policy wants it; *why is set for the last two. */
MAY_WAIT
enum tls_start smtp_tls_start(struct delivery *d, struct connection *k, struct failure *why);
/* After EHLO within TLS: has the server said more than it was asked? 0, or -1 with *why. */
int smtp_tls_check_early(struct connection *k, struct failure *why);

/* ---- sasl.c ---- */

/* After EHLO: sign in, if there is a password for the server. 0, or -1 with *why. */
MAY_WAIT int smtp_sasl_sign_in(struct delivery *d, struct connection *k, struct failure *why);

/* ---- cache.c ---- */
void cache_init(struct smtp_client *c);
MAY_WAIT struct connection *cache_take(struct smtp_client *c, struct span key);
/* One that another destination has opened to the same server, for a delivery with the same terms.
 * The new key is that of this delivery. NULL: none, or its TLS depends on the destination. */
MAY_WAIT struct connection *cache_take_server(struct delivery *d, const struct target *t);
/* What is said by that: "host[addr]:port terms". False: connections of these terms are not shared.
 */
bool cache_server_key(const struct delivery *d, const struct target *t, struct str *ret);
/* Keep k for the next message, or close it when its time or number of messages is over. */
MAY_WAIT void cache_put(struct smtp_client *c, struct connection *k);

/* ---- transfer.c ---- */

/* One message over one connection. Sets the result of each undecided recipient. 0: the connection
 * can be used again; negative: it is broken or out of step. */
MAY_WAIT int transfer(struct delivery *d, struct connection *k);

/* ---- envelope.c ---- */

/* An address as this server can be told it: smtp_generic_maps, quoted. 0; -EINVAL: it needs
 * SMTPUTF8, which the server lacks; another: the table failed. */
MAY_WAIT int envelope_path(const struct connection *k, struct span address, struct str *ret);
void envelope_put_mail(struct delivery *d, struct connection *k, struct span path);
void envelope_put_rcpt(struct delivery *d, struct connection *k, const struct delivery_rcpt *r,
                       struct span path);

/* ---- xforward.c ---- */

/* Write XFORWARD commands with what the queue file says of the client. How many, or -errno. */
int xforward_put(struct delivery *d, struct connection *k);

/* ---- content.c ---- */

/* What stands between two pieces of content: how many bytes of a line were sent, and whether a CR
 * waits for its LF. */
struct content_state {
    size_t column;
    bool cr;
    bool stuff;                 /* double dots at the start of lines (RFC 5321 section 4.5.2) */
    bool keep_bare_cr;
    size_t line_max;            /* longer lines are broken; 0: none */
};
/* Append bytes as they may leave: bare CRs as blanks unless they are to be kept, long lines broken,
 * dots stuffed. */
void content_clean(struct span bytes, struct content_state *s, struct str *ret);
/* Would that change nothing (but for dots)? */
bool content_is_clean(struct span bytes, bool keep_bare_cr, size_t line_max);

enum { CONTENT_SMALL = 48 << 10 };  /* goes out together with the envelope */

/* Is the header section ASCII? Of a message whose sender asked for SMTPUTF8 that decides whether it
 * may go without. 1, 0 or -errno. */
int content_header_is_ascii(const struct delivery *d);

/* Read a small message whole, as it may leave. 0 or -errno. */
MAY_WAIT int content_load(struct delivery *d, struct connection *k, struct str *ret);
/* Can the content go out from the file as it is (RFC 3030)? */
bool content_goes_as_it_is(const struct delivery *d, const struct connection *k);
/* Send the content dot-stuffed, without the end of DATA. *ends_line: it ended with a line end. 0;
 * errors of the connection are sticky in its stream; -EIO and others when the file cannot be read.
 */
MAY_WAIT int content_send(struct delivery *d, struct connection *k, bool *ends_line);

#endif
