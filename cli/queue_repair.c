/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_repair.c - put a queue in order that was copied, restored, or left by a crash
 *
 * Queue ids do not depend on inode numbers, so that a restored backup needs no renaming; what remains
 * to be found are files that are no messages.
 *
 * Runs in: postsuper, as root.
 */
#include "cli/queue_repair.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"

#define STALE_S 86400

struct repair {
    const struct queue_dirs *dirs;
    enum queue_place place;
};

static void close_dir(DIR **d)
{
    if (*d)
        closedir(*d);
}

/* Every regular name but those that begin with a dot, which are unfinished. */
static void each_name(const struct queue_dirs *d, enum queue_place place,
                      void (*fn)(const struct repair *rp, const char *name))
{
    struct repair rp = { d, place };
    int fd = openat(d->fd[place], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_(close_dir) DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (!dir) {
        log_warn_errno(-errno, "cannot read %s/", queue_place_name(place));
        return;
    }
    for (const struct dirent *e; (e = readdir(dir));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            fn(&rp, e->d_name);
}

static bool is_stale(const struct repair *rp, const char *name)
{
    struct stat st;

    return fstatat(rp->dirs->fd[rp->place], name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(st.st_mode) && clock_real() - st.st_mtim.tv_sec > STALE_S;
}

static void purge(const struct repair *rp, const char *name)
{
    if (rp->place == QUEUE_MAILDROP && name[0] != '.')
        return; /* finished: pickup's */
    if (!is_stale(rp, name))
        return;
    _cleanup_close_ int fd =
        openat(rp->dirs->fd[rp->place], name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (rp->place == QUEUE_TMP && fd >= 0 && queue_verify(fd) == 0)
        return; /* complete: qmgr will take it */
    if (unlinkat(rp->dirs->fd[rp->place], name, 0) == 0)
        log_info("%s/%.64s: unfinished and older than a day, removed", queue_place_name(rp->place),
                 name);
}

static bool is_message(const struct repair *rp, const char *name)
{
    _cleanup_(queue_envelope_done) struct queue_envelope e = { 0 };

    if (!queue_id_valid(span_of(name)))
        return false;
    _cleanup_close_ int fd = queue_open(rp->dirs, rp->place, name, O_RDONLY);

    return fd < 0 || queue_read(fd, name, &queue_default_limits, &e, NULL) != -EBADMSG;
}

static void check_name(const struct repair *rp, const char *name)
{
    if (is_message(rp, name))
        return;
    if (rp->place == QUEUE_NEW && !is_stale(rp, name))
        return; /* cleanup may be writing it */
    if (renameat(rp->dirs->fd[rp->place], name, rp->dirs->fd[QUEUE_CORRUPT], name) == 0)
        log_warn("%s/%.64s: not a queue file, moved to corrupt/", queue_place_name(rp->place),
                 name);
    else
        log_warn_errno(-errno, "%s/%.64s: not a queue file, and cannot be moved to corrupt/",
                       queue_place_name(rp->place), name);
}

void queue_repair(const struct params *p, const struct queue_client *c, unsigned what)
{
    struct queue_dirs d;
    int r = queue_dirs_open(p->queue_directory, (1u << QUEUE_PLACES) - 1, &d);

    if (r < 0) {
        log_warn_errno(r, "cannot open the queue below %s", p->queue_directory);
        return;
    }
    if ((what & REPAIR_NAMES) && !c->qmgr) {
        each_name(&d, QUEUE_NEW, check_name);
        each_name(&d, QUEUE_CUR, check_name);
        each_name(&d, QUEUE_HOLD, check_name);
    }
    if (what & REPAIR_PURGE) {
        each_name(&d, QUEUE_TMP, purge);
        each_name(&d, QUEUE_MAILDROP, purge);
    }
    queue_dirs_close(&d);
}
