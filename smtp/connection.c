/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connection.c - a connection to one server: connect, greeting, EHLO or LHLO
 *
 * RFC 5321 sections 3.1, 3.2 and 4.2; RFC 2033. A server whose TLS does not work is asked again
 * without where tls_start.c says so.
 *
 * Runs in: smtp. Every byte of the server is hostile; reply.c looks at them.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/un.h>

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
    f->final = false;
    snprintf(f->dsn, sizeof f->dsn, "%s", dsn);
    str_reset(&f->text);
    va_start(ap, fmt);
    str_vaddf(&f->text, fmt, ap);
    va_end(ap);
}

/* ---- replies ---- */

void connection_lost(const struct connection *k, const char *doing, int r, struct failure *why)
{
    const char *peer = str_cstr((struct str *)&k->peer);

    if (r == -ETIMEDOUT)
        failure_set(why, false, "4.4.2", "conversation with %s timed out while %s", peer, doing);
    else if (r == -EPROTO)
        failure_set(why, false, "4.5.0", "%s sent something that is no SMTP reply while %s", peer,
                    doing);
    else
        failure_set(why, false, "4.4.2", "lost connection with %s while %s", peer, doing);
}

/* The line as smtp_reply_filter would have it; buf holds what replaces it. */
static int filter_line(struct connection *k, struct span *line, struct str *buf)
{
    struct maps *filter = k->client->tables.reply_filter;
    int r = maps_empty(filter) ? 0 : maps_get(filter, *line, buf);

    if (r > 0)
        *line = str_span(buf);
    return r < 0 ? r : 0;
}

/* ehlo: gets each line after the first, without the keywords in `discard` */
static int read_reply(struct connection *k, struct smtp_reply *reply, struct ehlo *ehlo,
                      struct span discard)
{
    _cleanup_(str_free) struct str filtered = STR_INIT;

    reply->code = 0;
    str_reset(&reply->text);
    for (unsigned lines = 0;; lines++) {
        struct span line, text;
        int r = stream_getline(k->stream, REPLY_LINE_MAX, &line);

        if (r == 0)
            r = filter_line(k, &line, &filtered);
        if (r < 0)
            return r == -EMSGSIZE ? -EPROTO : r;
        r = reply_add_line(reply, lines, line, &text);
        if (r < 0)
            return r;
        if (ehlo && lines > 0)
            ehlo_note_line(ehlo, text, discard);
        if (r == 0)
            break;
    }
    reply_set_dsn(reply);
    return 0;
}

int connection_reply(struct connection *k, const char *doing, int64_t timeout_s,
                     struct smtp_reply *reply, struct failure *why)
{
    stream_set_deadline(k->stream, clock_deadline_ms(timeout_s * 1000));
    int r = read_reply(k, reply, NULL, SPAN_NULL);
    if (r < 0)
        connection_lost(k, doing, r, why);
    return r;
}

void connection_said(const struct connection *k, const struct smtp_reply *reply, const char *doing,
                     struct str *ret)
{
    str_addf(ret, "host %s said: %d %s (in reply to %s)", str_cstr((struct str *)&k->peer),
             reply->code, str_cstr((struct str *)&reply->text), doing);
}

/* ---- EHLO ---- */

static void refused(struct connection *k, struct smtp_reply *reply, const char *doing,
                    struct failure *why)
{
    int class = reply->code / 100;

    failure_set(why, class == 5, class >= 4 ? reply->dsn : "4.0.0",
                "host %s refused to talk to me: %d %s (in reply to %s)", str_cstr(&k->peer),
                reply->code, str_cstr(&reply->text), doing);
}

/* What is discarded for this address: smtp_discard_ehlo_keyword_address_maps, else
 * smtp_discard_ehlo_keywords */
static int find_discarded(struct connection *k, struct str *ret)
{
    struct smtp_client *c = k->client;
    int r = maps_empty(c->tables.discard_ehlo)
                ? 0
                : maps_get(c->tables.discard_ehlo, span_of(k->addr), ret);

    if (r == 0)
        str_set(ret, span_of(c->params->smtp_discard_ehlo_keywords));
    return r < 0 ? r : 0;
}

/* A server that greets us with our own name is ourselves, unless it is asked on a port for filters.
 */
static bool is_ourselves(const struct connection *k, const struct smtp_reply *reply)
{
    struct span text = str_span(&reply->text), word;

    return !k->client->lmtp && k->port == k->client->default_port && span_word(&text, " ", &word) &&
           span_eq_nocase_str(word, k->client->params->myhostname);
}

static int hello_once(struct connection *k, const char *verb, struct span discard,
                      struct failure *why)
{
    const struct params *p = k->client->params;
    _cleanup_(reply_done) struct smtp_reply reply = { .text = STR_INIT };
    char doing[64];

