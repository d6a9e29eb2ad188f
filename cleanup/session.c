/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c - one connection of smtpd, pickup, bounce or a delivery agent: message after message
 *
 * Runs in: cleanup. The client is one of ours, but mistrusted: see ipc_recv().
 */
#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "cleanup/cleanup.h"
#include "daemon/daemon.h"

static int receive_envelope(struct ipc *client, struct message *m)
{
    _cleanup_(submit_rcpt_msg_done) struct submit_rcpt rcpt = {0};
    int r = ipc_recv(client, &submit_shape, &m->submit);

    if (r == 0 && m->submit.report)
        r = m->submit.origin == SUBMIT_INTERNAL ? ipc_recv_fd(client, &m->report_fd) : -EPROTO;
    if (r == 0)
        r = filter_receive(m, client);
    if (r < 0)
        return r;
    message_begin(m);
    filter_begin_local(m);
    inspect_begin(m);
    for (uint32_t i = 0; i < m->submit.n_rcpt; i++) {
        r = ipc_recv(client, &submit_rcpt_shape, &rcpt);
        if (r < 0)
            return r;
        message_add_rcpt(m, &rcpt);
    }
    return 0;
}

static int receive_content(struct ipc *client, struct message *m)
{
    for (;;) {
        struct span bytes;
        int r = ipc_recv_chunk(client, &bytes);

        if (r < 0)
            return r;
        if (bytes.len == 0)
            return 0;
        message_feed(m, bytes);
    }
}

static void message_free(struct message **m)
{
    message_done(*m);
    free(*m);
}

/* One message. Negative: the connection is lost, and the message with it. */
static int serve_message(struct cleanup *c, struct ipc *client)
{
    _cleanup_(message_free) struct message *m =
        mem_new(struct message); /* too large for a fiber's stack */

    message_init(m, c);
    int r = receive_envelope(client, m);

    if (r == 0)
        r = receive_content(client, m);
    if (r < 0)
        return r;
    message_finish(m);
    filter_give_back(m);
    ipc_send(client, &submit_result_shape, &m->result);
    return ipc_flush(client);
}

void cleanup_session(struct server *sv, struct stream *client, const struct peer *peer)
{
    _cleanup_(ipc_free_ptr_) struct ipc *ipc = ipc_new(client);
    struct span type;
    int r;

    stream_set_timeout(client, sv->params->ipc_timeout * 1000);
    while ((r = ipc_wait_request(ipc, &type)) == 0) {
        r = serve_message(sv->state, ipc);
        if (r < 0)
            break;
    }
    if (r == -EPROTO)
        log_warn("malformed request from uid %u pid %d; connection closed", (unsigned)peer->uid,
                 (int)peer->pid);
}
