/* SPDX-License-Identifier: Apache-2.0 */
/*
 * discard.c - discard, the agent that drops: each recipient counts as delivered
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

static void session(struct server *sv, struct stream *client, const struct peer *peer)
{
    agent_session(sv, client, peer, judge);
}

static int start(struct server *sv)
{
    (void)sv;
    return 0;
}

int main(int argc, char **argv)
{
    static const struct daemon discard = {
        .name = "discard",
        .mode = DAEMON_FIBERS,
        .sandbox = { .user = RUN_AS_QUEUE },
        .start = start,
        .session = session,
    };

    return daemon_main(&discard, argc, argv);
}
