/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - pop3d: one signed-in POP3 client, as the owner of its mailbox
 *
 * The parent forks a child for each hand-off of pop3d-login; the child shows the front's ticket to
 * auth, becomes the mailbox owner for good, and serves the client until it leaves.
 *
 * Parameters: its manual page lists them, made from what these sources read.
 * Sandbox: user mail_owner with CAP_SETUID and CAP_SETGID until the ticket is redeemed; from then on the
 * mailbox owner without any capability, whose files are what it may touch.
 */
#include <errno.h>

#include "base/log.h"
#include "mailbox/quota.h"
#include "pop3d/pop3.h"
#include "pop3d/uidl.h"
#include "sasl/session.h"

static void log_end(const struct session_client *c, const struct pop3 *s, const char *why)
{
    _cleanup_(str_free) struct str user = STR_INIT;

    str_add_escaped(&user, str_span(&c->user.user), 256, STR_UTF8);
    log_info("pop3(%s)<%d><%s>: Disconnected: %s top=%u/%llu, retr=%u/%llu, del=%u/%u, size=%llu",
             str_cstr(&user), (int)getpid(), c->start.session_id, why, s->n_top,
             (unsigned long long)s->top_bytes, s->n_retr, (unsigned long long)s->retr_bytes,
             s->quit ? s->drop.n_deleted : 0, s->drop.count, (unsigned long long)s->drop.size);
}

static void session(struct server *sv, struct stream *front, const struct peer *peer)
{
    _cleanup_(session_client_done) struct session_client c = SESSION_CLIENT_INIT;
    _cleanup_(session_front_done) struct session_front heard = SESSION_FRONT_INIT;
    _cleanup_(pop3_done) struct pop3 s = { .client = NULL };
    const char *why;

    (void)peer;
    if (session_take(sv, front, "pop3", &c) < 0)
        return;
    if (quota_set_rule(str_cstr(&c.user.maildir), span_of(c.user.quota)) == -EINVAL)
        log_warn("pop3(%s): the quota rule cannot be understood", str_cstr(&c.user.user));
    session_front_begin(&heard, c.front);
    s.client = c.stream;
    s.heard = &heard;
    s.uidl_format = sv->params->pop3_uidl_format;
    s.mechanisms = sv->params->auth_mechanisms;
    s.tls = c.start.tls;
    s.line_limit = (size_t)sv->params->pop3_line_limit;
    s.bad_limit = (unsigned)sv->params->imap_bad_command_limit;
    s.keep_flags = sv->params->pop3_no_flag_updates;
    s.timeout_ms = sv->params->pop3_timeout * 1000;
    pop3_serve(&s, str_cstr(&c.user.maildir), &why);
    log_end(&c, &s, why);
}

static int start(struct server *sv)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    daemon_keep_waiting(sv, (size_t)sv->params->pop3_process_min_avail);
    int r = uidl_check(sv->params->pop3_uidl_format, &err);

    if (r < 0)
        log_error("%s", str_cstr(&err));
    return r;
}

int main(int argc, char **argv)
{
    static const struct daemon pop3d = {
        .name = "pop3d",
        .mode = DAEMON_PROCESS,
        .sandbox = { .user = RUN_AS_USER, .flags = SANDBOX_SETUID | SANDBOX_ALL_FILES | SANDBOX_FORK },
        .start = start,
        .session = session,
    };
    return daemon_main(&pop3d, argc, argv);
}
