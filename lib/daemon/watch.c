/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.c - the files that a process has read at start and reads again when they change
 *
 * Tables look after their own (lib/table). Certificates and keys are looked at
 * every few seconds; when one has changed, the program reads them all again, and
 * keeps what it has when they are wrong.
 *
 * A process that knows the old version of something whose new version is wrong
 * does not retire for its age or for having nothing to do: its successor could not start.
 *
 * Runs in: every daemon.
 */
#include "daemon/internal.h"

#include <assert.h>
#include <errno.h>
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

    assert(rd->sv.daemon->reread);
    if (path[0] == '\0')
        return;
    add_path(path, rd);
    rd->watched[rd->n_watched - 1].is_table = false;
    rd->rereads = true;
}

void watch_start(struct running *rd)
{
    table_foreach_path(add_path, rd);
}

/* run_reread - in a fiber of its own, since the answers of master come to the one that looks around */
static void run_reread(void *arg)
{
    struct running *rd = arg;
    int r = rd->sv.daemon->reread(&rd->sv);

    rd->behind = r < 0;
    rd->rereading = false;
    if (r == 0)
        log_info("certificates have changed and were read again");
    else
        log_warn("service %s: certificates have changed and cannot be read, using the old ones",
                 rd->sv.service);
}

void watch_look(struct running *rd)
{
    bool changed = false;

    for (size_t i = 0; i < rd->n_watched; i++) {
        struct watched_file *w = &rd->watched[i];

        if (w->is_table)
            continue;
        uint64_t now = stamp_of(w->path);
        changed = changed || (now != w->stamp && now != 0);
        if (now != 0)
            w->stamp = now;
    }
    if (!changed || rd->rereading)
        return;
    rd->rereading = true;
    fiber_start(run_reread, rd);
}

bool watch_all_current(const struct running *rd)
{
    return !rd->behind && !rd->rereading && table_all_current();
}
