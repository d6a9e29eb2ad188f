/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c - a connection of sendmail: its messages are passed on to cleanup, the answers back
 *
 * Who submits is known from the socket (SO_PEERCRED), not from what the client says, so sendmail
 * needs no special rights. The client sends all of a message before it reads the answer; so does
 * this relay, also when the answer is known before.
 *
 * Runs in: pickup. Input is hostile: any user of the machine may connect.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/msg_queue.h"
#include "pickup/pickup.h"

/* A client that stops halfway must not hold a session for as long as our own programs may. */
#define CLIENT_TIMEOUT_MS 300000

struct relay {
    struct pickup *pickup;
    struct ipc *client;
    struct ipc *cleanup; /* NULL: the result is known already, the rest is only read away */
    uid_t uid;
    struct submit submit;
    struct submit_result result;
};

static void relay_done(struct relay *r)
{
    ipc_free(r->cleanup);
    submit_msg_done(&r->submit);
}

static void refuse(struct relay *r)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    int ok = authorize(r->pickup, r->uid, &text);

    if (ok > 0)
        return;
    submit_result_temporary(&r->result, "cannot look up the user");
    if (ok == 0) {
        r->result.status = SUBMIT_PERMANENT;
        snprintf(r->result.dsn, sizeof r->result.dsn, "5.7.1");
        snprintf(r->result.text, sizeof r->result.text, "%s", str_cstr(&text));
    }
    log_warn("uid=%u: submission refused: %s", (unsigned)r->uid, r->result.text);
}

static void connect_cleanup(struct relay *r)
{
    const struct params *p = r->pickup->params;

    if (r->result.status != SUBMIT_OK)
        return;
    int e = ipc_pool_get(r->pickup->cleanup, clock_deadline_ms(p->ipc_timeout * 1000), &r->cleanup);

    if (e < 0) {
        log_warn_errno(e, "cannot reach cleanup; the client is asked to try again");
        submit_result_temporary(&r->result, "mail system is not ready");
        return;
    }
    stream_set_timeout(ipc_stream(r->cleanup), p->ipc_timeout * 1000);
    ipc_send(r->cleanup, &submit_shape, &r->submit);
}

static int relay_envelope(struct relay *r)
{
    _cleanup_(submit_rcpt_msg_done) struct submit_rcpt rcpt = {0};
    int e = ipc_recv(r->client, &submit_shape, &r->submit);

    if (e < 0)
        return e;
    submit_sanitize(&r->submit, r->uid);
    refuse(r);
    connect_cleanup(r);
    for (uint32_t i = 0; i < r->submit.n_rcpt; i++) {
        e = ipc_recv(r->client, &submit_rcpt_shape, &rcpt);
        if (e < 0)
            return e;
        if (r->cleanup)
            ipc_send(r->cleanup, &submit_rcpt_shape, &rcpt);
    }
    return 0;
}

static int relay_content(struct relay *r)
{
    for (;;) {
        struct span bytes;
        int e = ipc_recv_chunk(r->client, &bytes);

        if (e < 0)
            return e;
        if (r->cleanup)
            ipc_send_chunk(r->cleanup, bytes);
        if (bytes.len == 0)
            return 0;
    }
}

static void receive_result(struct relay *r)
{
    if (!r->cleanup)
        return;
    int e = ipc_recv(r->cleanup, &submit_result_shape, &r->result);

    if (e < 0) {
        log_warn_errno(e, "lost cleanup within a message; the client is asked to try again");
        submit_result_temporary(&r->result, "mail system is not ready");
        return;
    }
    ipc_pool_put(r->pickup->cleanup, TAKE_PTR(r->cleanup));
    if (r->result.status == SUBMIT_OK)
        submit_log(&r->submit, &r->result);
}

/* One message. Negative: the client is gone; closing the connection makes cleanup forget the
 * message. */
static int relay_message(struct pickup *p, struct ipc *client, uid_t uid)
{
    _cleanup_(relay_done) struct relay r = {.pickup = p, .client = client, .uid = uid};
    int e = relay_envelope(&r);

    if (e == 0)
        e = relay_content(&r);
    if (e < 0)
        return e;
    receive_result(&r);
    ipc_send(client, &submit_result_shape, &r.result);
    return ipc_flush(client);
}

/* qmgr has put a message back there (postsuper -r). */
static int look_into_maildrop(struct server *sv, struct ipc *client, uid_t uid)
{
    struct maildrop_notice notice = { 0 };
    int r = ipc_recv(client, &maildrop_notice_shape, &notice);

    if (r == 0 && !daemon_is_superuser(sv, uid))
        r = -EPROTO;
    if (r == 0)
        maildrop_scan(sv->state);
    return r;
}

void pickup_session(struct server *sv, struct stream *client, const struct peer *peer)
{
    _cleanup_(ipc_free_ptr_) struct ipc *ipc = ipc_new(client);
    struct span type;
    int r;

    stream_set_timeout(client, CLIENT_TIMEOUT_MS);
    while ((r = ipc_wait_request(ipc, &type)) == 0) {
        if (span_eq_str(type, "maildrop_notice"))
            r = look_into_maildrop(sv, ipc, peer->uid);
        else
            r = relay_message(sv->state, ipc, peer->uid);
        if (r < 0)
            break;
    }
    if (r == -EPROTO)
        log_warn("malformed request from uid %u pid %d; connection closed", (unsigned)peer->uid,
                 (int)peer->pid);
}
