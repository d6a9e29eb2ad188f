/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan.c - finding messages in the queue's directories: at start, and where a notice was lost
 *
 * A file in tmp/ that is complete may have been answered with 250 before a power cut undid its rename: it is
 * published. But not while it is young, since a living cleanup may be about to rename it itself.
 *
 * Runs in: qmgr.
 */
#include "qmgr/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "qmgr/clock.h"
#include "qmgr/message.h"

#define TMP_SETTLED_S   60    /* a complete file this old has no cleanup that will rename it */
#define TMP_ABANDONED_S 86400
#define FILES_PER_TURN  64    /* files read before others get a turn */

/* ---- names first, then acts: acting may wait, and changes the directory ---- */

struct names {
    char (*items)[QUEUE_ID_MAX + 1];
    size_t len, cap;
};

static void names_done(struct names *n)
{
    free(n->items);
}

static int names_add(const char *id, void *arg)
{
    struct names *n = arg;

    MEM_GROW(n->items, n->len, n->cap);
    snprintf(n->items[n->len++], QUEUE_ID_MAX + 1, "%s", id);
    return 0;
}

static void names_read(struct qmgr *q, enum queue_place place, struct names *n)
{
    int r = queue_scan(&q->dirs, place, names_add, n);

    if (r < 0)
        log_warn_errno(r, "cannot read queue directory %s/", queue_place_name(place));
}

/* ---- tmp/ and new/ ---- */

static void publish(struct qmgr *q, const char *id)
{
    int r = queue_move(&q->dirs, QUEUE_TMP, QUEUE_NEW, id);

    if (r == 0)
        log_info("%s: complete message found in tmp/ after an interruption, taking it", id);
    else if (r != -ENOENT)
        log_warn_errno(r, "%s: cannot move from tmp/ to new/", id);
}

static void look_at_tmp(struct qmgr *q, const char *id)
{
    _cleanup_close_ int fd = queue_open(&q->dirs, QUEUE_TMP, id, O_RDONLY);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return; /* published or given up meanwhile */
    int64_t age = clock_real() - st.st_mtim.tv_sec;

    if (age < TMP_SETTLED_S)
        return;
    if (queue_verify(fd) == 0)
        publish(q, id);
    else if (age > TMP_ABANDONED_S && queue_unlink(&q->dirs, QUEUE_TMP, id) == 0)
        log_info("%s: incomplete message in tmp/ removed, older than a day", id);
}

static void scan_tmp(struct qmgr *q)
{
    _cleanup_(names_done) struct names names = { 0 };

    names_read(q, QUEUE_TMP, &names);
    for (size_t i = 0; i < names.len; i++)
        look_at_tmp(q, names.items[i]);
}

void scan_new(struct qmgr *q)
{
    _cleanup_(names_done) struct names names = { 0 };

    scan_tmp(q);
    names_read(q, QUEUE_NEW, &names);
    for (size_t i = 0; i < names.len && !q->stopping; i++)
        message_accept(q, names.items[i]);
}

/* ---- cur/ ---- */

/* The time of its next attempt, from its journal; negative: it is none of ours any more. */
static int64_t read_due(struct qmgr *q, const char *id)
{
    _cleanup_(queue_envelope_done) struct queue_envelope e = { 0 };
    _cleanup_(str_free) struct str why = STR_INIT;
    _cleanup_close_ int fd = queue_open(&q->dirs, QUEUE_CUR, id, O_RDONLY);
    int r = fd < 0 ? fd : queue_read(fd, id, &queue_default_limits, &e, &why);

    if (r == 0)
        return e.next_retry;
    if (r == -EBADMSG)
        message_corrupt(q, id, str_cstr(&why));
    else if (r != -ENOENT)
        log_warn_errno(r, "%s: cannot read queue file, trying again later", id);
    return r == -EBADMSG || r == -ENOENT ? -1 : clock_real() + q->retry.min_backoff;
}

static void adopt(struct qmgr *q, const char *id)
{
    if (message_find(q, span_of(id)))
        return;
    int64_t due = read_due(q, id);

    if (due < 0)
        return;
    struct message *m = message_new(q, id);

    m->inherited = true;
    message_defer(q, m, due);
}

void scan_cur_fiber(void *arg)
{
    _cleanup_(names_done) struct names names = { 0 };
    struct qmgr *q = arg;

    names_read(q, QUEUE_CUR, &names);
    for (size_t i = 0; i < names.len && !q->stopping; i++) {
        adopt(q, names.items[i]);
        if (i % FILES_PER_TURN == 0)
            fiber_yield();
    }
}
