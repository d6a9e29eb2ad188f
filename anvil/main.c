/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - anvil: counts what each client does to all server processes together, and live mailbox sessions
 *
 * One process counts for all, so that a limit is exact however many processes serve; and it keeps the list of the
 * clients that have passed the tests before the greeting. Counts live in memory and end with it. It
 * decides nothing: servers ask, compare, and answer their clients.
 *
 * Parameters: anvil_rate_time_unit, anvil_status_update_time, postscreen_cache_map,
 * postscreen_cache_cleanup_interval.
 *
 * May touch: its callers; the list in $data_directory. It runs as mail_owner, and parses nothing but
 * messages of fixed shapes.
 */
#include <errno.h>
#include <time.h>

#include "anvil/anvil.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum {
    TICK_MS = 1000,
    SWEEP_CLIENTS = 10000,      /* looked at in one tick */
    SWEEP_PASSED = 1000,        /* likewise, of the kept list */
};

/* ---- the kept list ---- */

/* "lmdb:/var/lib/postern/postscreen_cache" to the name of its file; its type is ours to choose */
static void cache_file(const char *map, struct str *ret)
{
    struct span name = span_of(map);
    ptrdiff_t colon = span_chr(name, ':');

    str_add(ret, span_from(name, (size_t)(colon + 1)));
    str_add_str(ret, ".lmdb");
}

static void open_passed(struct server *sv)
{
    _cleanup_(str_free) struct str path = STR_INIT, err = STR_INIT;
    struct anvil *a = sv->state;
    const char *map = sv->params->postscreen_cache_map;

    if (!*map)
        return;
    cache_file(map, &path);
    int r = cache_open(str_cstr(&path), &a->passed, &err);
    if (r < 0)
        log_warn("postscreen_cache_map: %s; clients that have passed are tested again", str_cstr(&err));
    else if (r > 0)
        log_warn("%s", str_cstr(&err));
}

/* Returns when the next round of sweeps is due. */
static uint64_t keep_passed(struct server *sv, uint64_t due)
{
    struct anvil *a = sv->state;
    int64_t interval = sv->params->postscreen_cache_cleanup_interval;
    bool round = false;
    int r = cache_flush(a->passed);

    if (r < 0 && r != -ECANCELED)
        log_warn_errno(r, "cannot write postscreen_cache_map; what it was to remember is lost");
    if (interval == 0 || clock_ms() < due)
        return due;
    r = cache_sweep(a->passed, SWEEP_PASSED, &round);
    if (r < 0 && r != -ECANCELED)
        log_warn_errno(r, "cannot clean postscreen_cache_map");
    return round || r < 0 ? clock_deadline_ms(interval * 1000) : due;
}

/* ---- what happens by itself ---- */

static void log_statistics(const char *line)
{
    time_t now = (time_t)clock_real();
    struct tm tm;
    char at[32];

    localtime_r(&now, &tm);
    strftime(at, sizeof at, "%b %e %H:%M:%S", &tm);
    log_info("%s at %s", line, at);
}

static void run_clock(void *arg)
{
    struct server *sv = arg;
    struct anvil *a = sv->state;
    int64_t status_ms = sv->params->anvil_status_update_time * 1000;
    uint64_t status_due = clock_deadline_ms(status_ms);
    uint64_t sweep_due = clock_deadline_ms(sv->params->postscreen_cache_cleanup_interval * 1000);

    fiber_set_idle(true);
    while (fiber_sleep_until(clock_deadline_ms(TICK_MS)) == 0) {
        counters_sweep(a->counters, SWEEP_CLIENTS, clock_ms());
        if (a->passed)
            sweep_due = keep_passed(sv, sweep_due);
        if (clock_ms() >= status_due) {
            counters_status(a->counters, log_statistics);
            status_due = clock_deadline_ms(status_ms);
        }
    }
    if (a->passed)
        cache_free(TAKE_PTR(a->passed));
    counters_status(a->counters, log_statistics);
}

static int start(struct server *sv)
{
    struct anvil *a = mem_new(struct anvil);

    a->places = places_new();
    a->counters = counters_new((uint64_t)sv->params->anvil_rate_time_unit * 1000);
    sv->state = a;
    tzset(); /* reads a file, which is out of reach later */
    return 0;
}

static int ready(struct server *sv)
{
    open_passed(sv);
    fiber_start(run_clock, sv);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct daemon anvil = {
        .name = "anvil",
        .mode = DAEMON_FIBERS,
        .sandbox = { .user = RUN_AS_QUEUE, .write = { "$data_directory" } },
        .start = start,
        .ready = ready,
        .session = anvil_session,
        .resident = true,
    };

    return daemon_main(&anvil, argc, argv);
}
