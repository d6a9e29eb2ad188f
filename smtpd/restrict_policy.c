/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restrict_policy.c - check_policy_service: asking a server that speaks Postfix's policy protocol
 *
 *     request=smtpd_access_policy         name=value lines, an empty line
 *     protocol_state=RCPT ...
 *                                     <-  action=DUNNO, an empty line
 *
 * Connections are kept and shared by the sessions of the process; each serves one request at a
 * time. A server that does not answer is tried again, and then smtpd_policy_service_default_action
 * holds.
 *
 * Runs in: smtpd (values come from hostile clients, so they are escaped; the server is the
 * administrator's). Logs servers that fail.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/own.h"
#include "base/rand.h"
#include "smtpd/reply.h"
#include "smtpd/restrict_internal.h"
#include "table/lines.h"

#define IDLE_MAX    64      /* connections kept to one server */
#define LINE_BYTES  4096    /* of an answer */
#define LINES_MAX   100
#define VALUE_MAX   2048    /* bytes of an attribute's value */

/* A kept connection */
struct connection {
    struct stream *stream;
    uint64_t opened_ms, idle_ms;
    int64_t requests;
};

struct policy {
    char *name;  /* as in main.cf, for logs */
    char *path;  /* unix: */
    int path_fd; /* the socket as start() saw it, where its directory is closed to us; or -1 */
    union sockaddr_any addr; /* inet: */
    char *default_action, *context;
    int64_t timeout, max_idle, max_ttl, request_limit, try_limit, retry_delay;
    struct connection idle[IDLE_MAX];
    size_t n_idle;
};

void policy_free(struct policy *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n_idle; i++)
        stream_free(p->idle[i].stream);
    if (p->path_fd >= 0)
        close(p->path_fd);
    free(p->name);
    free(p->path);
    free(p->default_action);
    free(p->context);
    free(p);
}

DEFINE_CLEANUP(struct policy, policy_free);

/* ---- the argument ---- */

static int set_text(struct span value, char **member)
{
    free(*member);
    *member = mem_dup_span(value);
    return 0;
}

static int set_number(struct span value, int64_t *member)
{
    return span_i64(value, member) < 0 || *member < 0 ? -EINVAL : 0;
}

/* name=value within the braces */
static int set_option(struct policy *p, struct span name, struct span value)
{
    const struct {
        const char *name;
        int64_t *time, *number;
        char **text;
    } options[] = {
        {"default_action", NULL, NULL, &p->default_action},
        {"max_idle", &p->max_idle, NULL, NULL},
        {"max_ttl", &p->max_ttl, NULL, NULL},
        {"policy_context", NULL, NULL, &p->context},
        {"request_limit", NULL, &p->request_limit, NULL},
        {"retry_delay", &p->retry_delay, NULL, NULL},
        {"timeout", &p->timeout, NULL, NULL},
        {"try_limit", NULL, &p->try_limit, NULL},
    };

    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        if (!span_eq_str(name, options[i].name))
            continue;
        if (options[i].text)
            return set_text(value, options[i].text);
        return options[i].time ? conf_parse_time(value, 's', options[i].time)
                               : set_number(value, options[i].number);
    }
    return -ENOENT;
}

/* "host:port", resolved at start: later there is no way to the system's resolver */
static int parse_inet(struct policy *p, struct span text, struct str *err)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM }, *found = NULL;
    ptrdiff_t colon = span_rchr(text, ':');
    struct span host = span_first(text, colon < 0 ? 0 : (size_t)colon);
    _cleanup_free_ char *port = mem_dup_span(span_from(text, (size_t)(colon + 1)));

    if (span_take(&host, '['))
        host = span_cut(&host, ']');

    _cleanup_free_ char *name = mem_dup_span(host.len > 0 ? host : span_of("127.0.0.1"));
    int r = getaddrinfo(name, port, &hints, &found);

    if (r != 0) {
        str_addf(err, "policy service %s: %s", p->name, gai_strerror(r));
        return -EINVAL;
    }
    memcpy(&p->addr, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return 0;
}

/* A relative path is below queue_directory */
static int parse_unix(struct policy *p, const struct restriction_set *set, struct span path)
{
    _cleanup_(str_free) struct str full = STR_INIT;

    if (path.len > 0 && path.ptr[0] != '/')
        str_addf(&full, "%s/", set->params->queue_directory);
    str_add(&full, path);
    p->path = str_take(&full);
    p->path_fd = open(p->path, O_PATH | O_CLOEXEC);
    return 0;
}

static int parse_endpoint(struct policy *p, const struct restriction_set *set, struct span text,
                          struct str *err)
{
    if (span_take_nocase(&text, "inet:"))
        return parse_inet(p, text, err);
    if (span_take_nocase(&text, "unix:"))
        return parse_unix(p, set, text);
    str_addf(err, "policy service %s: inet:host:port or unix:path is wanted", p->name);
    return -EINVAL;
}

