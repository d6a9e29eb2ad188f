/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main_imap.c - imapd-login: IMAP before sign-in
 *
 * Parameters: its manual page lists them, made from what these sources read.
 * Sandbox: user net_owner; reaches its client, auth and imapd; reads no file but its tables, writes none.
 */
#include "login/imap.h"
#include "login/login.h"

static int start(struct server *sv)
{
    static const struct login_protocol imap = { "imap", "imapd" };

    return login_start(sv, &imap, sv->params->imap_max_userip_connections);
}

static void session(struct server *sv, struct stream *client, const struct peer *peer)
{
    login_session(sv, client, peer, imap_talk);
}

int main(int argc, char **argv)
{
    static const struct daemon imapd_login = {
        .name = "imapd-login",
        .sandbox = { .user = RUN_AS_NET },
        .start = start,
        .session = session,
        .session_fds = 4,   /* in IDLE over TLS: the client, its process, the pair between; or two directories */
        .reread = login_reread,
        .stop = login_stop,
        .stop_now = login_stop_now,
        .lingers = true,
    };
    return daemon_main(&imapd_login, argc, argv);
}
