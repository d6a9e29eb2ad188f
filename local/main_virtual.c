/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main_virtual.c - virtual: delivers to the Maildirs of virtual mailboxes
 *
 * Parameters: its manual page lists them, made from what these sources read.
 * Sandbox: user mail_owner with CAP_SETUID and CAP_SETGID, by which helper threads access files as the
 * mailbox owner; no other privilege, so it may touch what that user may touch.
 */
#include "local/agent.h"

static int start(struct server *sv)
{
    return agent_start(sv, false, (uint64_t)sv->params->virtual_mailbox_limit);
}

int main(int argc, char **argv)
{
    static const struct daemon virtual = {
        .name = "virtual",
        .mode = DAEMON_FIBERS,
        .sandbox = { .user = RUN_AS_QUEUE, .flags = SANDBOX_SETUID | SANDBOX_ALL_FILES },
        .start = start,
        .session = agent_session,
    };
    return daemon_main(&virtual, argc, argv);
}