static struct policy *policy_new(const struct params *params, struct span name)
{
    struct policy *p = mem_new(struct policy);

    p->name = mem_dup_span(name);
    p->path_fd = -1;
    p->default_action = mem_strdup(params->smtpd_policy_service_default_action);
    p->context = mem_strdup(params->smtpd_policy_service_policy_context);
    p->timeout = params->smtpd_policy_service_timeout;
    p->max_idle = params->smtpd_policy_service_max_idle;
    p->max_ttl = params->smtpd_policy_service_max_ttl;
    p->request_limit = params->smtpd_policy_service_request_limit;
    p->try_limit = params->smtpd_policy_service_try_limit;
    p->retry_delay = params->smtpd_policy_service_retry_delay;
    return p;
}

/* "{ ... }" without its braces */
struct span restrict_unbrace(struct span s)
{
    if (s.len >= 2 && s.ptr[0] == '{' && s.ptr[s.len - 1] == '}')
        s = span_make(s.ptr + 1, s.len - 2);
    return span_trim(s);
}

int policy_parse(const struct restriction_set *set, struct span text, struct policy **ret,
                 struct str *err)
{
    struct span word, in = restrict_unbrace(text);

    if (!lines_list_word(&in, &word)) {
        str_add_str(err, "policy service: inet:host:port or unix:path is missing");
        return -EINVAL;
    }

    _cleanup_(policy_free_ptr_) struct policy *p = policy_new(set->params, word);
    int r = parse_endpoint(p, set, word, err);

    while (r == 0 && lines_list_word(&in, &word)) {
        struct span value = restrict_unbrace(word); /* "{ name = value with blanks }" */
        struct span name = span_trim(span_cut(&value, '='));

        r = set_option(p, name, span_trim(value));
        if (r < 0)
            str_addf(err, "policy service %s: \"" SPAN_FMT "\" is no setting of it", p->name,
                     SPAN_ARG(word));
    }
    if (r == 0)
        *ret = TAKE_PTR(p);
    return r < 0 ? -EINVAL : 0;
}

/* ---- the request ---- */

static void add(struct str *ret, const char *name, struct span value)
{
    str_addf(ret, "%s=", name);
    str_add_escaped(ret, value, VALUE_MAX, STR_UTF8);
    str_add_char(ret, '\n');
}

static void add_number(struct str *ret, const char *name, uint64_t n)
{
    str_addf(ret, "%s=%llu\n", name, (unsigned long long)n);
}

static void add_client(const struct smtpd *s, struct str *ret)
{
    char server[INET6_ADDRSTRLEN] = "";

    if (s->local.sa.sa_family == AF_INET || s->local.sa.sa_family == AF_INET6)
        socket_addr_print(&s->local, server);
    add(ret, "client_address", span_of(s->addr));
    add(ret, "client_name", str_span(&s->name));
    add_number(ret, "client_port", s->port);
    add(ret, "reverse_client_name", str_span(&s->reverse_name));
    add(ret, "server_address", span_of(server));
    add_number(ret, "server_port", server[0] ? socket_addr_port(&s->local) : 0);
    add(ret, "helo_name", str_span(&s->helo));
}

static void add_message(struct smtpd *s, struct str *ret)
{
    bool complete =
        s->restrict_state.stage == STAGE_DATA || s->restrict_state.stage == STAGE_END_OF_DATA;
    char *instance = s->restrict_state.instance;

    if (!instance[0]) {
        uint64_t random[2];

        rand_bytes(random, sizeof(random));
        snprintf(instance, sizeof(s->restrict_state.instance), "%llx.%llx",
                 (unsigned long long)random[0], (unsigned long long)random[1]);
    }
    add(ret, "sender", str_span(&s->sender));
    add(ret, "recipient", str_span(&s->rcpt));
    add_number(ret, "recipient_count", complete ? s->n_rcpts : 0);
    add(ret, "queue_id", SPAN_NULL); /* cleanup makes it, and has not been asked yet */
    add(ret, "instance", span_of(instance));
    add_number(ret, "size",
               s->restrict_state.stage == STAGE_END_OF_DATA ? s->message.size : s->mail.size);
    add(ret, "etrn_domain", s->etrn);
    add(ret, "stress", SPAN_NULL);
}

static void add_security(const struct smtpd *s, struct str *ret)
{
    SSL *ssl = stream_ssl(s->client);
    const struct tls_peer *peer = &s->tls_peer;

    add(ret, "sasl_method", span_of(s->sasl_method));
    add(ret, "sasl_username", str_span(&s->sasl_username));
    add(ret, "sasl_sender", s->sasl_username.len > 0 ? str_span(&s->mail.auth) : SPAN_NULL);
    add(ret, "ccert_subject", peer->trusted ? str_span(&peer->subject_cn) : SPAN_NULL);
    add(ret, "ccert_issuer", peer->trusted ? str_span(&peer->issuer_cn) : SPAN_NULL);
    add(ret, "ccert_fingerprint", str_span(&peer->cert_fingerprint));
    add(ret, "ccert_pubkey_fingerprint", str_span(&peer->key_fingerprint));
    add(ret, "encryption_protocol", span_of(ssl ? SSL_get_version(ssl) : ""));
    add(ret, "encryption_cipher", span_of(ssl ? SSL_get_cipher_name(ssl) : ""));
    add_number(ret, "encryption_keysize", ssl ? (uint64_t)SSL_get_cipher_bits(ssl, NULL) : 0);
}

