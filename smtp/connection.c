/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connection.c - a connection to one server: connect, greeting, EHLO, STARTTLS
 *
 * RFC 5321 sections 3.1, 3.2 and 4.2. A server whose TLS does not work is asked again without where
 * tls_start.c says so.
 *
 * Runs in: smtp. Every byte of the server is hostile; reply.c looks at them.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/address.h"
#include "smtp/smtp.h"

enum { REPLY_LINE_MAX = 2048 };

void failure_set(struct failure *f, bool permanent, const char *dsn, const char *fmt, ...)
{
    va_list ap;

    f->permanent = permanent;
    snprintf(f->dsn, sizeof f->dsn, "%s", dsn);
    str_reset(&f->text);
    va_start(ap, fmt);
    str_vaddf(&f->text, fmt, ap);
    va_end(ap);
}

/* ---- replies ---- */

static void lost(struct connection *k, const char *doing, int r, struct failure *why)
{
    if (r == -ETIMEDOUT)
        failure_set(why, false, "4.4.2", "conversation with %s timed out while %s", str_cstr(&k->peer), doing);
    else if (r == -EPROTO)
        failure_set(why, false, "4.5.0", "%s sent something that is no SMTP reply while %s",
                    str_cstr(&k->peer), doing);
    else
        failure_set(why, false, "4.4.2", "lost connection with %s while %s", str_cstr(&k->peer), doing);
}

/* Each line after the first is shown to note(), if there is one. */
static int read_reply(struct connection *k, struct smtp_reply *reply,
                      void (*note)(struct span text, unsigned *features, uint64_t *size_limit))
{
    reply->code = 0;
    str_reset(&reply->text);
    for (unsigned lines = 0;; lines++) {
        struct span line, text;
        int r = stream_getline(k->stream, REPLY_LINE_MAX, &line);

        if (r < 0)
            return r == -EMSGSIZE ? -EPROTO : r;
        r = reply_add_line(reply, lines, line, &text);
        if (r < 0)
            return r;
        if (note && lines > 0)
            note(text, &k->features, &k->size_limit);
        if (r == 0)
            break;
    }
    reply_set_dsn(reply);
    return 0;
}

int connection_reply(struct connection *k, const char *doing, int64_t timeout_s, struct smtp_reply *reply,
                     struct failure *why)
{
    stream_set_deadline(k->stream, clock_deadline_ms(timeout_s * 1000));
    int r = read_reply(k, reply, NULL);
    if (r < 0)
        lost(k, doing, r, why);
    return r;
}

void connection_said(const struct connection *k, const struct smtp_reply *reply, const char *doing,
                     struct str *ret)
{
    str_addf(ret, "host %s said: %d %s (in reply to %s)", str_cstr((struct str *)&k->peer), reply->code,
             str_cstr((struct str *)&reply->text), doing);
}

/* ---- EHLO ---- */

static void reply_done(struct smtp_reply *reply)
{
    str_free(&reply->text);
}

static void refused(struct connection *k, struct smtp_reply *reply, const char *doing, struct failure *why)
{
    int class = reply->code / 100;

    failure_set(why, class == 5, class >= 4 ? reply->dsn : "4.0.0",
                "host %s refused to talk to me: %d %s (in reply to %s)", str_cstr(&k->peer), reply->code,
                str_cstr(&reply->text), doing);
}

static int say_hello(struct connection *k, struct failure *why)
{
    const struct params *p = k->client->params;
    static const char *const verbs[] = { "EHLO", "HELO" };
    _cleanup_(reply_done) struct smtp_reply reply = { .text = STR_INIT };

    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        stream_set_deadline(k->stream, clock_deadline_ms(p->smtp_helo_timeout * 1000));
        stream_printf(k->stream, "%s %s\r\n", verbs[i], p->smtp_helo_name);
        k->features = 0;
        k->size_limit = 0;
        int r = read_reply(k, &reply, ehlo_note_feature);
        if (r < 0) {
            lost(k, "performing the EHLO handshake", r, why);
            return -1;
        }
        if (reply.code / 100 == 2)
            return 0;
        refused(k, &reply, i ? "HELO command" : "EHLO command", why);
        if (reply.code / 100 == 4)
            return -1;
    }
    return -1;
}

