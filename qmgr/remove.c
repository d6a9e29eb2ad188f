/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remove.c - the end of a message: its file goes
 *
 * Freeing a file's blocks may wait for the disk (always where the file system is mounted with
 * "discard"), and qmgr has one thread for all deliveries. So files are unlinked
 * and closed on a helper thread, a batch at a time: those that become due while a batch is under
 * way are the next one.
 *
 * Runs in: qmgr. Logs "ID: removed".
 */
#include "qmgr/remove.h"

#include <errno.h>

#include "base/log.h"
#include "base/own.h"
#include "qmgr/active.h"
#include "qmgr/message.h"

#define BATCH_MAX 64

struct batch {
    struct qmgr *q;
    size_t n;
    struct removal {
        struct active *a;
        int fd, result;
    } items[BATCH_MAX];
};

/* On a helper thread. The last close of an unlinked file is what takes the time. */
static int unlink_batch(void *arg)
{
    struct batch *b = arg;

    for (size_t i = 0; i < b->n; i++) {
        struct removal *item = &b->items[i];

        item->result = queue_unlink(&b->q->dirs, QUEUE_CUR, item->a->m->id);
        if (item->fd >= 0)
            close(item->fd);
    }
    return 0;
}

static void take_batch(struct qmgr *q, struct batch *b)
{
    b->q = q;
    b->n = 0;
    while (b->n < BATCH_MAX && !list_empty(&q->removals)) {
        struct active *a = LIST_FIRST(&q->removals, struct active, removal);

        list_remove(&a->removal);
        b->items[b->n++] = (struct removal){ .a = a, .fd = active_take_fd(a) };
    }
}

static void removed(const struct removal *item)
{
    struct active *a = item->a;
    struct qmgr *q = a->q;
    struct message *m = a->m;

    /* remove_all_now() may have been faster. */
    if (item->result < 0 && item->result != -ENOENT)
        log_warn_errno(item->result, "%s: cannot remove queue file", m->id);
    else
        log_info("%s: removed", m->id);
    active_free(a);
    message_drop(q, m);
}

static void remover_fiber(void *arg)
{
    struct qmgr *q = arg;
    struct batch b;

    for (take_batch(q, &b); b.n > 0; take_batch(q, &b)) {
        offload(unlink_batch, &b);
        for (size_t i = 0; i < b.n; i++)
            removed(&b.items[i]);
    }
    q->remover_runs = false;
}

void remove_message(struct active *a)
{
    struct qmgr *q = a->q;

    a->removing = true;
    list_push_back(&q->removals, &a->removal);
    if (!q->remover_runs) {
        q->remover_runs = true;
        fiber_start(remover_fiber, q);
    }
}

void remove_all_now(struct qmgr *q)
{
    const struct active *a;

    LIST_FOREACH(a, &q->actives, struct active, link)
        if (a->removing)
            queue_unlink(&q->dirs, QUEUE_CUR, a->m->id); /* removed() tells when that fails */
}
