/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handoff.c - a signed-in client and its session processes, one after another (ipc/msg_session.h)
 *
 * Without TLS the session gets the client's own socket. With TLS or compression it gets one end of a socket pair, and the
 * front copies between that and the client. In both cases the front keeps the connection, so
 * that the session can leave it with the front and end.
 *
 * Runs in: imapd-login, pop3d-login. A session process is trusted with the connection of its own client only.
 */
#include <errno.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/stream_rest.h"
#include "login/deflate.h"
#include "login/held.h"

enum { START_TIMEOUT_MS = 60000, LINE_TIMEOUT_MS = 30000 };

static const char *service_of(const struct held *h)
{
    const struct login_server *server = h->sv->state;

    return server->protocol->session_service;
}

static void fill_start(const struct held *h, struct session_start *m)
{
    snprintf(m->session_id, sizeof m->session_id, "%s", h->session_id);
    snprintf(m->client_addr, sizeof m->client_addr, "%s", h->remote);
    snprintf(m->local_addr, sizeof m->local_addr, "%s", h->local);
    m->client_port = h->remote_port;
    m->local_port = h->local_port;
    m->tls = h->tls;
    m->compressed = h->deflate != NULL;
    m->silent_ms = clock_ms() - h->heard_ms;
    m->linger_ms = h->linger_ms;
}

/* What the client has pipelined goes along; where the front keeps a layer, it goes that way. */
static void take_input(struct held *h, struct str *input)
{
    struct span more;

    if (stream_buffered(h->client) > 0 && stream_peek(h->client, &more) == 0) {
        str_add(input, more);
        stream_consume(h->client, more.len);
    }
}

/* Offer fd to a session process. 0 when it has taken it: h->session is the conversation with it. */
static int offer(struct held *h, const struct session_start *m, int fd, struct session_started *ret)
{
    _cleanup_(ipc_free_ptr_) struct ipc *c = NULL;
    uint64_t deadline = clock_deadline_ms(START_TIMEOUT_MS);

    int r = ipc_connect(service_of(h), deadline, &c);
    if (r < 0) {
        snprintf(ret->text, sizeof ret->text, "cannot reach %s", service_of(h));
        return r;
    }
    stream_set_deadline(ipc_stream(c), deadline);
    ipc_send_fd(c, fd);
    ipc_send(c, &session_start_shape, m);
    r = ipc_recv(c, &session_started_shape, ret);
    if (r == 0 && ret->status != 0)
        r = -EAGAIN;
    if (r < 0)
        return r;
    stream_set_deadline(ipc_stream(c), CLOCK_NEVER);
    h->session = TAKE_PTR(c);
    return 0;
}

static int begin_with_socket(struct held *h, struct session_start *m, struct session_started *ret)
{
    int r = stream_flush(h->client);

    take_input(h, &m->input);
    if (r == 0)
        r = offer(h, m, stream_fd(h->client), ret);
    if (r == 0)
        stream_rest(h->client);     /* it is the session's to read now */
    return r;
}

static int begin_with_pair(struct held *h, const struct session_start *m, struct session_started *ret)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return -errno;
    _cleanup_close_ int theirs = pair[1];
    _cleanup_(stream_free_ptr_) struct stream *session = stream_new(pair[0]);
    int r = offer(h, m, theirs, ret);
    if (r < 0)
        return r;
    stream_set_deadline(h->client, CLOCK_NEVER);
    h->relay = relay_start(h->client, h->deflate, TAKE_PTR(session));
    return 0;
}

static int begin(struct held *h, struct session_start *m, struct session_started *ret)
{
    *ret = (struct session_started){ .status = 1 };
    fill_start(h, m);
    return h->tls || h->deflate ? begin_with_pair(h, m, ret) : begin_with_socket(h, m, ret);
}

static void release_state(struct held *h)
{
    str_free(&h->state);
    str_free(&h->pass);
}

int held_resume(struct held *h)
{
    struct session_start m = { .pass = h->pass, .state = h->state, .input = STR_INIT };     /* borrowed */
    struct session_started res;

    watch_end(h);
    h->changed = false;
    int r = begin(h, &m, &res);
    str_free(&m.input);
    if (r < 0)
        return log_warn_errno(r, "%s: cannot be woken: %s", str_cstr(&h->who), res.text);
    release_state(h);
    return 0;
}

/* ---- what a session wants ---- */

static void take_directories(struct held *h)
{
    watch_end(h);
    for (size_t i = 0; i < SESSION_WATCHED; i++)
        if (ipc_recv_fd(h->session, &h->dirs[i]) < 0)
            h->dirs[i] = -1;
}

static int on_hold(struct held *h)
{
    struct session_hold m;
    struct session_held answer = { 0 };
    int r = ipc_recv(h->session, &session_hold_shape, &m);

    if (r < 0)
        return r;
    h->changed = false;
    if (m.watch) {
        take_directories(h);
        answer.watched = watch_begin(h);
    }
    relay_hold(h->relay);
    ipc_send(h->session, &session_held_shape, &answer);
    return ipc_flush(h->session);
}

static int on_stay(struct held *h)
{
    struct session_stay m;
    int r = ipc_recv(h->session, &session_stay_shape, &m);

    watch_end(h);
    relay_go_on(h->relay);
    return r;
}

