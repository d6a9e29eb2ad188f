/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main_local.c - local: delivers to the Maildirs of system users, and to what their aliases say
 *
 * Parameters: its manual page lists them, made from what these sources read.
 * Sandbox: user mail_owner with CAP_SETUID and CAP_SETGID, by which helper threads access files as the
 * recipient; no other privilege, so it may touch what that user may touch.
 */
#include "local/agent.h"

static int start(struct server *sv)
{
    return agent_start(sv, true, (uint64_t)sv->params->mailbox_size_limit);
}

int main(int argc, char **argv)
{
    static const struct daemon local = {
        .name = "local",
        .mode = DAEMON_FIBERS,
        .sandbox = { .user = RUN_AS_QUEUE, .flags = SANDBOX_SETUID | SANDBOX_ALL_FILES | SANDBOX_NSS },
        .start = start,
        .session = agent_session,
    };
    return daemon_main(&local, argc, argv);
}
