/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pickup - local submission: the socket that sendmail speaks to, and the files that postdrop leaves
 *
 * Everybody on the machine may connect to public/pickup; who it is is known from the socket.
 * Messages are passed on to cleanup as they come. Files in maildrop/, made while the suite was
 * down, are submitted at start and at each wakeup.
 *
 * Parameters: its manual page lists them, made from what these sources read.
 *
 * May touch: maildrop/ and corrupt/ below queue_directory, cleanup, the names of users.
 */
#include "base/log.h"
#include "base/mem.h"
#include "pickup/pickup.h"

#define KEPT_CONNECTIONS 20

static int open_authorized(struct pickup *p)
{
    _cleanup_(str_free) struct str err = STR_INIT;

    if (span_starts(span_of(p->params->authorized_submit_users), span_of("static:")))
        return 0;
    int r = match_list_open_named("authorized_submit_users", p->params->authorized_submit_users, MATCH_DOMAIN,
                                  &p->authorized, &err);

    if (r < 0)
        log_error("%s", str_cstr(&err));
    return r;
}

static int start(struct server *sv)
{
    struct pickup *p = mem_new(struct pickup);

    sv->state = p;
    p->params = sv->params;
    p->cleanup =
        ipc_pool_new(p->params->cleanup_service_name, p->params->ipc_idle * 1000, KEPT_CONNECTIONS);
    int r = open_authorized(p);

    if (r < 0)
        return r;
    if (daemon_checking(sv))
        return 0;
    r = queue_dirs_open(p->params->queue_directory, 1u << QUEUE_MAILDROP | 1u << QUEUE_CORRUPT,
                        &p->dirs);
    if (r < 0)
        return log_error_errno(r, "cannot open maildrop/ and corrupt/ below %s",
                               p->params->queue_directory);
    return 0;
}

static void scan_in_fiber(void *arg)
{
    maildrop_scan(arg);
}

static int ready(struct server *sv)
{
    fiber_start(scan_in_fiber, sv->state);
    return 0;
}

static void wakeup(struct server *sv)
{
    maildrop_scan(sv->state);
}

int main(int argc, char **argv)
{
    static const struct daemon pickup = {
        .name = "pickup",
        .mode = DAEMON_FIBERS,
        .sandbox =
            {
                      .user = RUN_AS_QUEUE,
                      .flags = SANDBOX_NSS,
                      .write = {"$queue_directory/maildrop", "$queue_directory/corrupt"},
                      },
        .start = start,
        .ready = ready,
        .session = pickup_session,
        .wakeup = wakeup,
    };

    return daemon_main(&pickup, argc, argv);
}
