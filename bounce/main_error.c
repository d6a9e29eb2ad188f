/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main_error.c - error, the agent that refuses: each recipient fails with the text in nexthop
 *
 * "error:5.1.1 no such user" in a transport table returns mail, "retry:4.7.0 closed for today" (the same
 * program by the service name retry) defers it.
 *
 * May touch: nothing. Runs as mail_owner. Parameters: delay_logging_resolution_limit.
 */
#include "bounce/agent.h"

static void judge(const struct server *sv, const struct deliver *request, struct outcome *ret)
{
    if (strcmp(sv->service, "retry") == 0)
        agent_answer(ret, OUTCOME_DEFERRED, request, "delivery is deferred");
    else
        agent_answer(ret, OUTCOME_BOUNCED, request, "undeliverable");
}

int main(int argc, char **argv)
{
    static const struct agent_program error = { .daemon = AGENT_DAEMON("error"), .judge = judge };

    return daemon_main(&error.daemon, argc, argv);
}
