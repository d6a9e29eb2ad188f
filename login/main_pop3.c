/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main_pop3.c - pop3d-login: POP3 before sign-in
 *
 * Parameters: its manual page lists them, made from what these sources read.
 * Sandbox: user net_owner; reaches its client, auth and pop3d; reads no file but its tables, writes none.
 */
#include "login/pop3.h"
#include "login/login.h"

static int start(struct server *sv)
{
    static const struct login_protocol pop3 = { "pop3", "pop3d" };

    return login_start(sv, &pop3, sv->params->pop3_max_userip_connections);
}

static void session(struct server *sv, struct stream *client, const struct peer *peer)
{
    login_session(sv, client, peer, pop3_talk);
}

int main(int argc, char **argv)
{
    static const struct daemon pop3d_login = {
        .name = "pop3d-login",
        .sandbox = { .user = RUN_AS_NET },
        .start = start,
        .session = session,
        .reread = login_reread,
        .stop = login_stop,
        .stop_now = login_stop_now,
        .lingers = true,
    };
    return daemon_main(&pop3d_login, argc, argv);
}
