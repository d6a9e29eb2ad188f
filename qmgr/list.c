/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.c - telling postqueue what is in the queue
 *
 * Ids are noted first, then looked up one by one, since the queue goes on while the caller reads. What
 * is not in memory is read from its file.
 *
 * Runs in: qmgr. The caller may be any local user, and slow; it holds nothing but its own fiber.
 */
#include "qmgr/list.h"

#include <errno.h>
#include <fcntl.h>

#include "mail/address.h"
#include "qmgr/message.h"

struct listing {
    struct qmgr *q;
    struct ipc *c;
    struct span site;
    uint32_t count;
    char (*ids)[QUEUE_ID_MAX + 1]; /* of one state at a time */
    size_t n_ids, cap;
};

static bool is_listed(const struct queue_rcpt *r)
{
    return r->state != RCPT_SENT && r->state != RCPT_REPORTED;
}

bool list_concerns_site(const struct queue_envelope *e, struct span site)
{
    for (size_t i = 0; i < e->n_rcpts; i++)
        if (is_listed(&e->rcpts[i]) &&
            (site.len == 0 || span_eq_nocase(address_domain(span_of(e->rcpts[i].address)), site)))
            return true;
    return site.len == 0;
}

static void send_entry(struct listing *l, uint32_t state, const struct queue_envelope *e)
{
    struct queue_entry entry = {
        .state = state,
        .arrival = (uint64_t)(e->arrival_us / 1000000),
        .size = e->content_size,
        .forced_expire = e->expire,
        .sender = str_borrow(e->sender),
    };

    if (!list_concerns_site(e, l->site))
        return;
    snprintf(entry.queue_id, sizeof entry.queue_id, "%s", e->id);
    for (size_t i = 0; i < e->n_rcpts; i++)
        entry.n_rcpt += is_listed(&e->rcpts[i]);
    ipc_send(l->c, &queue_entry_shape, &entry);
    l->count++;
}

static void send_rcpt(struct listing *l, const struct queue_rcpt *r)
{
    struct queue_entry_rcpt entry = {
        .address = str_borrow(r->address),
        .orig = str_borrow(r->orig),
        .reason = str_borrow(r->text),
    };

    ipc_send(l->c, &queue_entry_rcpt_shape, &entry);
}

/* Sending may wait, and e may change meanwhile: what is sent comes from a copy read from the file. */
static void send_file(struct listing *l, enum queue_place place, uint32_t state, const char *id)
{
    _cleanup_(queue_envelope_done) struct queue_envelope e = { 0 };
    _cleanup_close_ int fd = queue_open(&l->q->dirs, place, id, O_RDONLY);
    uint32_t before = l->count;

    if (fd < 0 || queue_read(fd, id, &queue_default_limits, &e, NULL) < 0)
        return; /* delivered meanwhile, or unreadable, which is found out at its next attempt */
    send_entry(l, state, &e);
    if (l->count == before)
        return;
    for (size_t i = 0; i < e.n_rcpts; i++)
        if (is_listed(&e.rcpts[i]))
            send_rcpt(l, &e.rcpts[i]);
}

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

static void send_noted(struct listing *l, enum queue_place place, uint32_t state)
{
    if (l->n_ids > 0)
        qsort(l->ids, l->n_ids, sizeof *l->ids, by_id); /* ids sort by time */
    for (size_t i = 0; i < l->n_ids && stream_error(ipc_stream(l->c)) == 0; i++)
        send_file(l, place, state, l->ids[i]);
    l->n_ids = 0;
}

static void send_state(struct listing *l, uint32_t state)
{
    struct hash_node *n = NULL;

    while ((n = hash_next(&l->q->messages, n))) {
        const struct message *m = CONTAINER_OF(n, struct message, node);

        if (m->state == state)
            note_id(m->id, l);
    }
    send_noted(l, QUEUE_CUR, state);
}

/* Messages that are not in memory. */
static void send_place(struct listing *l, enum queue_place place, uint32_t state)
{
    queue_scan(&l->q->dirs, place, note_id, l);
    send_noted(l, place, state);
}

int list_serve(struct qmgr *q, struct ipc *c)
{
    struct queue_list request = { 0 };
    int r = ipc_recv(c, &queue_list_shape, &request);

    if (r < 0)
        return r;
    struct listing l = { .q = q, .c = c, .site = span_of(request.site) };

    send_place(&l, QUEUE_MAILDROP, QUEUE_STATE_MAILDROP);
    send_state(&l, QUEUE_STATE_ACTIVE);
    send_state(&l, QUEUE_STATE_INCOMING);
    send_state(&l, QUEUE_STATE_DEFERRED);
    send_place(&l, QUEUE_HOLD, QUEUE_STATE_HOLD);
    free(l.ids);
    struct queue_list_end end = { .count = l.count };

    ipc_send(c, &queue_list_end_shape, &end);
    return ipc_flush(c);
}