static int read_greeting(struct connection *k, struct failure *why)
{
    _cleanup_(reply_done) struct smtp_reply reply = { .text = STR_INIT };
    int r = connection_reply(k, "receiving the initial server greeting", k->client->params->smtp_helo_timeout,
                             &reply, why);

    if (r == 0 && reply.code / 100 != 2) {
        refused(k, &reply, "the initial connection", why);
        why->permanent = false;     /* RFC 5321 section 3.8: another server may be willing */
        if (why->dsn[0] == '5')
            why->dsn[0] = '4';
        r = -1;
    }
    return r < 0 ? -1 : 0;
}

/* ---- opening ---- */

static int connect_socket(struct smtp_client *c, const struct target *t)
{
    const struct params *p = c->params;
    const char *source = t->addr.sa.sa_family == AF_INET6 ? p->smtp_bind_address6 : p->smtp_bind_address;
    union sockaddr_any from;
    bool bound = *source && socket_addr_parse(span_of(source), 0, &from) == 0;

    return socket_connect(&t->addr, bound ? &from : NULL, clock_deadline_ms(p->smtp_connect_timeout * 1000));
}

static struct connection *connection_new(struct delivery *d, const struct target *t)
{
    struct connection *k = mem_new(struct connection);
    char addr[INET6_ADDRSTRLEN];

    list_init(&k->cached);
    k->client = d->client;
    k->nexthop = mem_strdup(str_cstr(&d->key));
    k->host = mem_strdup(t->host);
    k->opened_ms = clock_ms();
    socket_addr_print(&t->addr, addr);
    str_add_escaped(&k->peer, span_of(t->host), 255, STR_ASCII);
    str_addf(&k->peer, "[%s]", addr);
    str_addf(&k->relay, "%s:%u", str_cstr(&k->peer), d->hop.port);
    return k;
}

static void connection_free(struct connection *k)
{
    list_remove(&k->cached);
    stream_free(k->stream);
    tls_policy_done(&k->policy);
    str_free(&k->peer);
    str_free(&k->relay);
    free(k->nexthop);
    free(k->host);
    free(k);
}

/* greet - from the greeting to EHLO, within TLS if the policy wants that */
static enum tls_start greet(struct delivery *d, struct connection *k, bool use_tls, struct failure *why)
{
    enum tls_start tls = use_tls ? smtp_tls_wrap(d, k, why) : TLS_NOT_STARTED;

    if (tls > TLS_NOT_STARTED)
        return tls;
    if (read_greeting(k, why) < 0 || say_hello(k, why) < 0)
        return TLS_FAILED;
    if (tls == TLS_STARTED || !use_tls)
        return tls;
    tls = smtp_tls_start(d, k, why);
    if (tls == TLS_STARTED && (say_hello(k, why) < 0 || smtp_tls_check_early(k, why) < 0))
        return TLS_FAILED;
    return tls;
}

static enum tls_start open_once(struct delivery *d, const struct target *t, bool use_tls, struct connection *k,
                                struct failure *why)
{
    int fd = connect_socket(d->client, t);

    if (fd < 0) {
        failure_set(why, false, "4.4.1", "connect to %s: %s", str_cstr(&k->relay),
                    fd == -ETIMEDOUT ? "Connection timed out" : strerror(-fd));
        return TLS_FAILED;
    }
    k->stream = stream_new(fd);
    return greet(d, k, use_tls, why);
}

int connection_open(struct delivery *d, const struct targets *targets, const struct target *t,
                    struct connection **ret, struct failure *why)
{
    struct connection *k = connection_new(d, t);
    enum tls_start tls = TLS_FAILED;

    if (smtp_tls_decide(d, targets, t, &k->policy, why) == 0) {
        smtp_tls_log(d, k);
        tls = open_once(d, t, true, k, why);
    }
    if (tls == TLS_TRY_WITHOUT) {
        stream_free(TAKE_PTR(k->stream));
        tls = open_once(d, t, false, k, why);
    }
    if (tls > TLS_NOT_STARTED) {
        connection_close(k);
        return -1;
    }
    *ret = k;
    return 0;
}

void connection_close(struct connection *k)
{
    if (k->stream && stream_error(k->stream) == 0) {
        stream_set_deadline(k->stream, clock_deadline_ms(1000));
        stream_puts(k->stream, "QUIT\r\n");
        stream_flush(k->stream);
    }
    connection_free(k);
}
