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

static void close_dir(DIR **d)
{
    if (*d)
        closedir(*d);
}

int queue_scan(const struct queue_dirs *d, enum queue_place place,
               int (*fn)(const char *id, void *arg), void *arg)
{
    _cleanup_close_ int fd = openat(d->fd[place], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    _cleanup_(close_dir) DIR *dir = fdopendir(fd);

    if (!dir)
        return -errno;
    (void)TAKE_FD(fd); /* dir's now */
    for (;;) {
        errno = 0;
        const struct dirent *e = readdir(dir);

        if (!e)
            return -errno;
        int r = queue_id_valid(span_of(e->d_name)) ? fn(e->d_name, arg) : 0;

        if (r < 0)
            return r;
    }
}
