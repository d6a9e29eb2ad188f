/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_direct.c - the queue when the suite is down: its directories
 *
 * Which messages of cur/ were active is known to a running qmgr only: all of them count as deferred here.
 *
 * Runs in: postqueue, postsuper; as root or the owner of the queue, which is locked.
 */
#include <errno.h>
#include <fcntl.h>

#include "base/mem.h"
#include "cli/queue_client.h"

static const struct place_state {
    enum queue_place place;
    uint32_t state;
} places[] = {
    { QUEUE_MAILDROP, QUEUE_STATE_MAILDROP },
    { QUEUE_NEW, QUEUE_STATE_INCOMING },
    { QUEUE_CUR, QUEUE_STATE_DEFERRED },
    { QUEUE_HOLD, QUEUE_STATE_HOLD },
};

/* ---- listing ---- */

struct lister {
    const struct queue_dirs *dirs;
    const struct place_state *place;
    int (*fn)(const struct queue_item *item, void *arg);
    void *arg;
};

static void set(struct str *s, const char *text)
{
    if (text)
        str_add_str(s, text);
}

static void fill(struct queue_item *item, const struct queue_envelope *e, uint32_t state)
{
    item->state = state;
    item->arrival = (uint64_t)(e->arrival_us / 1000000);
    item->size = e->content_size;
    item->forced_expire = e->expire;
    snprintf(item->id, sizeof item->id, "%s", e->id);
    set(&item->sender, e->sender);
    for (size_t i = 0; i < e->n_rcpts; i++) {
        const struct queue_rcpt *r = &e->rcpts[i];

        if (r->state == RCPT_SENT || r->state == RCPT_REPORTED)
            continue;
        struct queue_item_rcpt *to = queue_item_add_rcpt(item);

        set(&to->address, r->address);
        set(&to->orig, r->orig);
        set(&to->reason, r->text);
    }
}

static int list_file(const char *id, void *arg)
{
    _cleanup_(queue_item_done) struct queue_item item = { 0 };
    _cleanup_(queue_envelope_done) struct queue_envelope e = { 0 };
    const struct lister *l = arg;
    _cleanup_close_ int fd = queue_open(l->dirs, l->place->place, id, O_RDONLY);

    if (fd < 0 || queue_read(fd, id, &queue_default_limits, &e, NULL) < 0)
        return 0;
    fill(&item, &e, l->place->state);
    return l->fn(&item, l->arg);
}

int queue_direct_list(const struct queue_dirs *d,
                      int (*fn)(const struct queue_item *item, void *arg), void *arg)
{
    struct lister l = { .dirs = d, .fn = fn, .arg = arg };

    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        l.place = &places[i];
        int r = queue_scan(d, l.place->place, list_file, &l);

        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- acting ---- */

static int delete_file(const struct queue_dirs *d, enum queue_place place, const char *id)
{
    return queue_unlink(d, place, id);
}

static int hold_file(const struct queue_dirs *d, enum queue_place place, const char *id)
{
    return queue_move(d, place, QUEUE_HOLD, id);
}

static int release_file(const struct queue_dirs *d, enum queue_place place, const char *id)
{
    return queue_move(d, place, QUEUE_CUR, id);
}

static int requeue_file(const struct queue_dirs *d, enum queue_place place, const char *id)
{
    return queue_move(d, place, QUEUE_MAILDROP, id);
}

static int expire_file(const struct queue_dirs *d, enum queue_place place, const char *id)
{
    _cleanup_close_ int fd = queue_open(d, place, id, O_RDWR);

    return fd < 0 ? fd : journal_expire(fd);
}

#define NEW      (1u << QUEUE_NEW)
#define CUR      (1u << QUEUE_CUR)
#define HOLD     (1u << QUEUE_HOLD)
#define MAILDROP (1u << QUEUE_MAILDROP)

static const struct direct_action {
    unsigned places; /* where it is looked for */
    int (*act)(const struct queue_dirs *d, enum queue_place place, const char *id);
} actions[] = {
    [QUEUE_DO_FLUSH]      = { 0, NULL },
    [QUEUE_DO_FLUSH_SITE] = { 0, NULL },
    [QUEUE_DO_DELETE]     = { NEW | CUR | HOLD | MAILDROP, delete_file },
    [QUEUE_DO_HOLD]       = { NEW | CUR, hold_file },
    [QUEUE_DO_RELEASE]    = { HOLD, release_file },
    [QUEUE_DO_REQUEUE]    = { NEW | CUR | HOLD, requeue_file },
    [QUEUE_DO_EXPIRE]     = { NEW | CUR | HOLD, expire_file },
};

int queue_direct_act(const struct queue_dirs *d, uint32_t action, const char *id)
{
    const struct direct_action *a = &actions[action];

    if (!a->act)
        return -ECONNREFUSED;
    for (int p = 0; p < QUEUE_PLACES; p++) {
        if (!(a->places & 1u << p))
            continue;
        int r = a->act(d, (enum queue_place)p, id);

        if (r != -ENOENT)
            return r < 0 ? r : 1;
    }
    return 0;
}
