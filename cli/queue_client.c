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
#include "queue/listing.h"

#define CONNECT_TIMEOUT_MS 10000
#define ANSWER_TIMEOUT_MS  600000
#define WINDOW             128 /* requests under way: both they and their answers fit into a socket's buffer */

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

void queue_item_done(struct queue_item *item)
{
    str_free(&item->sender);
    for (size_t i = 0; i < item->cap; i++) {
        str_free(&item->rcpts[i].address);
        str_free(&item->rcpts[i].orig);
        str_free(&item->rcpts[i].reason);
    }
    free(item->rcpts);
    *item = (struct queue_item){ 0 };
}

struct queue_item_rcpt *queue_item_add_rcpt(struct queue_item *item)
{
    size_t before = item->cap;

    MEM_GROW(item->rcpts, item->n_rcpts, item->cap);
    if (item->cap > before)
        memset(item->rcpts + before, 0, (item->cap - before) * sizeof *item->rcpts);
    struct queue_item_rcpt *r = &item->rcpts[item->n_rcpts++];

    str_reset(&r->address);
    str_reset(&r->orig);
    str_reset(&r->reason);
    return r;
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

/* What is read of a listing. */
struct reader {
    struct ipc *c;
    struct queue_entries batch;
    struct span rest;           /* of batch */
    struct queue_item item;     /* its memory serves all messages */
};

static void reader_done(struct reader *rd)
{
    str_free(&rd->batch.records);
    queue_item_done(&rd->item);
}

static int next_batch(struct reader *rd)
{
    int r = ipc_recv(rd->c, &queue_entries_shape, &rd->batch);

    rd->rest = str_span(&rd->batch.records);
    return r;
}

static int read_rcpt(struct reader *rd)
{
    struct listed_rcpt rcpt;
    int r = rd->rest.len > 0 ? 0 : next_batch(rd);

    if (r == 0)
        r = listing_take_rcpt(&rd->rest, &rcpt);
    if (r < 0)
        return r;
    struct queue_item_rcpt *to = queue_item_add_rcpt(&rd->item);

    str_add(&to->address, rcpt.address);
    str_add(&to->orig, rcpt.orig);
    str_add(&to->reason, rcpt.reason);
    return 0;
}

static int read_item(struct reader *rd)
{
    struct queue_item *item = &rd->item;
    struct listed_message m;
    int r = listing_take_message(&rd->rest, &m);

    if (r < 0)
        return r;
    item->state = m.state;
    item->arrival = m.arrival;
    item->size = m.size;
    item->forced_expire = m.expire;
    item->n_rcpts = 0;
    memcpy(item->id, m.id.ptr, m.id.len);
    item->id[m.id.len] = '\0';
    str_set(&item->sender, m.sender);
    for (uint32_t i = 0; r == 0 && i < m.n_rcpts; i++)
        r = read_rcpt(rd);
    return r;
}

int queue_client_list(struct queue_client *c, int (*fn)(const struct queue_item *item, void *arg),
                      void *arg)
{
    const struct queue_list request = { .what = QUEUE_LIST_MESSAGES };
    _cleanup_(reader_done) struct reader rd = { .c = c->qmgr };
    int r;

    if (!c->qmgr)
        return queue_direct_list(&c->dirs, fn, arg);
    ipc_send(c->qmgr, &queue_list_shape, &request);
    while ((r = list_goes_on(c, span_of("queue_entries"))) > 0) {
        r = next_batch(&rd);
        while (r == 0 && rd.rest.len > 0) {
            r = read_item(&rd);
            if (r == 0)
                r = fn(&rd.item, arg);
        }
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

static int recv_done(struct queue_client *c)
{
    struct queue_command_done done = { 0 };
    int r = ipc_recv(c->qmgr, &queue_command_done_shape, &done);

    if (r < 0)
        return r;
    if (done.status == SUBMIT_OK)
        return done.count > 0;
    memcpy(c->refusal, done.text, sizeof c->refusal);
    return -EPERM;
}

int queue_client_act(struct queue_client *c, const struct queue_command *cmd)
{
    if (!c->qmgr)
        return queue_direct_act(&c->dirs, cmd->action, cmd->queue_id);
    ipc_send(c->qmgr, &queue_command_shape, cmd);
    return recv_done(c);
}

/* Requests for ids[from] up to ids[to]. */
static void send_commands(struct queue_client *c, const struct queue_command *cmd,
                          char (*ids)[QUEUE_ID_MAX + 1], size_t from, size_t to)
{
    struct queue_command one = *cmd;

    for (; from < to; from++) {
        memcpy(one.queue_id, ids[from], sizeof ids[from]);
        ipc_send(c->qmgr, &queue_command_shape, &one);
    }
}

int queue_client_act_on_many(struct queue_client *c, const struct queue_command *cmd,
                             char (*ids)[QUEUE_ID_MAX + 1], size_t n,
                             void (*fn)(size_t i, int result, void *arg), void *arg)
{
    size_t sent = 0;

    for (size_t i = 0; !c->qmgr && i < n; i++)
        fn(i, queue_direct_act(&c->dirs, cmd->action, ids[i]), arg);
    for (size_t i = 0; c->qmgr && i < n; i++) {
        if (sent - i <= WINDOW / 2) {
            size_t to = n - i < WINDOW ? n : i + WINDOW;

            send_commands(c, cmd, ids, sent, to);
            sent = to;
        }
        int r = recv_done(c);

        fn(i, r, arg);
        if (r < 0)
            return r;
    }
    return 0;
}
