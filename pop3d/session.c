/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c - from "+OK Logged in." to the UPDATE state
 *
 * The front has greeted the client and checked its password; the answer to the sign-in is given here,
 * once the maildrop is open. Messages are removed only after QUIT (RFC 1939 section 6): a
 * connection that breaks deletes nothing. What was retrieved is marked \Seen in either case, for those who use IMAP as well.
 *
 * Runs in: pop3d, as the mailbox owner. Input is the client's.
 */
#include <errno.h>

#include "base/log.h"
#include "pop3d/pop3.h"

void pop3_done(struct pop3 *s)
{
    maildrop_done(&s->drop);
}

static int open_maildrop(struct pop3 *s, const char *maildir)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    int r = maildrop_open(&s->drop, maildir, &err);

    if (r < 0) {
        log_warn("%s", str_cstr(&err));
        stream_puts(s->client, "-ERR [SYS/TEMP] The mailbox cannot be opened now.\r\n");
        return r;
    }
    stream_puts(s->client, "+OK Logged in.\r\n");
    return 0;
}

static void update(struct pop3 *s)
{
    int r = maildrop_update(&s->drop);

    if (r < 0) {
        log_warn_errno(r, "cannot remove messages");
        stream_puts(s->client, "-ERR [SYS/TEMP] Some deleted messages were not removed.\r\n");
    } else {
        stream_puts(s->client, "+OK Logging out.\r\n");
    }
}

/* The reason of an end that the client has not asked for; a last word if it can still hear. */
static const char *end_of_input(struct pop3 *s, int r)
{
    switch (r) {
    case -ETIMEDOUT:
        stream_puts(s->client, "-ERR Disconnected for inactivity.\r\n");
        return "Disconnected for inactivity";
    case -ECANCELED:
        if (s->heard && s->heard->word == FRONT_WANTS_ROOM) {
            stream_puts(s->client, "-ERR [SYS/TEMP] Too many sessions of this user from this address.\r\n");
            return "Too many sessions of this user from this address";
        }
        stream_puts(s->client, "-ERR [SYS/TEMP] Server shutting down.\r\n");
        return "Server shutting down";
    default:
        return "Connection closed";
    }
}

static void set_idle(struct pop3 *s, bool idle)
{
    fiber_set_idle(idle);
    if (s->heard)
        session_front_idle(s->heard, idle);
}

/* Between two commands the front may end the session, or the end of the suite. */
static int next_line(struct pop3 *s, struct span *ret)
{
    set_idle(s, true);
    int r = stream_getline(s->client, s->line_limit, ret);
    set_idle(s, false);
    return r;
}

void pop3_serve(struct pop3 *s, const char *maildir, const char **why)
{
    struct span line;

    stream_set_timeout(s->client, s->timeout_ms);
    *why = "Mailbox unavailable";
    if (open_maildrop(s, maildir) < 0) {
        stream_flush(s->client);
        return;
    }
    *why = NULL;
    while (!s->quit && !s->failed) {
        int r = next_line(s, &line);

        if (r == 0) {
            pop3_command(s, line);
        } else if (r == -EMSGSIZE) {
            stream_printf(s->client, "-ERR Line longer than %zu bytes.\r\n", s->line_limit);
        } else {
            *why = end_of_input(s, r);
            break;
        }
    }
    int r = s->keep_flags ? 0 : maildrop_mark_seen(&s->drop);
    if (r < 0)
        log_warn_errno(r, "cannot mark messages as seen");
    if (s->quit) {
        update(s);
        *why = "Logged out";
    } else if (!*why) {
        *why = "Too many bad commands or a failed message";
    }
    stream_flush(s->client);
}
