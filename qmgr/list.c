/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.c - telling postqueue what is in the queue
 *
 * The queue goes on while the caller reads. So the index is visited in pieces: the ids of a piece are noted
 * and sorted, then looked up one by one. What waits is told from its digest, without opening a
 * file; what is being delivered, on hold or in maildrop/ is read from its file.
 *
 * Runs in: qmgr. The caller may be any local user, and slow; it holds nothing but its own fiber.
 */
#include "qmgr/list.h"

#include <errno.h>
#include <fcntl.h>

#include "mail/address.h"
#include "qmgr/authorize.h"
#include "qmgr/message.h"
#include "qmgr/scan.h"
#include "qmgr/summary.h"
#include "queue/listing.h"

#define PIECE          16384  /* ids noted at once; a queue that is no larger is listed in order of arrival */
#define SLOTS_PER_TURN 16384

struct listing {
    struct qmgr *q;
    struct ipc *c;
    uint32_t count;
    char (*ids)[QUEUE_ID_MAX + 1]; /* of one state at a time */
    size_t n_ids, cap;
    struct str address, reason;    /* of one recipient; kept for the next */
    struct str batch;              /* packed, not yet sent */
};

static bool gone(const struct listing *l)
{
    return stream_error(ipc_stream(l->c)) != 0;
}

/* ---- batches ---- */

static void send_batch(struct listing *l)
{
    const struct queue_entries m = { .records = l->batch };

    if (l->batch.len > 0)
        ipc_send(l->c, &queue_entries_shape, &m);
    str_reset(&l->batch);
}

/* Sending may wait, so what is being packed must be the caller's own. */
static void send_full_batch(struct listing *l)
{
    if (l->batch.len >= LISTING_BATCH)
        send_batch(l);
}

/* ---- from the file ---- */

static void send_envelope(struct listing *l, uint32_t state, const struct queue_envelope *e)
{
    struct listed_message m = {
        .state = state,
        .arrival = (uint64_t)(e->arrival_us / 1000000),
        .size = e->content_size,
        .expire = e->expire,
        .id = span_of(e->id),
        .sender = span_of(e->sender),
    };

    for (size_t i = 0; i < e->n_rcpts; i++)
        m.n_rcpts += digest_is_listed(&e->rcpts[i]);
    listing_put_message(&l->batch, &m);
    l->count++;
    for (size_t i = 0; i < e->n_rcpts; i++) {
        const struct queue_rcpt *r = &e->rcpts[i];

        if (!digest_is_listed(r))
            continue;
        listing_put_rcpt(&l->batch, &(struct listed_rcpt){ span_of(r->address), span_of(r->orig),
                                                           span_of(r->text) });
        send_full_batch(l);
    }
}

/* An active message's envelope may change while sending waits: it is read from the file. */
static void send_file(struct listing *l, enum queue_place place, uint32_t state, const char *id)
{
    _cleanup_(queue_envelope_done) struct queue_envelope e = { 0 };
    _cleanup_close_ int fd = queue_open(&l->q->dirs, place, id, O_RDONLY);

    if (fd < 0 || queue_read(fd, id, &queue_default_limits, &e, NULL) < 0)
        return; /* delivered meanwhile, or unreadable, which is found out at its next attempt */
    send_envelope(l, state, &e);
}

/* ---- from the digest ---- */

static void pack_rcpt(struct listing *l, const struct digest_rcpt *r)
{
    const struct digests *ds = &l->q->digests;

    str_reset(&l->address);
    str_reset(&l->reason);
    digest_add_address(ds, r, &l->address);
    digest_add_reason(ds, r, &l->reason);
    listing_put_rcpt(&l->batch, &(struct listed_rcpt){ str_span(&l->address), r->orig, str_span(&l->reason) });
}

/* All is packed before anything is sent: the digest may be gone when sending has waited. */
static void send_digest(struct listing *l, const struct message *m)
{
    struct digest_view v;
    struct digest_rcpt r;

    digest_open(&l->q->digests, m->digest, &v, &l->address);
    if (v.partial) {
        send_file(l, message_place(m), m->state, m->id);
        return;
    }
    listing_put_message(&l->batch, &(struct listed_message){
                                       .state = m->state,
                                       .arrival = (uint64_t)v.arrival,
                                       .size = v.size,
                                       .expire = v.expire,
                                       .id = span_of(m->id),
                                       .sender = str_span(&l->address),
                                       .n_rcpts = v.n_rcpts,
                                   });
    l->count++;
    while (digest_next(&v, &r))
        pack_rcpt(l, &r);
    send_full_batch(l);
}

