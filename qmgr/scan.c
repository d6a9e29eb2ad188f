/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan.c - finding messages in the queue's directories: at start, and where a notice was lost
 *
 * A file in tmp/ that is complete may have been answered with 250 before a power cut undid its rename: it is
 * published. But not while it is young, since a living cleanup may be about to rename it itself.
 *
 * Small messages are written in new/ itself, so a file there without a notice may be incomplete: what is complete is
 * taken, at any age, since whoever wrote it has nothing to do to it but the flush.
 *
 * Runs in: qmgr.
 */
#include "qmgr/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "qmgr/clock.h"
#include "qmgr/message.h"

#define TMP_SETTLED_S   60    /* a complete file this old has no cleanup that will rename it */
#define TMP_ABANDONED_S 86400
#define WRITTEN_IN_NEW  (1 << 20) /* bytes: what is larger was renamed from tmp/, and is complete */
#define FILES_PER_TURN  64    /* files read by a helper thread, then taken over in one go */
#define SCAN_WORKERS    4     /* a disk that seeks wants several requests at once */

/* ---- names first, then acts: acting may wait, and changes the directory ---- */

struct found_ids {
    char (*items)[QUEUE_ID_MAX + 1];
    size_t len, cap;
};

static void ids_done(struct found_ids *n)
{
    free(n->items);
}

static int ids_add(const char *id, void *arg)
{
    struct found_ids *n = arg;

    MEM_GROW(n->items, n->len, n->cap);
    snprintf(n->items[n->len++], QUEUE_ID_MAX + 1, "%s", id);
    return 0;
}

static void ids_read(struct qmgr *q, enum queue_place place, struct found_ids *n)
{
    int r = queue_scan(&q->dirs, place, ids_add, n);

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

static void remove_abandoned(struct qmgr *q, enum queue_place place, const char *id, int64_t age)
{
    if (age > TMP_ABANDONED_S && queue_unlink(&q->dirs, place, id) == 0)
        log_info("%s: incomplete message in %s/ removed, older than a day", id, queue_place_name(place));
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
    else
        remove_abandoned(q, QUEUE_TMP, id, age);
}

static void scan_tmp(struct qmgr *q)
{
    _cleanup_(ids_done) struct found_ids ids = { 0 };

    ids_read(q, QUEUE_TMP, &ids);
    for (size_t i = 0; i < ids.len; i++)
        look_at_tmp(q, ids.items[i]);
}

/* One with a header and other content than that says has been written, and damaged since then: it is kept. */
static void look_at_incomplete(struct qmgr *q, const char *id, int fd, int64_t age)
{
    _cleanup_(queue_envelope_done) struct queue_envelope e = { 0 };

    if (age < TMP_SETTLED_S)
        return;
    if (queue_read(fd, id, &queue_default_limits, &e, NULL) == 0)
        message_corrupt(q, QUEUE_NEW, id, "sum of the content is wrong");
    else
        remove_abandoned(q, QUEUE_NEW, id, age);
}

static void look_at_new(struct qmgr *q, const char *id)
{
    struct stat st;

    if (message_find(q, span_of(id)))
        return;
    _cleanup_close_ int fd = queue_open(&q->dirs, QUEUE_NEW, id, O_RDONLY);

    if (fd < 0 || fstat(fd, &st) < 0)
        return;
    if (st.st_size > WRITTEN_IN_NEW || queue_verify(fd) == 0)
        message_accept(q, id);
    else
        look_at_incomplete(q, id, fd, clock_real() - st.st_mtim.tv_sec);
}

void scan_new(struct qmgr *q)
{
    _cleanup_(ids_done) struct found_ids ids = { 0 };

    scan_tmp(q);
    ids_read(q, QUEUE_NEW, &ids);
    for (size_t i = 0; i < ids.len && !q->stopping; i++)
        look_at_new(q, ids.items[i]);
}

/* ---- cur/: at start there may be a million files, and new mail does not wait for them ---- */

struct found {
    char id[QUEUE_ID_MAX + 1];
    int result; /* of reading it */
    struct queue_envelope env;
    struct str why;
};

struct walk {
    pthread_mutex_t lock; /* of the directory stream */
    struct queue_walk *files;
    size_t workers;
};

struct batch {
    const struct queue_dirs *dirs;
    struct walk *walk;
    size_t n;
    struct found items[FILES_PER_TURN];
};

static void read_found(const struct queue_dirs *dirs, struct found *f)
{
    _cleanup_close_ int fd = queue_open(dirs, QUEUE_CUR, f->id, O_RDONLY);

    f->result = fd < 0 ? fd : queue_read(fd, f->id, &queue_default_limits, &f->env, &f->why);
}

/* On a helper thread. */
static int read_batch(void *arg)
{
    struct batch *b = arg;
    int r = 1;

    pthread_mutex_lock(&b->walk->lock);
    for (b->n = 0; b->n < FILES_PER_TURN && r > 0; b->n += r > 0)
        r = queue_walk_next(b->walk->files, b->items[b->n].id);
    pthread_mutex_unlock(&b->walk->lock);
    for (size_t i = 0; i < b->n; i++)
        read_found(b->dirs, &b->items[i]);
    return r;
}

/* A message may have been delivered, or moved away, since its file was read. */
static bool is_there(const struct qmgr *q, const char *id)
{
    return faccessat(q->dirs.fd[QUEUE_CUR], id, F_OK, 0) == 0;
}

static void adopt(struct qmgr *q, struct found *f)
{
    int64_t due = clock_real() + q->retry.min_backoff;

    if (f->result == -ENOENT || message_find(q, span_of(f->id)) || !is_there(q, f->id))
        return;
    if (f->result == -EBADMSG) {
        message_corrupt(q, QUEUE_CUR, f->id, str_cstr(&f->why));
        return;
    }
    struct message *m = message_new(q, f->id);

    m->inherited = true;
    if (f->result < 0) {
        log_warn_errno(f->result, "%s: cannot read queue file, trying again later", f->id);
    } else {
        due = q->scan_flushes ? 0 : f->env.next_retry;
        m->flushed = q->scan_flushes;
        message_describe(q, m, &f->env);
    }
    message_defer(q, m, due);
}

static void adopt_batch(struct qmgr *q, struct batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        struct found *f = &b->items[i];

        if (!q->stopping)
            adopt(q, f);
        queue_envelope_done(&f->env);
        str_free(&f->why);
    }
}

