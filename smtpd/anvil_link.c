/* SPDX-License-Identifier: Apache-2.0 */
/*
 * anvil_link.c - the process's one connection to anvil
 *
 * A request and its answer are one short exchange at a time. When the connection has failed, another is made
 * and the request repeated once: whatever the old anvil had counted is gone with it.
 *
 * Runs in: smtpd. Logs that anvil cannot be reached, at most once a minute.
 */
#include "smtpd/anvil_link.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum { ANSWER_MS = 5000, PAUSE_MS = 1000, COMPLAIN_MS = 60000 };

struct anvil_link {
    struct ipc *ipc;            /* NULL: none */
    struct gate gate;
    struct list clients;        /* those that are counted */
    uint64_t retry_at, complain_at;
};

struct anvil_link *anvil_link_new(void)
{
    struct anvil_link *l = mem_new(struct anvil_link);

    gate_init(&l->gate, 1);
    list_init(&l->clients);
    return l;
}

static void hang_up(struct anvil_link *l)
{
    ipc_free(TAKE_PTR(l->ipc));
}

static void resume(struct anvil_link *l)
{
    struct anvil_client *client;

    LIST_FOREACH(client, &l->clients, struct anvil_client, link)
    {
        struct anvil_event ev = client->who;

        ev.kind = ANVIL_RESUME;
        ipc_send(l->ipc, &anvil_event_shape, &ev);
    }
}

static int reach(struct anvil_link *l)
{
    if (l->ipc)
        return 0;
    if (clock_ms() < l->retry_at)
        return -ENOTCONN;
    int r = ipc_connect("anvil", clock_deadline_ms(ANSWER_MS), &l->ipc);
    if (r < 0) {
        l->retry_at = clock_deadline_ms(PAUSE_MS);
        return r;
    }
    stream_set_timeout(ipc_stream(l->ipc), ANSWER_MS);
    resume(l);
    return 0;
}

/* answer_shape NULL: none is expected */
static int exchange(struct anvil_link *l, const struct ipc_shape *shape, const void *msg,
                    const struct ipc_shape *answer_shape, void *answer)
{
    int r = -EPIPE;

    for (int tries = 0; tries < 2 && r < 0 && r != -ECANCELED && r != -ETIMEDOUT; tries++) {
        bool kept = l->ipc != NULL;

        r = reach(l);
        if (r < 0)
            return r;
        ipc_send(l->ipc, shape, msg);
        r = answer_shape ? ipc_recv(l->ipc, answer_shape, answer) : ipc_flush(l->ipc);
        if (r < 0)
            hang_up(l);
        if (!kept)
            break;
    }
    return r;
}

static int ask(struct anvil_link *l, const struct ipc_shape *shape, const void *msg,
               const struct ipc_shape *answer_shape, void *answer)
{
    int r = gate_enter(&l->gate, clock_deadline_ms(ANSWER_MS));

    if (r == 0) {
        r = exchange(l, shape, msg, answer_shape, answer);
        gate_leave(&l->gate);
    }
    if (r < 0 && r != -ECANCELED && clock_ms() >= l->complain_at) {
        log_warn_errno(r, "cannot reach anvil; clients are not limited");
        l->complain_at = clock_deadline_ms(COMPLAIN_MS);
    }
    return r;
}

int anvil_report(struct anvil_link *l, struct anvil_client *client, enum anvil_kind kind,
                 struct anvil_counts *ret)
{
    struct anvil_event ev = client->who;

    ev.kind = kind;
    int r = ask(l, &anvil_event_shape, &ev, &anvil_counts_shape, ret);
    if (r == 0 && kind == ANVIL_CONNECT) {
        client->counted = true;
        list_push_back(&l->clients, &client->link);
    }
    return r;
}

void anvil_leave(struct anvil_link *l, struct anvil_client *client)
{
    struct anvil_event ev = client->who;

    if (!client->counted)
        return;
    client->counted = false;
    list_remove(&client->link); /* before the report: a new anvil must not be told of it */
    if (!l->ipc)
        return;
    ev.kind = ANVIL_DISCONNECT;
    ask(l, &anvil_event_shape, &ev, NULL, NULL);
}

void anvil_recall(struct anvil_link *l, const char *addr, struct anvil_memory *ret)
{
    struct anvil_recall recall = { 0 };

    snprintf(recall.client, sizeof recall.client, "%s", addr);
    if (ask(l, &anvil_recall_shape, &recall, &anvil_memory_shape, ret) < 0)
        *ret = (struct anvil_memory){ 0 };
}

void anvil_remember(struct anvil_link *l, const struct anvil_remember *memory)
{
    ask(l, &anvil_remember_shape, memory, NULL, NULL);
}
