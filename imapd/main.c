/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - imapd: the IMAP session of one signed-in user
 *
 * A front (imapd-login) has done TLS and the sign-in. It hands over the connection
 * with a one-time ticket; the process forked for this session redeems it at
 * auth, becomes the mailbox owner for good, and serves IMAP4rev1 (RFC 3501) from
 * the user's Maildir and its index.
 *
 * May touch: what the user may. Until the ticket is redeemed: CAP_SETUID, CAP_SETGID, auth's
 * socket.
 */
#include "daemon/daemon.h"

#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "auto_mailboxes.h"
#include "capability.h"
#include "mailbox/account.h"
#include "mailbox/quota.h"
#include "sasl/session.h"
#include "session.h"

/* One line at the end of a session, in the form that Dovecot's have. */
static void log_end(const struct imap *s, const char *reason)
{
    _cleanup_(str_free) struct str tally = STR_INIT;

    imap_log_tally(s, &tally);
    log_info("%s: Disconnected: %s%s", s->log_name, reason, str_cstr(&tally));
}

static void make_log_name(const struct session_client *c, struct str *ret)
{
    str_add_str(ret, "imap(");
    str_add_escaped(ret, str_span(&c->user.user), 256, STR_UTF8);
    str_addf(ret, ")<%ld><%s>", (long)getpid(), c->start.session_id);
}

/* The mail is there and can be read, whatever becomes of this. */
static void set_quota(struct session_client *c)
{
    int r = quota_set_rule(str_cstr(&c->user.maildir), span_of(c->user.quota));

    if (r < 0)
        log_warn_errno(r, "imap(%s): the quota rule has no effect", str_cstr(&c->user.user));
}

/* What a new session has that one woken up has already */
static void begin(struct imap *s, const struct session_client *c)
{
    int r = auto_mailboxes(s->account, span_of(s->params->imap_auto_mailboxes));

    if (r < 0)
        log_warn_errno(r, "%s: cannot create a mailbox of imap_auto_mailboxes", s->log_name);
    capability_hide_for_account(s, str_span(&c->user.user));
    capability_hide_for_client(s, span_of(c->start.client_name));
}

/*
 * Open the user's mail and serve; a failure is told to the client, which has been promised a session. The account is not
 * closed: nothing of it is unwritten, and the process that ends gives back its mappings all at once.
 */
static void serve(const struct server *sv, struct session_client *c)
{
    _cleanup_(str_free) struct str err = STR_INIT, log_name = STR_INIT;
    struct account *account = NULL;
    const char *maildir = str_cstr(&c->user.maildir), *reason = "";
    make_log_name(c, &log_name);
    int r = account_open(maildir, &account, &err);

    if (r == 0 && c->start.state.len == 0)
        set_quota(c);
    if (r == 0 && chdir(maildir) < 0) /* where APPEND has its temporary files */
        r = -errno;
    if (r < 0) {
        log_warn_errno(r, "imap(%s): cannot open the mailbox: %s", str_cstr(&c->user.user),
                       str_cstr(&err));
        stream_printf(c->stream,
                      "%s NO [UNAVAILABLE] The mailbox cannot be opened.\r\n* BYE Try later.\r\n",
                      *c->start.tag ? c->start.tag : "*");
        stream_flush(c->stream);
        return;
    }

    _cleanup_(session_front_done) struct session_front heard;
    session_front_begin(&heard, c->front);
    struct imap s = { .params = sv->params, .client = c->stream, .account = account, .front = c->front, .heard = &heard,
                      .pass = str_span(&c->user.pass), .masks = sv->state, .log_name = str_cstr(&log_name),
                      .relayed = c->start.tls || c->start.compressed, .compressed = c->start.compressed,
                      .heard_ms = clock_ms() - c->start.silent_ms, .linger_ms = c->start.linger_ms };

    if (c->start.state.len > 0) {
        imap_serve_again(&s, str_span(&c->start.state), &reason);
    } else {
        begin(&s, c);
        imap_serve(&s, span_of(c->start.tag), &reason);
    }
    if (reason)
        log_end(&s, reason);
    imap_done(&s);
}

static void session(struct server *sv, struct stream *front, const struct peer *peer)
{
    struct session_client c = SESSION_CLIENT_INIT;

    (void)peer;
    if (session_take(sv, front, "imap", &c) == 0)
        serve(sv, &c);
    session_client_done(&c);
}

static int start(struct server *sv)
{
    static struct capability_masks masks;
    _cleanup_(str_free) struct str err = STR_INIT;
    int r = capability_masks_open(sv->params, &masks, &err);

    if (r < 0)
        log_error("%s", str_cstr(&err));
    sv->state = &masks;
    daemon_keep_waiting(sv, (size_t)sv->params->imap_process_min_avail);
    return r;
}

int main(int argc, char **argv)
{
    static const struct daemon imapd = {
        .name = "imapd",
        .mode = DAEMON_PROCESS,
        .sandbox = { .user = RUN_AS_USER,
                     .flags = SANDBOX_SETUID | SANDBOX_ALL_FILES | SANDBOX_FORK },
        .start = start,
        .session = session,
    };

    return daemon_main(&imapd, argc, argv);
}
