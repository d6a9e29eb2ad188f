/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - verify: does mail to an address get through, found out by probes and remembered
 *
 * smtpd asks it for reject_unverified_sender and reject_unverified_recipient. One process, since it alone knows
 * which probes are under way.
 *
 * Parameters: address_verify_*.
 *
 * May touch: cleanup; its cache in data_directory, which it writes. It runs as mail_owner.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "verify/verify.h"

#define KEPT_CONNECTIONS 4
#define WRITE_DELAY_MS   1000   /* outcomes of a burst are written together */
#define PROBE_CHECK_MS   60000
#define SWEEP_ENTRIES    1000

/* "btree:/var/lib/postern/verify_cache", as Postfix has it: whatever the type, it is one LMDB file here */
static void cache_path(const char *map, struct str *ret)
{
    struct span path = span_of(map);
    ptrdiff_t colon = span_chr(path, ':');

    str_add(ret, colon < 0 ? path : span_from(path, (size_t)colon + 1));
    str_add_str(ret, ".lmdb");
}

static void open_cache(struct verify *v)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    _cleanup_(str_free) struct str err = STR_INIT;

    if (!*v->params->address_verify_map)
        return;
    cache_path(v->params->address_verify_map, &path);

    int r = cache_open(str_cstr(&path), &v->cache, &err);

    if (r < 0)
        log_warn("%s; outcomes are remembered only while their probes are under way", str_cstr(&err));
    else if (r > 0)
        log_warn("%s", str_cstr(&err));
}

static void sweep(struct verify *v)
{
    bool whole = false;

    while (!whole) {
        int r = cache_sweep(v->cache, SWEEP_ENTRIES, &whole);

        if (r < 0) {
            log_warn_errno(r, "cannot clean up the address verification cache");
            return;
        }
        if (fiber_yield() < 0)
            return;
    }
}

static void write_cache(struct verify *v)
{
    int r = cache_flush(v->cache);

    if (r < 0)
        log_warn_errno(r, "cannot write the address verification cache, some outcomes are forgotten");
}

static uint64_t next_turn(const struct verify *v, uint64_t sweep_at)
{
    uint64_t at = v->cache && cache_pending(v->cache) > 0 ? clock_deadline_ms(WRITE_DELAY_MS) : sweep_at;
    uint64_t check = v->probes.len > 0 ? clock_deadline_ms(PROBE_CHECK_MS) : sweep_at;

    return at < check ? at : check;
}

static void keep_house(void *arg)
{
    struct verify *v = arg;
    uint64_t interval = (uint64_t)v->params->address_verify_cache_cleanup_interval * 1000;
    uint64_t sweep_at = interval > 0 && v->cache ? clock_ms() + interval : CLOCK_NEVER;
    int r;

    do {
        fiber_set_idle(true);
        r = waitq_wait(&v->housekeeper, next_turn(v, sweep_at));
        fiber_set_idle(false);
        if (r == 0 && v->cache && cache_pending(v->cache) > 0)
            r = fiber_sleep_until(clock_deadline_ms(WRITE_DELAY_MS));
        if (v->cache && cache_pending(v->cache) > 0)
            write_cache(v);
        probe_drop_old(v);
        if (clock_ms() >= sweep_at) {
            sweep(v);
            sweep_at = clock_ms() + interval;
        }
    } while (r != -ECANCELED);
}

static int start(struct server *sv)
{
    struct verify *v = mem_new(struct verify);

    v->sv = sv;
    v->params = sv->params;
    v->probes = HASH_INIT;
    v->cleanup = ipc_pool_new(sv->params->cleanup_service_name, sv->params->ipc_idle * 1000, KEPT_CONNECTIONS);
    waitq_init(&v->housekeeper);
    sv->state = v;
    return 0;
}

static int ready(struct server *sv)
{
    struct verify *v = sv->state;

    open_cache(v);
    fiber_start(keep_house, v);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct daemon verify = {
        .name = "verify",
        .mode = DAEMON_FIBERS,
        .sandbox = { .user = RUN_AS_QUEUE, .write = { "$data_directory" } },
        .start = start,
        .ready = ready,
        .session = verify_session,
    };

    return daemon_main(&verify, argc, argv);
}
