/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirs.c - the directories of a queue and the steps between them
 *
 * Runs in: cleanup, pickup, qmgr, the command-line tools. Ids that come from outside must have
 * passed queue_id_valid() before they get here.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "queue/queue.h"

static const char *const place_names[QUEUE_PLACES] = {
    [QUEUE_TMP] = "tmp",   [QUEUE_NEW] = "new",         [QUEUE_CUR] = "cur",
    [QUEUE_HOLD] = "hold", [QUEUE_CORRUPT] = "corrupt", [QUEUE_MAILDROP] = "maildrop",
};

const char *queue_place_name(enum queue_place p)
{
    return place_names[p];
}

static int open_place(int base, const char *name)
{
    int fd = openat(base, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 && errno == EACCES) /* postdrop may enter maildrop/ but not list it */
        fd = openat(base, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int queue_dirs_open(const char *queue_directory, unsigned places, struct queue_dirs *ret)
{
    _cleanup_close_ int base = open(queue_directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct queue_dirs d;

    if (base < 0)
        return -errno;
    for (int p = 0; p < QUEUE_PLACES; p++)
        d.fd[p] = -1;
    for (int p = 0; p < QUEUE_PLACES; p++) {
        if (!(places & 1u << p))
            continue;
        int r = open_place(base, place_names[p]);

        if (r < 0) {
            queue_dirs_close(&d);
            return r;
        }
        d.fd[p] = r;
    }
    *ret = d;
    return 0;
}

void queue_dirs_close(struct queue_dirs *d)
{
    for (int p = 0; p < QUEUE_PLACES; p++) {
        if (d->fd[p] >= 0)
            close(d->fd[p]);
        d->fd[p] = -1;
    }
}

int queue_move(const struct queue_dirs *d, enum queue_place from, enum queue_place to,
               const char *id)
{
    return renameat(d->fd[from], id, d->fd[to], id) < 0 ? -errno : 0;
}

int queue_unlink(const struct queue_dirs *d, enum queue_place place, const char *id)
{
    return unlinkat(d->fd[place], id, 0) < 0 ? -errno : 0;
}

int queue_open(const struct queue_dirs *d, enum queue_place place, const char *id, int oflags)
{
    /* No link that somebody laid into maildrop/, no waiting for a fifo's other end. */
    int fd = openat(d->fd[place], id, oflags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    return fd < 0 ? -errno : fd;
}

struct queue_walk {
    DIR *dir;
};

int queue_walk_new(const struct queue_dirs *d, enum queue_place place, struct queue_walk **ret)
{
    int fd = openat(d->fd[place], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    DIR *dir = fdopendir(fd); /* fd is dir's now */

    if (!dir) {
        int r = -errno;

        close(fd);
        return r;
    }
    *ret = mem_new(struct queue_walk);
    (*ret)->dir = dir;
    return 0;
}

int queue_walk_next(struct queue_walk *w, char ret[static QUEUE_ID_MAX + 1])
{
    for (;;) {
        errno = 0;
        const struct dirent *e = readdir(w->dir);

        if (!e)
            return -errno;
        if (queue_id_valid(span_of(e->d_name))) {
            snprintf(ret, QUEUE_ID_MAX + 1, "%.*s", QUEUE_ID_MAX, e->d_name);
            return 1;
        }
    }
}

void queue_walk_free(struct queue_walk *w)
{
    if (!w)
        return;
    closedir(w->dir);
    free(w);
}

int queue_scan(const struct queue_dirs *d, enum queue_place place,
               int (*fn)(const char *id, void *arg), void *arg)
{
    _cleanup_(queue_walk_free_ptr_) struct queue_walk *w = NULL;
    char id[QUEUE_ID_MAX + 1];
    int r = queue_walk_new(d, place, &w);

    while (r >= 0 && (r = queue_walk_next(w, id)) > 0)
        r = fn(id, arg);
    return r < 0 ? r : 0;
}
