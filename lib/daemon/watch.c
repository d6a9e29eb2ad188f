/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.c - files whose change a confined process cannot follow by itself
 *
 * Tables read their file again when it changes. Where the sandbox or the file's
 * mode forbids that (the file was replaced, or is for root only), the process retires,
 * as Postfix's do for every table: the next one reads the new file as root.
 *
 * Runs in: every daemon.
 */
#include "daemon/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"
#include "table/table.h"

/* stamp_of - changes with the file; 0: it cannot be seen */
static uint64_t stamp_of(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return 0;
    const uint64_t facts[] = { st.st_dev, st.st_ino, (uint64_t)st.st_size, (uint64_t)st.st_mtim.tv_sec,
                               (uint64_t)st.st_mtim.tv_nsec };
    return span_hash(span_make(facts, sizeof facts)) | 1;
}

static void add_path(const char *path, void *arg)
{
    struct running *rd = arg;

    MEM_GROW(rd->watched, rd->n_watched, rd->cap_watched);
    rd->watched[rd->n_watched++] = (struct watched_file){ mem_strdup(path), stamp_of(path), true };
}

void daemon_watch_file(const struct server *sv, const char *path)
{
    struct running *rd = RUNNING(sv);

    if (path[0] == '\0')
        return;
    add_path(path, rd);
    rd->watched[rd->n_watched - 1].is_table = false;
}

void watch_start(struct running *rd)
{
    table_foreach_path(add_path, rd);
}

static bool can_read(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    return fd >= 0;
}

/* watch_something_changed - and this process cannot or will not read it; said in the log */
bool watch_something_changed(struct running *rd)
{
    for (size_t i = 0; i < rd->n_watched; i++) {
        struct watched_file *w = &rd->watched[i];
        uint64_t now = stamp_of(w->path);

        if (now == w->stamp || now == 0)
            continue;
        w->stamp = now;
        if (w->is_table && can_read(w->path))
            continue;
        log_info("%s has changed -- restarting", w->path);
        return true;
    }
    return false;
}