static void compose(struct smtpd *s, const struct policy *p, struct str *ret)
{
    add(ret, "request", span_of("smtpd_access_policy"));
    add(ret, "protocol_state", span_of(s->where));
    add(ret, "protocol_name", span_of(s->esmtp ? "ESMTP" : "SMTP"));
    add_client(s, ret);
    add_message(s, ret);
    add_security(s, ret);
    add(ret, "policy_context", span_of(p->context));
    str_add_char(ret, '\n');
}

/* ---- the exchange ---- */

/* An idle connection that may be used again; those past their time are closed */
static bool take_kept(struct policy *p, struct connection *ret)
{
    uint64_t now = clock_ms();

    while (p->n_idle > 0) {
        struct connection c = p->idle[--p->n_idle];

        if (now - c.idle_ms <= (uint64_t)p->max_idle * 1000 && !stream_peer_gone(c.stream)) {
            *ret = c;
            return true;
        }
        stream_free(c.stream);
    }
    return false;
}

static void put_back(struct policy *p, struct connection *c)
{
    c->requests++;
    c->idle_ms = clock_ms();
    if (p->n_idle < IDLE_MAX && (p->request_limit == 0 || c->requests < p->request_limit) &&
        c->idle_ms - c->opened_ms < (uint64_t)p->max_ttl * 1000)
        p->idle[p->n_idle++] = *c;
    else
        stream_free(c->stream);
}

static int open_connection(const struct policy *p, struct connection *ret)
{
    uint64_t deadline = clock_deadline_ms(p->timeout * 1000);
    int fd =
        p->path ? socket_connect_unix(p->path, deadline) : socket_connect(&p->addr, NULL, deadline);

    if (fd == -EACCES && p->path_fd >= 0)
        fd = socket_connect_path_fd(p->path_fd, deadline);
    if (fd < 0)
        return fd;
    *ret = (struct connection){ .stream = stream_new(fd), .opened_ms = clock_ms() };
    stream_set_timeout(ret->stream, p->timeout * 1000);
    return 0;
}

/* Lines up to the empty one; the value of action= */
static int read_answer(struct stream *st, struct str *ret)
{
    for (int i = 0; i < LINES_MAX; i++) {
        struct span line;
        int r = stream_getline(st, LINE_BYTES, &line);

        if (r < 0)
            return r;
        if (line.len == 0)
            return ret->len > 0 ? 0 : -EPROTO;
        if (span_take_nocase(&line, "action="))
            str_set(ret, line);
    }
    return -EPROTO;
}

static int exchange(struct policy *p, struct connection *c, struct span request, struct str *ret)
{
    stream_write(c->stream, request);

    int r = read_answer(c->stream, ret);

    if (r < 0)
        stream_free(c->stream);
    else
        put_back(p, c);
    return r;
}

/* A kept connection may be one that the server is just closing: that costs no try */
static int try_once(struct policy *p, struct span request, struct str *ret)
{
    struct connection c;

    while (take_kept(p, &c)) {
        int r = exchange(p, &c, request, ret);

        if (r == 0 || r == -ETIMEDOUT || r == -ECANCELED || r == -EPROTO)
            return r;
    }

    int r = open_connection(p, &c);

    return r < 0 ? r : exchange(p, &c, request, ret);
}

static int ask(struct policy *p, struct span request, struct str *ret)
{
    for (int64_t i = 1;; i++) {
        int r = try_once(p, request, ret);

        if (r == 0 || r == -ECANCELED)
            return r;
        log_warn_errno(r, "problem talking to server %s", p->name);
        if (i >= p->try_limit)
            return r;
        if (fiber_sleep_until(clock_deadline_ms(p->retry_delay * 1000)) < 0)
            return -ECANCELED;
    }
}

enum verdict ask_policy_service(struct smtpd *s, const struct restriction_item *item)
{
    _cleanup_(str_free) struct str scratch = STR_INIT;
    _cleanup_(str_free) struct str request = STR_INIT;
    _cleanup_(str_free) struct str action = STR_INIT;
    struct subject about = subject_of_stage(s, &scratch);
    struct policy *p = item->policy;

    compose(s, p, &request);
    if (ask(p, str_span(&request), &action) < 0)
        str_set(&action, span_of(p->default_action));
    return access_act(s, p->name, str_span(&action), &about);
}
