/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message.c - the index of messages: where each is, and what wakes it
 *
 * Runs in: qmgr. Ids have passed queue_id_valid().
 */
#include "qmgr/message.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "qmgr/active.h"
#include "qmgr/clock.h"

struct message *message_find(const struct qmgr *q, struct span id)
{
    return index_get(&q->messages, id);
}

struct message *message_new(struct qmgr *q, const char *id)
{
    size_t len = strlen(id);
    struct message *m = mem_calloc(1, sizeof *m + len + 1);

    memcpy(m->id, id, len + 1);
    m->state = QUEUE_STATE_INCOMING;
    list_init(&m->link);
    index_put(&q->messages, m);
    return m;
}

void message_describe(struct qmgr *q, struct message *m, const struct queue_envelope *e)
{
    digest_free(&q->digests, m->digest);
    m->digest = e ? digest_new(&q->digests, e) : NULL;
}

/* Out of the list or heap that its state keeps it in. */
static void detach(struct qmgr *q, struct message *m)
{
    if (m->state == QUEUE_STATE_INCOMING)
        list_remove(&m->link);
    else if (m->state == QUEUE_STATE_DEFERRED)
        heap_remove(&q->deferred, &m->retry);
}

void message_drop(struct qmgr *q, struct message *m)
{
    detach(q, m);
    message_describe(q, m, NULL);
    index_remove(&q->messages, m);
    free(m);
}

enum queue_place message_place(const struct message *m)
{
    return m->fresh ? QUEUE_NEW : QUEUE_CUR;
}

int message_keep(struct qmgr *q, struct message *m)
{
    if (!m->fresh || (message_active(m) && m->active->removing)) /* not from below the thread that unlinks it */
        return 0;
    int r = queue_move(&q->dirs, QUEUE_NEW, QUEUE_CUR, m->id);

    if (r == 0)
        m->fresh = false;
    else if (r != -ENOENT)
        log_warn_errno(r, "%s: cannot move from new/ to cur/", m->id);
    return r;
}

static void make_incoming(struct qmgr *q, struct message *m, struct list *before)
{
    message_keep(q, m);
    detach(q, m);
    m->state = QUEUE_STATE_INCOMING;
    list_init(&m->link);
    list_insert_before(before, &m->link);
}

void message_enqueue(struct qmgr *q, struct message *m)
{
    make_incoming(q, m, &q->incoming);
    if (q->n_active < q->active_max)
        clock_wake(q);
}

void message_park(struct qmgr *q, struct message *m, struct list *where)
{
    make_incoming(q, m, where);
}

void message_defer(struct qmgr *q, struct message *m, int64_t due)
{
    message_keep(q, m);
    detach(q, m);
    m->state = QUEUE_STATE_DEFERRED;
    m->retry = (struct heap_node){ 0 };
    heap_put(&q->deferred, &m->retry, (uint64_t)due * 1000);
    clock_wake_at_real(q, due * 1000);
}

struct message *message_next(struct qmgr *q, int64_t now_ms)
{
    struct message *m = LIST_FIRST(&q->incoming, struct message, link);
    struct heap_node *due = heap_min(&q->deferred);

    if (q->n_active >= q->active_max)
        return NULL;
    if (due && due->key > (uint64_t)now_ms)
        due = NULL;
    if (!m && !due)
        return NULL;
    if (!m || (due && q->incoming_had_last)) {
        m = CONTAINER_OF(due, struct message, retry);
        q->incoming_had_last = false;
    } else {
        q->incoming_had_last = true;
    }
    detach(q, m);
    return m;
}

void message_corrupt(struct qmgr *q, enum queue_place place, const char *id, const char *why)
{
    int r = queue_move(&q->dirs, place, QUEUE_CORRUPT, id);

    if (r < 0 && r != -ENOENT)
        log_warn_errno(r, "%s: cannot move unreadable queue file (%s) to corrupt/", id, why);
    else
        log_warn("%s: unreadable queue file: %s; moved to corrupt/", id, why);
}

void message_accept(struct qmgr *q, const char *id)
{
    if (q->stopping || message_find(q, span_of(id)))
        return;
    struct message *m = message_new(q, id);

    m->fresh = true;
    if (q->n_active < q->active_max && list_empty(&q->incoming))
        active_start(q, m);
    else if (message_keep(q, m) == -ENOENT)
        message_drop(q, m); /* the scan of new/ was faster, and it is delivered already */
    else
        message_enqueue(q, m);
}