/* 1: parked */
static int on_park(struct held *h)
{
    struct session_park m = { .idling = 0 };
    int r = ipc_recv(h->session, &session_park_shape, &m);

    if (r < 0) {
        session_park_msg_done(&m);
        return r;
    }
    str_free(&h->who);
    str_free(&h->tally);
    h->idling = m.idling;
    /* The exact size: of these there may be ten thousand. */
    str_set(&h->state, str_span(&m.state));
    str_set(&h->pass, str_span(&m.pass));
    str_set(&h->who, str_span(&m.who));
    str_set(&h->tally, str_span(&m.tally));
    session_park_msg_done(&m);
    h->heard_ms = m.silent_ms < clock_ms() ? clock_ms() - m.silent_ms : 0;
    return 1;
}

/* The session has said its last plain byte, and the client's next one is compressed. */
static int on_compress(struct held *h)
{
    const struct session_compressed answer = { 0 };
    struct session_compress m;
    int pair[2], r = ipc_recv(h->session, &session_compress_shape, &m);

    if (r < 0 || h->deflate)
        return r < 0 ? r : -EPROTO;
    relay_end(TAKE_PTR(h->relay));
    stream_rest(h->client);
    stream_set_deadline(h->client, CLOCK_NEVER);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return log_warn_errno(-errno, "session <%s>: no compression", h->session_id);
    _cleanup_close_ int theirs = pair[1];
    h->deflate = deflate_new((unsigned)h->sv->params->imap_compress_ratio_limit);
    h->relay = relay_start(h->client, h->deflate, stream_new(pair[0]));
    ipc_send_fd(h->session, theirs);
    ipc_send(h->session, &session_compressed_shape, &answer);
    return ipc_flush(h->session);
}

static const struct {
    struct span type;
    int (*serve)(struct held *h);
} requests[] = {
    { SPAN("session_hold"), on_hold },
    { SPAN("session_stay"), on_stay },
    { SPAN("session_park"), on_park },
    { SPAN("session_compress"), on_compress },
};

static int serve_request(struct held *h, struct span type)
{
    for (size_t i = 0; i < ARRAY_LEN(requests); i++)
        if (span_eq(type, requests[i].type))
            return requests[i].serve(h);
    return -EPROTO;
}

void held_live(struct held *h)
{
    struct span type;
    int r = 0;

    if (h->linger_ms > 0)
        lot_woken(h);
    while (r == 0) {
        r = ipc_peek_type(h->session, &type);
        lot_woken(h);
        if (r == 0)
            r = serve_request(h, type);
    }
    if (r == -EPROTO)
        log_warn("session <%s>: malformed request", h->session_id);
    ipc_free(TAKE_PTR(h->session));
    relay_end(TAKE_PTR(h->relay));
    if (r == 1)
        lot_park(h);
    else
        held_free(h);
}

/* ---- beginning and end ---- */

int held_say(struct held *h, const char *line)
{
    _cleanup_(str_free) struct str out = STR_INIT;

    if (h->deflate)
        deflate_out(h->deflate, span_of(line), &out);
    else
        str_add_str(&out, line);
    stream_set_deadline(h->client, clock_deadline_ms(LINE_TIMEOUT_MS));
    stream_write(h->client, str_span(&out));
    int r = stream_flush(h->client);
    stream_set_deadline(h->client, CLOCK_NEVER);
    return r;
}

/* All connections of a user from one address are taken for one client's. */
static uint64_t hash_client(const struct login *l)
{
    _cleanup_(str_free) struct str key = STR_INIT;

    str_add_str(&key, l->remote);
    str_add_char(&key, ' ');
    str_add(&key, str_span(&l->user));
    return span_hash(str_span(&key));
}

static struct held *held_new(const struct login *l)
{
    struct held *h = mem_new(struct held);

    h->sv = l->sv;
    h->client = l->client;
    h->tls = l->tls;
    h->client_hash = hash_client(l);
    h->heard_ms = clock_ms();
    h->linger_ms = (uint32_t)l->sv->params->imap_hibernate_timeout * 1000;
    h->remote_port = l->remote_port;
    h->local_port = l->local_port;
    memcpy(h->remote, l->remote, sizeof h->remote);
    memcpy(h->local, l->local, sizeof h->local);
    memcpy(h->session_id, l->session_id, sizeof h->session_id);
    for (size_t i = 0; i < SESSION_WATCHED; i++)
        h->dirs[i] = -1;
    return h;
}

void held_free(struct held *h)
{
    places_leave(h);
    watch_end(h);
    if (h->client && h->tls)
        stream_close_write(h->client);
    stream_free(h->client);
    ipc_free(h->session);
    deflate_free(h->deflate);
    release_state(h);
    str_free(&h->who);
    str_free(&h->tally);
    free(h);
}

/* Begin a session for the client, which has a place. */
static int begin_first(struct login *l, struct held *h, const struct str *ticket, struct span tag)
{
    struct session_start m = { .ticket = *ticket, .input = STR_INIT };      /* borrowed */
    struct session_started res;

    snprintf(m.tag, sizeof m.tag, SPAN_FMT, SPAN_ARG(tag));
    snprintf(m.client_name, sizeof m.client_name, "%s", l->client_name);
    int r = begin(h, &m, &res);
    str_free(&m.input);
    if (r < 0)
        log_warn("%s-login: no session for user %s: %s", l->server->protocol->name, str_cstr(&l->user),
                 res.text[0] ? res.text : strerror(-r));
    else
        login_log_success(l, res.pid);
    return r;
}

int login_hand_off(struct login *l, const struct auth_result *who, struct span tag)
{
    struct held *h = held_new(l);
    int r = places_take(h, str_span(&who->user));

    if (r == 0)
        r = begin_first(l, h, &who->ticket, tag);
    else
        login_log_limit(l);
    if (r < 0) {
        h->client = NULL;   /* it is still waiting for its answer */
        held_free(h);
        return r;
    }
    l->client = NULL;
    l->held = h;
    return 0;
}