    snprintf(doing, sizeof doing, "performing the %s handshake", verb);
    stream_set_deadline(k->stream, clock_deadline_ms(p->smtp_helo_timeout * 1000));
    stream_printf(k->stream, "%s %s\r\n", verb, p->smtp_helo_name);
    ehlo_reset(&k->ehlo);
    int r = read_reply(k, &reply, strcmp(verb, "HELO") == 0 ? NULL : &k->ehlo, discard);
    if (r < 0) {
        connection_lost(k, doing, r, why);
        return -1;
    }
    if (reply.code / 100 == 2) {
        if (!is_ourselves(k, &reply))
            return 0;
        failure_set(why, true, "5.4.6", "host %s greeted me with my own hostname %s",
                    str_cstr(&k->peer), p->myhostname);
        return -1;
    }
    snprintf(doing, sizeof doing, "%s command", verb);
    refused(k, &reply, doing, why);
    return reply.code / 100 == 5 ? 1 : -1;
}

static int say_hello(struct connection *k, struct failure *why)
{
    const struct params *p = k->client->params;
    static const char *const smtp[] = { "EHLO", "HELO", NULL }, *const lmtp[] = { "LHLO", NULL };
    bool plain = p->smtp_never_send_ehlo || k->pix & PIX_DISABLE_ESMTP ||
                 (!p->smtp_always_send_ehlo && !k->greeted_esmtp);
    const char *const *verb = k->client->lmtp ? lmtp : &smtp[plain];
    _cleanup_(str_free) struct str discard = STR_INIT;
    int r = 1;

    if (find_discarded(k, &discard) < 0) {
        failure_set(why, false, "4.3.0",
                    "smtp_discard_ehlo_keyword_address_maps: lookup error for %s", k->addr);
        return -1;
    }
    for (; r == 1 && *verb; verb++)
        r = hello_once(k, *verb, str_span(&discard), why);
    return r == 0 ? 0 : -1;
}

/* ---- greeting ---- */

static unsigned parse_workarounds(struct span list)
{
    static const struct {
        const char *name;
        unsigned bit;
    } known[] = { { "disable_esmtp", PIX_DISABLE_ESMTP }, { "delay_dotcrlf", PIX_DELAY_DOTCRLF } };
    unsigned found = 0;
    struct span word;

    while (span_word(&list, ", \t\r\n", &word))
        for (size_t i = 0; i < ARRAY_LEN(known); i++)
            if (span_eq_nocase_str(word, known[i].name))
                found |= known[i].bit;
    return found;
}

/* Old Cisco PIX firewalls blank out the greeting: "220 ***0***2***". What to do then is by table or
 * for all. */
static int find_workarounds(struct connection *k, const struct smtp_reply *greeting)
{
    struct smtp_client *c = k->client;
    struct str *text = (struct str *)&greeting->text;
    _cleanup_(str_free) struct str value = STR_INIT;

    if (c->lmtp || text->len == 0 || strspn(str_cstr(text), "*02 ") != text->len)
        return 0;
    int r = maps_empty(c->tables.pix_workarounds)
                ? 0
                : maps_get(c->tables.pix_workarounds, span_of(k->addr), &value);
    if (r == 0)
        str_set(&value, span_of(c->params->smtp_pix_workarounds));
    if (r >= 0)
        k->pix = parse_workarounds(str_span(&value));
    if (k->pix)
        log_info("enabling PIX workarounds: %s for %s", str_cstr(&value), str_cstr(&k->relay));
    return r < 0 ? r : 0;
}

static int read_greeting(struct connection *k, struct failure *why)
{
    const struct params *p = k->client->params;
    _cleanup_(reply_done) struct smtp_reply reply = { .text = STR_INIT };
    int r = connection_reply(k, "receiving the initial server greeting", p->smtp_helo_timeout,
                             &reply, why);

    if (r < 0)
        return -1;
    if (reply.code / 100 == 2) {
        k->greeted_esmtp = span_find_nocase(str_span(&reply.text), span_of("ESMTP")) >= 0;
        if (find_workarounds(k, &reply) == 0)
            return 0;
        failure_set(why, false, "4.3.0", "smtp_pix_workaround_maps: lookup error for %s", k->addr);
        return -1;
    }
    refused(k, &reply, "the initial connection", why);
    why->final = why->permanent && !p->smtp_skip_5xx_greeting;
    if (!why->final) {
        why->permanent = false;     /* RFC 5321 section 3.8: another server may be willing */
        if (why->dsn[0] == '5')
            why->dsn[0] = '4';
    }
    return -1;
}

/* ---- opening ---- */

int connection_begin(const struct delivery *d, const struct target *t, bool *ret_connected)
{
    const struct params *p = d->client->params;
    const union sockaddr_any *from = &d->bind[t->addr.sa.sa_family == AF_INET6];

    if (t->addr.sa.sa_family == AF_UNIX) {
        *ret_connected = true;
        return socket_connect_unix(((const struct sockaddr_un *)&t->addr.sa)->sun_path,
                                   clock_deadline_ms(p->smtp_connect_timeout * 1000));
    }
    if (from->sa.sa_family == AF_UNSPEC)
        return socket_connect_begin(&t->addr, NULL, ret_connected);
    int fd = socket_connect_begin(&t->addr, from, ret_connected);
    if (fd == -EADDRNOTAVAIL && !p->smtp_bind_address_enforce) {
        char addr[INET6_ADDRSTRLEN];
        log_warn("cannot send from address %s: %s; going without it", socket_addr_print(from, addr),
                 strerror(-fd));
        fd = socket_connect_begin(&t->addr, NULL, ret_connected);
    }
    return fd;
}

