/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c - qmgr's requests, one after another (ipc/msg_deliver.h)
 *
 * The beginning of the message is read once, for all recipients: it has the header that shows loops,
 * and with most messages it is all there is to store.
 *
 * Runs in: local, virtual. qmgr is trusted; addresses and the message are not.
 */
#include "local/agent.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define CLEANUP_IDLE_MAX 16

/* ---- start ---- */

static int open_aliases(struct server *sv, struct agent *a, struct str *err)
{
    int r = maps_open_named("alias_maps", sv->params->alias_maps, &a->aliases, err);

    /* Nobody has to make an alias file who has no aliases. */
    if (r == -ENOENT && !conf_is_set(sv->conf, "alias_maps")) {
        log_warn("%s; going on without aliases", str_cstr(err));
        str_reset(err);
        a->aliases = NULL;
        r = 0;
    }
    return r;
}

int agent_start(struct server *sv, bool system_users, uint64_t max_size)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    struct agent *a = mem_new(struct agent);

    a->sv = sv;
    a->system_users = system_users;
    a->max_size = max_size;
    sv->state = a;
    int r = locator_open(sv->conf, sv->params, &a->locator, &err);
    if (r == 0)
        r = maps_open_named("virtual_mailbox_limit_maps", sv->params->virtual_mailbox_limit_maps, &a->limits, &err);
    if (r == 0 && system_users)
        r = open_aliases(sv, a, &err);
    if (r < 0) {
        log_error("%s", str_cstr(&err));
        return r;
    }
    if (system_users)
        a->cleanup = ipc_pool_new(sv->params->cleanup_service_name, sv->params->ipc_idle * 1000, CLEANUP_IDLE_MAX);
    return 0;
}

/* ---- one request ---- */

static void recipient_done(struct recipient *r)
{
    deliver_rcpt_msg_done(&r->rcpt);
    outcome_msg_done(&r->outcome);
}

static void message_done(struct message *m)
{
    deliver_msg_done(&m->request);
    str_free(&m->head);
    if (m->fd >= 0)
        close(m->fd);
}

void outcome_set(struct outcome *o, enum outcome_status status, const char *dsn, const char *fmt, ...)
{
    va_list ap;

    o->status = status;
    snprintf(o->dsn, sizeof o->dsn, "%s", dsn);
    str_reset(&o->text);
    va_start(ap, fmt);
    str_vaddf(&o->text, fmt, ap);
    va_end(ap);
    if (o->text.len > 1024)
        str_truncate(&o->text, 1024);
}

static int read_head(struct message *m)
{
    uint64_t size = m->request.content_size;
    size_t want = size < MESSAGE_HEAD_MAX ? (size_t)size : MESSAGE_HEAD_MAX;

    str_reserve(&m->head, want);
    while (m->head.len < want) {
        ssize_t n = pread(m->fd, m->head.data + m->head.len, want - m->head.len,
                          (off_t)(m->request.content_offset + m->head.len));

        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return -EIO;
        if (n > 0)
            m->head.len += (size_t)n;
    }
    return 0;
}

static void log_outcome(const struct message *m, const struct recipient *r)
{
    _cleanup_(str_free) struct str line = STR_INIT;
    const struct delivery_times times = {
        .handoff_us = m->handoff_us,
        .setup_us = m->handoff_us, /* there is nothing to connect to */
        .done_us = clock_real_us(),
    };

    delivery_line_of(&line, &m->request, &r->rcpt, &r->outcome, &times,
                     m->agent->sv->params->delay_logging_resolution_limit);
    log_info("%s", str_cstr(&line));
}

/* Receive one recipient, deliver, answer. With the last one the answer waits for deliver_done. */
static void serve_recipient(struct message *m, struct ipc *c, struct recipient *r, int trouble, bool last)
{
    r->outcome.number = r->rcpt.number;
    str_add_str(&r->outcome.relay, m->agent->sv->service);
    if (trouble < 0)
        outcome_set(&r->outcome, OUTCOME_DEFERRED, "4.3.0", "cannot read the queue file: %s", strerror(-trouble));
    else
        deliver_recipient(m, r);
    log_outcome(m, r);
    ipc_send(c, &outcome_shape, &r->outcome);
    if (!last)
        ipc_flush(c);
}

static int serve_recipients(struct message *m, struct ipc *c, struct recipient *list)
{
    const struct deliver_done done = { .reason = STR_INIT };
    int r = 0;

    for (uint32_t i = 0; i < m->request.n_rcpt && r == 0; i++)
        r = ipc_recv(c, &deliver_rcpt_shape, &list[i].rcpt);
    if (r < 0)
        return r;
    int trouble = read_head(m);
    m->handoff_us = clock_real_us();
    for (uint32_t i = 0; i < m->request.n_rcpt; i++)
        serve_recipient(m, c, &list[i], trouble, i + 1 == m->request.n_rcpt);
    ipc_send(c, &deliver_done_shape, &done);
    return ipc_flush(c);
}

static int serve(struct server *sv, struct ipc *c)
{
    _cleanup_(message_done) struct message m = { .agent = sv->state, .fd = -1 };
    int r = ipc_recv(c, &deliver_shape, &m.request);

    if (r == 0)
        r = ipc_recv_fd(c, &m.fd);
    if (r < 0)
        return r;
    struct recipient *list = mem_new_n(struct recipient, m.request.n_rcpt + 1);
    r = serve_recipients(&m, c, list);
    for (uint32_t i = 0; i < m.request.n_rcpt; i++)
        recipient_done(&list[i]);
    free(list);
    return r;
}

void agent_session(struct server *sv, struct stream *client, const struct peer *peer)
{
    _cleanup_(ipc_free_ptr_) struct ipc *c = ipc_new(client);
    struct span type;
    int r = 0;

    (void)peer;
    while (r == 0 && ipc_wait_request(c, &type) == 0)
        r = serve(sv, c);
    if (r == -EPROTO)
        log_warn("%s: malformed request", sv->service);
}
