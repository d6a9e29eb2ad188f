/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main_discard.c - discard, the agent that drops: each recipient counts as delivered
 *
 * "discard:text" in a transport table gives the text of the log line.
 *
 * May touch: nothing. Runs as mail_owner. Parameters: delay_logging_resolution_limit.
 */
#include "bounce/agent.h"

static void judge(const struct server *sv, const struct deliver *request, struct outcome *ret)
{
    (void)sv;
    agent_answer(ret, OUTCOME_SENT, request, "silently discarded");
}

int main(int argc, char **argv)
{
    static const struct agent_program discard = { .daemon = AGENT_DAEMON("discard"), .judge = judge };

    return daemon_main(&discard.daemon, argc, argv);
}