static void listing_done(struct listing *l)
{
    free(l->ids);
    str_free(&l->address);
    str_free(&l->reason);
    str_free(&l->batch);
}

/* ---- the pieces ---- */

static int note_id(const char *id, void *arg)
{
    struct listing *l = arg;

    MEM_GROW(l->ids, l->n_ids, l->cap);
    snprintf(l->ids[l->n_ids++], QUEUE_ID_MAX + 1, "%s", id);
    return 0;
}

static int by_id(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void sort_noted(struct listing *l)
{
    if (l->n_ids > 0)
        qsort(l->ids, l->n_ids, sizeof *l->ids, by_id); /* ids sort by time */
}

/* Those that are still in this state. */
static void send_noted(struct listing *l, uint32_t state)
{
    sort_noted(l);
    for (size_t i = 0; i < l->n_ids && !gone(l); i++) {
        const struct message *m = message_find(l->q, span_of(l->ids[i]));

        if (!m || m->state != state)
            continue;
        if (m->digest && state != QUEUE_STATE_ACTIVE)
            send_digest(l, m);
        else
            send_file(l, message_place(m), state, l->ids[i]);
    }
    l->n_ids = 0;
}

static void send_active(struct listing *l)
{
    const struct active *a;

    LIST_FOREACH(a, &l->q->actives, const struct active, link)
        note_id(a->m->id, l);
    send_noted(l, QUEUE_STATE_ACTIVE);
}

/* All messages that are in the index and in this state. */
static void send_state(struct listing *l, uint32_t state)
{
    const struct index *ix = &l->q->messages;

    for (size_t i = 0; i < ix->n_slots && !gone(l); i++) {
        for (const struct message *m = index_slot(ix, i); m; m = m->next)
            if (m->state == state)
                note_id(m->id, l);
        if (l->n_ids >= PIECE)
            send_noted(l, state);
        if (i % SLOTS_PER_TURN == SLOTS_PER_TURN - 1)
            fiber_yield();
    }
    send_noted(l, state);
}

/* Messages that are not in memory. */
static void send_place(struct listing *l, enum queue_place place, uint32_t state)
{
    queue_scan(&l->q->dirs, place, note_id, l);
    sort_noted(l);
    for (size_t i = 0; i < l->n_ids && !gone(l); i++)
        send_file(l, place, state, l->ids[i]);
    l->n_ids = 0;
}

static void send_all(struct listing *l)
{
    send_place(l, QUEUE_MAILDROP, QUEUE_STATE_MAILDROP);
    index_begin_visit(&l->q->messages);
    send_active(l);
    if (l->q->messages.len > l->q->n_active + l->q->deferred.len) /* spares a walk over all that is deferred */
        send_state(l, QUEUE_STATE_INCOMING);
    send_state(l, QUEUE_STATE_DEFERRED);
    index_end_visit(&l->q->messages);
    send_place(l, QUEUE_HOLD, QUEUE_STATE_HOLD);
}

static uint32_t list_messages(struct qmgr *q, struct ipc *c)
{
    struct listing l = { .q = q, .c = c };

    send_all(&l);
    send_batch(&l);
    listing_done(&l);
    return l.count;
}

int list_serve(struct qmgr *q, struct ipc *c, uid_t uid)
{
    _cleanup_(str_free) struct str refusal = STR_INIT;
    struct queue_list request = { 0 };
    struct queue_list_end end = { .status = SUBMIT_OK };
    int r = ipc_recv(c, &queue_list_shape, &request);

    if (r == 0)
        r = scan_wait(q);
    if (r < 0)
        return r;
    if (!authorize(q, q->may_list, uid, &refusal)) {
        end.status = SUBMIT_PERMANENT;
        snprintf(end.text, sizeof end.text, "%s", str_cstr(&refusal));
    } else if (request.what == QUEUE_LIST_DESTINATIONS) {
        end.count = summary_send(q, c);
    } else {
        end.count = list_messages(q, c);
    }
    ipc_send(c, &queue_list_end_shape, &end);
    return ipc_flush(c);
}