static int reconnect(const struct delivery *d, const struct target *t)
{
    bool connected = false;
    int fd = connection_begin(d, t, &connected);
    int r = fd < 0 || connected
                ? 0
                : fiber_wait_fd(fd, EPOLLOUT,
                                clock_deadline_ms(d->client->params->smtp_connect_timeout * 1000));

    if (r > 0)
        r = socket_connect_state(fd);
    if (fd >= 0 && r < 0) {
        close(fd);
        return r;
    }
    return fd;
}

static void name_peer(struct connection *k, const struct target *t)
{
    k->remote = t->addr;
    k->port = t->addr.sa.sa_family == AF_UNIX ? 0 : socket_addr_port(&t->addr);
    if (t->addr.sa.sa_family == AF_UNIX)
        snprintf(k->addr, sizeof k->addr, "%s",
                 ((const struct sockaddr_un *)&t->addr.sa)->sun_path);
    else
        socket_addr_print(&t->addr, k->addr);
    str_add_escaped(&k->peer, span_of(t->host), 255, STR_ASCII);
    str_addf(&k->peer, "[%s]", k->addr);
    str_add(&k->relay, str_span(&k->peer));
    if (k->port > 0)
        str_addf(&k->relay, ":%u", k->port);
}

static struct connection *connection_new(struct delivery *d, const struct target *t)
{
    struct connection *k = mem_new(struct connection);
    _cleanup_(str_free) struct str server_key = STR_INIT;

    list_init(&k->cached);
    list_init(&k->bucket);
    list_init(&k->server_bucket);
    k->client = d->client;
    k->key = d->key.len > 0 ? mem_dup_span(str_span(&d->key)) : NULL;
    k->host = mem_strdup(t->host);
    if (cache_server_key(d, t, &server_key))
        k->server_key = mem_dup_span(str_span(&server_key));
    k->opened_ms = clock_ms();
    name_peer(k, t);
    return k;
}

static void connection_free(struct connection *k)
{
    list_remove(&k->cached);
    list_remove(&k->bucket);
    list_remove(&k->server_bucket);
    stream_free(k->stream);
    tls_policy_done(&k->policy);
    str_free(&k->peer);
    str_free(&k->relay);
    ehlo_done(&k->ehlo);
    free(k->key);
    free(k->server_key);
    free(k->host);
    free(k);
}

/* greet - from the greeting to EHLO, within TLS if the policy wants that */
static enum tls_start greet(struct delivery *d, struct connection *k, bool use_tls,
                            struct failure *why)
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

/* The same address once more, in clear */
static enum tls_start greet_again(struct delivery *d, const struct target *t, struct connection *k,
                                  struct failure *why)
{
    int fd = reconnect(d, t);

    stream_free(TAKE_PTR(k->stream));
    if (fd < 0) {
        failure_set(why, false, "4.4.1", "connect to %s: %s", str_cstr(&k->relay),
                    fd == -ETIMEDOUT ? "Connection timed out" : strerror(-fd));
        return TLS_FAILED;
    }
    k->stream = stream_new(fd);
    return greet(d, k, false, why);
}

int connection_open(struct delivery *d, const struct targets *targets, const struct target *t,
                    int fd, struct connection **ret, struct failure *why)
{
    struct connection *k = connection_new(d, t);
    enum tls_start tls = TLS_FAILED;

    k->stream = stream_new(fd);
    if (smtp_tls_decide(d, targets, t, &k->policy, why) == 0) {
        tls = greet(d, k, true, why);
        if (tls == TLS_TRY_WITHOUT)
            tls = greet_again(d, t, k, why);
        smtp_tls_log(d, k);
    }
    if (tls <= TLS_NOT_STARTED && smtp_sasl_sign_in(d, k, why) < 0)
        tls = TLS_FAILED;
    if (tls > TLS_NOT_STARTED) {
        connection_close(k);
        return -1;
    }
    *ret = k;
    return 0;
}

/* Wait for the reply to QUIT, if it is asked for: some servers take mail back without it. */
static void say_goodbye(struct connection *k)
{
    const struct params *p = k->client->params;
    _cleanup_(reply_done) struct smtp_reply reply = { .text = STR_INIT };
    struct failure why = { .text = STR_INIT };

    stream_set_deadline(
        k->stream,
        clock_deadline_ms(p->smtp_skip_quit_response ? 1000 : p->smtp_quit_timeout * 1000));
    stream_puts(k->stream, "QUIT\r\n");
    if (stream_flush(k->stream) == 0 && !p->smtp_skip_quit_response)
        connection_reply(k, "sending the QUIT command", p->smtp_quit_timeout, &reply, &why);
    str_free(&why.text);
}

void connection_close(struct connection *k)
{
    if (k->stream && stream_error(k->stream) == 0)
        say_goodbye(k);
    connection_free(k);
}
