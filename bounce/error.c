/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.c - error, the agent that refuses: each recipient fails with the text in nexthop
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
    static const struct daemon error = {
        .name = "error",
        .mode = DAEMON_FIBERS,
        .sandbox = { .user = RUN_AS_QUEUE },
        .start = start,
        .session = session,
    };

    return daemon_main(&error, argc, argv);
}
