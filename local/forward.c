/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward.c - a message to other addresses, through cleanup (ipc/msg_submit.h)
 *
 * It keeps its sender (but a list's is its owner), and gets a Delivered-To, by which a loop is known when it comes round.
 *
 * Runs in: local.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ipc/msg_submit.h"
#include "local/agent.h"

#define CONNECT_TIMEOUT_MS 30000

/*
 * What the sender wants to hear of those whom an alias names: all but success, which is reported as "expanded" here
 * (RFC 3461 section 5.2.7.3). A list has a sender of its own, who has asked for nothing in particular.
 */
static uint32_t notify_of_members(const struct recipient *r, const struct alias_list *to)
{
    uint32_t given = r->rcpt.dsn_notify, left = given & ~(uint32_t)DSN_SUCCESS;

    if (to->owner.len > 0 || given == 0)
        return 0;
    return left ? left : DSN_NEVER;
}

static void send_envelope(struct message *m, const struct recipient *r, struct ipc *c, const struct alias_list *to)
{
    bool list = to->owner.len > 0;
    struct submit s = {
        .origin = SUBMIT_INTERNAL,
        .flags = m->request.flags & (SUBMIT_8BIT | SUBMIT_SMTPUTF8),
        .n_rcpt = (uint32_t)to->len,
        .sender = list && m->request.sender.len > 0 ? to->owner : m->request.sender,
        .size_hint = m->request.content_size,
    };

    if (!list) {
        s.dsn_ret = m->request.dsn_ret;
        s.dsn_envid = m->request.dsn_envid;
    }
    snprintf(s.service, sizeof s.service, "%s", m->agent->sv->service);
    ipc_send(c, &submit_shape, &s);
    for (size_t i = 0; i < to->len; i++) {
        struct submit_rcpt rcpt = { .address = to->addresses[i], .dsn_notify = notify_of_members(r, to) };

        if (!list)
            rcpt.dsn_orcpt = r->rcpt.dsn_orcpt;
        ipc_send(c, &submit_rcpt_shape, &rcpt);
    }
}

/* The content in CRLF lines as it lies in the queue file; its beginning has been read already. */
static int send_content(struct message *m, struct recipient *r, struct ipc *c)
{
    _cleanup_(str_free) struct str lines = STR_INIT, crlf = STR_INIT;
    uint64_t done = m->head.len;

    deliver_prepend(m, r, false, &lines);
    for (struct span rest = str_span(&lines); rest.len > 0;) {
        str_add(&crlf, span_cut(&rest, '\n'));
        str_add_str(&crlf, "\r\n");
    }
    ipc_send_chunk(c, str_span(&crlf));
    if (m->head.len > 0)
        ipc_send_chunk(c, str_span(&m->head));
    str_reserve(&crlf, MESSAGE_HEAD_MAX);
    while (done < m->request.content_size) {
        uint64_t left = m->request.content_size - done;
        ssize_t n = pread(m->fd, crlf.data, left < MESSAGE_HEAD_MAX ? (size_t)left : MESSAGE_HEAD_MAX,
                          (off_t)(m->request.content_offset + done));

        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        ipc_send_chunk(c, span_make(crlf.data, (size_t)n));
        done += (uint64_t)n;
    }
    ipc_send_chunk(c, SPAN_NULL);
    return 0;
}

static int converse(struct message *m, struct recipient *r, const struct alias_list *to, struct ipc *c,
                    struct submit_result *ret)
{
    send_envelope(m, r, c, to);
    int e = send_content(m, r, c);

    return e < 0 ? e : ipc_recv(c, &submit_result_shape, ret);
}

/* Over a kept connection, or a new one when the kept one turns out to have been retired. */
static int submit(struct message *m, struct recipient *r, const struct alias_list *to, struct submit_result *ret)
{
    for (;;) {
        struct ipc *c;
        int e = ipc_pool_get(m->agent->cleanup, clock_deadline_ms(CONNECT_TIMEOUT_MS), &c);

        if (e < 0)
            return e;
        stream_set_timeout(ipc_stream(c), m->agent->sv->params->ipc_timeout * 1000);
        e = converse(m, r, to, c, ret);
        if (e == 0) {
            ipc_pool_put(m->agent->cleanup, c);
            return 0;
        }
        bool repeat = ipc_was_kept(c) && stream_error(ipc_stream(c)) != 0 && e != -ECANCELED && e != -ETIMEDOUT;

        ipc_free(c);
        if (!repeat)
            return e;
    }
}

int forward_message(struct message *m, struct recipient *r, const struct alias_list *to, char ret_id[static 64])
{
    struct submit_result res = { 0 };
    int e = submit(m, r, to, &res);

    if (e < 0) {
        outcome_set(&r->outcome, OUTCOME_DEFERRED, "4.3.0", "cannot forward: cleanup: %s", strerror(-e));
        return e;
    }
    if (res.status != SUBMIT_OK) {
        bool permanent = res.status == SUBMIT_PERMANENT;

        outcome_set(&r->outcome, permanent ? OUTCOME_BOUNCED : OUTCOME_DEFERRED,
                    res.dsn[0] ? res.dsn : permanent ? "5.3.0" : "4.3.0", "cannot forward: %s", res.text);
        return -EREMOTEIO;
    }
    memcpy(ret_id, res.queue_id, 64);
    return 0;
}
