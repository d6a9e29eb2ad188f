/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - bounce, which tells senders what became of their mail
 *
 * On qmgr's request it composes a delivery status notification from a queue file's journal and hands
 * it to cleanup. It never reports on a notification.
 *
 * May touch: descriptors that qmgr hands it, cleanup's socket; no file, no network. Runs as mail_owner.
 *
 * Parameters: bounce_size_limit, myhostname, mail_name, maximal_queue_lifetime, ipc_timeout, ipc_idle.
 */
#include "base/mem.h"
#include "bounce/session.h"
#include "ipc/ipc.h"

#define KEPT_CONNECTIONS 16

static int start(struct server *sv)
{
    struct bounce *b = mem_new(struct bounce);

    b->cleanup = ipc_pool_new(sv->params->cleanup_service_name, sv->params->ipc_idle * 1000,
                              KEPT_CONNECTIONS);
    sv->state = b;
    return 0;
}

int main(int argc, char **argv)
{
    static const struct daemon bounce = {
        .name = "bounce",
        .mode = DAEMON_FIBERS,
        .sandbox = { .user = RUN_AS_QUEUE },
        .start = start,
        .session = bounce_session,
    };

    return daemon_main(&bounce, argc, argv);
}
