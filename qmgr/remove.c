/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remove.c - the end of a message: its file goes
 *
 * Freeing a file's blocks may wait for the disk (always where the file system is mounted with
 * "discard"), and qmgr has one thread for all deliveries. So files are unlinked
 * and closed on a helper thread, a batch at a time: those that become due while a batch is under
 * way are the next one.
 *
 * While a file waits for that it looks like one that must still be delivered, so a qmgr that is killed would leave
 * duplicates behind: hundreds on a machine whose disk is slow. Therefore the id of each settled message
 * is first appended to cur/.settled, one write; a SIGKILL does not undo it. The next qmgr removes
 * what stands there before it reads new/ and cur/. Ids are never used again, so an entry that is left over does no harm.
 *
 * Runs in: qmgr. Logs "ID: removed".
 */
#include "qmgr/remove.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/own.h"
#include "qmgr/active.h"
#include "qmgr/message.h"

#define BATCH_MAX    64
#define SETTLED_NAME ".settled" /* no id has a dot */
#define SETTLED_KEPT 65536      /* bytes: cut to nothing when it is larger and nothing waits */
#define SETTLED_MAX  (64 << 20)

struct batch {
    struct qmgr *q;
    size_t n;
    struct removal {
        struct active *a;
        enum queue_place place;
        int fd, result;
    } items[BATCH_MAX];
};

/* ---- cur/.settled ---- */

static int read_settled(int fd, struct str *ret)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    size_t len = st.st_size < SETTLED_MAX ? (size_t)st.st_size : SETTLED_MAX;

    str_reserve(ret, len);
    ssize_t n = pread(fd, ret->data, len, 0);

    if (n < 0)
        return -errno;
    str_advance(ret, (size_t)n);
    return 0;
}

/* A last line without its end was torn by a crash: that message is delivered again. */
static size_t remove_listed(const struct queue_dirs *dirs, struct span lines)
{
    size_t n = 0;

    for (ptrdiff_t end; (end = span_chr(lines, '\n')) >= 0; lines = span_from(lines, (size_t)end + 1)) {
        _cleanup_free_ char *id = mem_dup_span(span_first(lines, (size_t)end));

        n += queue_id_valid(span_of(id)) &&
             (queue_unlink(dirs, QUEUE_NEW, id) == 0 || queue_unlink(dirs, QUEUE_CUR, id) == 0);
    }
    return n;
}

void remove_settled(struct qmgr *q)
{
    _cleanup_(str_free) struct str lines = STR_INIT;
    int fd = openat(q->dirs.fd[QUEUE_CUR], SETTLED_NAME,
                    O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    int r = fd < 0 ? -errno : read_settled(fd, &lines);

    q->settled_fd = fd;
    if (r < 0) {
        log_warn_errno(r, "cannot read cur/" SETTLED_NAME "; a message may be delivered twice after a crash");
        return;
    }
    size_t n = remove_listed(&q->dirs, str_span(&lines));

    if (n > 0)
        log_info("removed %zu delivered messages that an interrupted queue manager had left", n);
    if (lines.len > 0 && ftruncate(fd, 0) < 0)
        log_warn_errno(-errno, "cannot truncate cur/" SETTLED_NAME);
}

static void note_settled(struct qmgr *q, const char *id)
{
    char line[QUEUE_ID_MAX + 2];
    int len = snprintf(line, sizeof line, "%s\n", id);

    if (q->settled_fd < 0)
        return;
    ssize_t n = write(q->settled_fd, line, (size_t)len);

    if (n != len)
        log_warn_errno(n < 0 ? -errno : -ENOSPC, "%s: cannot write to cur/" SETTLED_NAME, id);
    q->settled_bytes += (size_t)len;
}

/* Nothing waits: what stands there is over. Not once a successor writes there as well. */
static void cut_settled(struct qmgr *q)
{
    if (q->settled_bytes < SETTLED_KEPT || q->stopping)
        return;
    q->settled_bytes = 0;
    if (ftruncate(q->settled_fd, 0) < 0)
        log_warn_errno(-errno, "cannot truncate cur/" SETTLED_NAME);
}

/* ---- unlinking ---- */

/* On a helper thread. The last close of an unlinked file is what takes the time. */
static int unlink_batch(void *arg)
{
    struct batch *b = arg;

    for (size_t i = 0; i < b->n; i++) {
        struct removal *item = &b->items[i];

        item->result = queue_unlink(&b->q->dirs, item->place, item->a->m->id);
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
        b->items[b->n++] = (struct removal){ .a = a, .place = message_place(a->m),
                                              .fd = active_take_fd(a) };
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
    cut_settled(q);
    q->remover_runs = false;
}

void remove_message(struct active *a)
{
    struct qmgr *q = a->q;

    note_settled(q, a->m->id);
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
            queue_unlink(&q->dirs, message_place(a->m), a->m->id); /* removed() tells when that fails */
}
