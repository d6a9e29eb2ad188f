/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_client.c - the queue as postqueue and postsuper see it: through qmgr
 *
 * Runs in: postqueue, postsuper; as any user.
 */
#include "cli/queue_client.h"

#include <errno.h>
#include <sys/file.h>

#include "base/clock.h"
#include "base/mem.h"

#define CONNECT_TIMEOUT_MS 10000
#define ANSWER_TIMEOUT_MS  600000

static const struct span state_names[] = {
    [QUEUE_STATE_INCOMING] = SPAN("incoming"), [QUEUE_STATE_ACTIVE] = SPAN("active"),
    [QUEUE_STATE_DEFERRED] = SPAN("deferred"), [QUEUE_STATE_HOLD] = SPAN("hold"),
    [QUEUE_STATE_MAILDROP] = SPAN("maildrop"),
};

const char *queue_state_name(uint32_t state)
{
    return state_names[state].ptr;
}

int queue_state_find(struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(state_names); i++)
        if (span_eq(name, state_names[i]))
            return (int)i;
    return -1;
}

/* ---- reaching it ---- */

static int open_directories(const struct params *p, struct queue_client *c)
{
    int r = queue_dirs_open(p->queue_directory, (1u << QUEUE_PLACES) - 1, &c->dirs);

    if (r < 0)
        return r;
    if (flock(c->dirs.fd[QUEUE_CUR], LOCK_EX | LOCK_NB) == 0)
        return 0;
    r = errno == EWOULDBLOCK ? -EBUSY : -errno;
    queue_dirs_close(&c->dirs);
    return r;
}

int queue_client_open(const struct params *p, struct queue_client *ret)
{
    struct queue_client c = { 0 };

    ipc_set_directory(p->queue_directory);
    int r = ipc_connect("qmgr", clock_deadline_ms(CONNECT_TIMEOUT_MS), &c.qmgr);

    if (r == 0)
        stream_set_timeout(ipc_stream(c.qmgr), ANSWER_TIMEOUT_MS);
    else
        r = open_directories(p, &c);
    if (r == 0)
        *ret = c;
    return r;
}

void queue_client_close(struct queue_client *c)
{
    if (c->qmgr)
        ipc_free(c->qmgr);
    else
        queue_dirs_close(&c->dirs);
}

/* ---- listing ---- */

static void rcpt_done(struct queue_entry_rcpt *r)
{
    str_free(&r->address);
    str_free(&r->orig);
    str_free(&r->reason);
}

void queue_item_done(struct queue_item *item)
{
    str_free(&item->entry.sender);
    for (uint32_t i = 0; item->rcpts && i < item->entry.n_rcpt; i++)
        rcpt_done(&item->rcpts[i]);
    free(item->rcpts);
    *item = (struct queue_item){ 0 };
}

static int recv_item(struct ipc *c, struct queue_item *item)
{
    int r = ipc_recv(c, &queue_entry_shape, &item->entry);

    if (r < 0)
        return r;
    item->rcpts = mem_new_n(struct queue_entry_rcpt, item->entry.n_rcpt ? item->entry.n_rcpt : 1);
    for (uint32_t i = 0; r == 0 && i < item->entry.n_rcpt; i++)
        r = ipc_recv(c, &queue_entry_rcpt_shape, &item->rcpts[i]);
    return r;
}

static int message_next(struct ipc *c, int (*fn)(const struct queue_item *item, void *arg), void *arg)
{
    _cleanup_(queue_item_done) struct queue_item item = { 0 };
    int r = recv_item(c, &item);

    return r == 0 ? fn(&item, arg) : r;
}

/* 1: another message of this type comes; 0: the listing has ended; or negative */
static int list_goes_on(struct queue_client *c, struct span wanted)
{
    struct queue_list_end end = { 0 };
    struct span type;
    int r = ipc_peek_type(c->qmgr, &type);

    if (r < 0)
        return r;
    if (span_eq(type, wanted))
        return 1;
    r = ipc_recv(c->qmgr, &queue_list_end_shape, &end);
    if (r < 0 || end.status == SUBMIT_OK)
        return r;
    memcpy(c->refusal, end.text, sizeof c->refusal);
    return -EPERM;
}

int queue_client_list(struct queue_client *c, int (*fn)(const struct queue_item *item, void *arg),
                      void *arg)
{
    const struct queue_list request = { .what = QUEUE_LIST_MESSAGES };
    int r;

    if (!c->qmgr)
        return queue_direct_list(&c->dirs, fn, arg);
    ipc_send(c->qmgr, &queue_list_shape, &request);
    while ((r = list_goes_on(c, span_of("queue_entry"))) > 0) {
        r = message_next(c->qmgr, fn, arg);
        if (r < 0)
            break;
    }
    return r;
}

static int destination_next(struct ipc *c, void (*fn)(const struct queue_destination *d, void *arg),
                            void *arg)
{
    _cleanup_(queue_destination_msg_done) struct queue_destination d = { 0 };
    int r = ipc_recv(c, &queue_destination_shape, &d);

    if (r == 0)
        fn(&d, arg);
    return r;
}

int queue_client_destinations(struct queue_client *c,
                              void (*fn)(const struct queue_destination *d, void *arg), void *arg)
{
    const struct queue_list request = { .what = QUEUE_LIST_DESTINATIONS };
    int r;

    ipc_send(c->qmgr, &queue_list_shape, &request);
    while ((r = list_goes_on(c, span_of("queue_destination"))) > 0) {
        r = destination_next(c->qmgr, fn, arg);
        if (r < 0)
            break;
    }
    return r;
}

/* ---- acting ---- */

int queue_client_act(struct queue_client *c, const struct queue_command *cmd)
{
    struct queue_command_done done = { 0 };

    if (!c->qmgr)
        return queue_direct_act(&c->dirs, cmd->action, cmd->queue_id);
    ipc_send(c->qmgr, &queue_command_shape, cmd);
    int r = ipc_recv(c->qmgr, &queue_command_done_shape, &done);

    if (r < 0)
        return r;
    if (done.status == SUBMIT_OK)
        return done.count > 0;
    memcpy(c->refusal, done.text, sizeof c->refusal);
    return -EPERM;
}