static void end_walk(struct qmgr *q, struct walk *w)
{
    if (--w->workers > 0)
        return;
    queue_walk_free(w->files);
    pthread_mutex_destroy(&w->lock);
    free(w);
    q->scanning = NULL;
    q->scan_flushes = false;
    waitq_wake(&q->scanned, SIZE_MAX);
}

static void scan_fiber(void *arg)
{
    struct qmgr *q = arg;
    struct walk *w = q->scanning;
    struct batch *b = mem_new(struct batch);
    int r = 1;

    b->dirs = &q->dirs;
    b->walk = w;
    while (r > 0 && !q->stopping) {
        r = offload(read_batch, b);
        adopt_batch(q, b);
    }
    if (r < 0)
        log_warn_errno(r, "cannot read queue directory cur/");
    free(b);
    end_walk(q, w);
}

void scan_cur(struct qmgr *q)
{
    struct walk *w = mem_new(struct walk);
    int r = queue_walk_new(&q->dirs, QUEUE_CUR, &w->files);

    if (r < 0) {
        log_warn_errno(r, "cannot read queue directory cur/");
        free(w);
        return;
    }
    pthread_mutex_init(&w->lock, NULL);
    w->workers = SCAN_WORKERS;
    q->scanning = w;
    for (size_t i = 0; i < SCAN_WORKERS; i++)
        fiber_start(scan_fiber, q);
}

int scan_wait(struct qmgr *q)
{
    while (q->scanning) {
        int r = waitq_wait(&q->scanned, CLOCK_NEVER);

        if (r < 0)
            return r;
    }
    return 0;
}

void scan_one(struct qmgr *q, const char *id)
{
    struct found f = { .why = STR_INIT };

    if (!q->scanning)
        return;
    snprintf(f.id, sizeof f.id, "%s", id);
    read_found(&q->dirs, &f);
    adopt(q, &f);
    queue_envelope_done(&f.env);
    str_free(&f.why);
}
