/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c - one SMTP session, from the greeting to the goodbye
 *
 * A session reads a line, acts, replies, and loops. A reload lets it come to its own end: a
 * client between two commands is one that will say something, not one that is
 * idle. When the suite stops, the skeleton cancels it, and it is told 421.
 *
 * Runs in: smtpd (input is hostile). Logs connect, disconnect, and why a session ended early.
 */
#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/own.h"
#include "smtpd/session.h"

#include "smtpd/client.h"
#include "smtpd/command.h"
#include "smtpd/filter.h"
#include "smtpd/limits.h"
#include "smtpd/prescreen.h"
#include "smtpd/reply.h"
#include "smtpd/starttls.h"
#include "smtpd/submit.h"
#include "smtpd/transcript.h"
#include "smtpd/upstream.h"
#include "smtpd/xclient.h"

static void session_free(struct smtpd **p)
{
    struct smtpd *s = *p;

    transaction_reset(s);
    restrict_state_done(&s->restrict_state);
    filter_done(s);
    str_free(&s->name);
    str_free(&s->reverse_name);
    str_free(&s->helo);
    str_free(&s->tls_info);
    tls_peer_done(&s->tls_peer);
    str_free(&s->sasl_username);
    str_free(&s->sender);
    str_free(&s->rcpt);
    str_free(&s->transcript);
    free(s->rcpts);
    str_free(&s->prescreen_refusal);
    free(s);
}

void transaction_reset(struct smtpd *s)
{
    for (size_t i = 0; i < s->n_rcpts; i++) {
        free(s->rcpts[i].address);
        free(s->rcpts[i].orig);
        free(s->rcpts[i].dsn_orcpt);
    }
    s->n_rcpts = 0;
    s->overshoot = 0;
    s->bdat_failed = false;
    str_reset(&s->sender);
    str_reset(&s->rcpt);
    mail_args_done(&s->mail);
    submit_abort(s);
    filter_abort(s);
    forwarded_free(TAKE_PTR(s->forwarded));
    restrict_state_reset(&s->restrict_state);
    if (s->state & (SMTP_MAIL | SMTP_RCPT | SMTP_BDAT))
        s->state = s->helo.len > 0 ? SMTP_GREETED : SMTP_CONNECTED;
}

/* Last words where the stream has failed already: sent if the socket takes them at once, else never mind */
static void farewell(struct smtpd *s, const char *code_and_text, const char *why)
{
    char line[512];
    int n = snprintf(line, sizeof(line), "%s %s %s\r\n", code_and_text, s->sv->params->myhostname, why);

    if (!stream_ssl(s->client) && n > 0 && (size_t)n < sizeof(line))
        send(stream_fd(s->client), line, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* fail2ban and others match these lines from their first word, so no "NOQUEUE:" stands in front */
static void log_early_end(const struct smtpd *s, const char *what)
{
    if (s->in_content)
        log_info("%s after %s (%llu bytes) from %s", what, s->where,
                 (unsigned long long)s->message.size, s->namaddr);
    else
        log_info("%s after %s from %s", what, s->where, s->namaddr);
}

static void refuse_too_many_errors(struct smtpd *s)
{
    reply_uncounted(s, "421 4.7.0 %s Error: too many errors", s->sv->params->myhostname);
    s->in_content = false;
    log_early_end(s, "too many errors");
    s->state = SMTP_CLOSED;
}

/* smtpd_command_filter: what a broken client says, as it should have been said. True: *filtered is to be run instead. */
static bool filter_command(struct smtpd *s, struct span line, struct str *filtered)
{
    _cleanup_(str_free) struct str before = STR_INIT, after = STR_INIT;
    int r = maps_get(s->sv->command_filter, line, filtered);

    if (r <= 0) {
        if (r < 0)
            log_warn("smtpd_command_filter cannot be read, a command of %s is taken as it came", s->namaddr);
        return false;
    }
    show(&before, line);
    show(&after, str_span(filtered));
    log_info("%s: replacing command \"%s\" with \"%s\"", s->namaddr, str_cstr(&before), str_cstr(&after));
    return true;
}

static void run_line(struct smtpd *s, struct span line)
{
    _cleanup_(str_free) struct str filtered = STR_INIT;

    if (filter_command(s, line, &filtered))
        line = str_span(&filtered);
    command_run(s, line);
}

bool session_refuses_bare(struct smtpd *s, const char *what)
{
    int64_t code = s->sv->params->smtpd_forbid_bare_newline_reject_code;

    if (s->bare_newline == BARE_NEWLINE_NOTE)
        log_info("bare <%s> received after %s from %s", what, s->where, s->namaddr);
    if (s->bare_newline != BARE_NEWLINE_REJECT)
        return false;
    refuse(s, s->where, "%d 5.5.2 %s Error: bare <%s> received", (int)code, s->sv->params->myhostname, what);
    if (code == 521)
        s->state = SMTP_CLOSED;
    return true;
}

/* One command; 0, or the stream's error */
static int serve_line(struct smtpd *s)
{
    struct span line;

    int r = stream_getline(s->client, (size_t)s->sv->params->line_length_limit, &line);

    if (r == -EMSGSIZE) {
        reply(s, "500 5.5.2 Error: line longer than %lld bytes",
              (long long)s->sv->params->line_length_limit);
        return 0;
    }
    if (r < 0)
        return r;
    transcript_in(s, line);
    if (!stream_line_had_bare_lf(s->client) || !session_refuses_bare(s, "LF"))
        run_line(s, line);
    return stream_error(s->client);
}

void session_greet(struct smtpd *s)
{
    if (restrict_connect(s) == VERDICT_REFUSED)
        s->denied = true;
    else if (filter_connect(s) != VERDICT_REFUSED)
        reply_uncounted(s, "220 %s", s->sv->params->smtpd_banner);
}

static int serve(struct smtpd *s)
{
    if (s->state != SMTP_CLOSED) /* by a handshake without the certificate that is required */
        session_greet(s);
    while (s->state != SMTP_CLOSED) {
        if (s->errors >= (uint64_t)s->sv->params->smtpd_hard_error_limit) {
            refuse_too_many_errors(s);
            break;
        }
        int r = serve_line(s);
        if (r < 0)
            return r;
    }
    int r = stream_flush(s->client);
    if (stream_ssl(s->client))
        stream_close_write(s->client); /* without TLS the close that follows says the same */
    return r;
}

/* Tell, and log, why a session ended other than by QUIT */
static void explain(struct smtpd *s, int error)
{
    if (error == 0 || s->state == SMTP_CLOSED)
        return;
    if (error == -ETIMEDOUT) {
        farewell(s, "421 4.4.2", "Error: timeout exceeded");
        log_early_end(s, "timeout");
    } else if (error == -ECANCELED) {
        farewell(s, "421 4.3.2", "Service shutting down");
    } else {
        log_early_end(s, "lost connection");
    }
}

/* TLS before the first word; false: the session is over */
static bool wrap(struct smtpd *s)
{
    if (limit_exceeded(s, LIMIT_NEWTLS_LOOK))
        return false;
    if (starttls_handshake(s) < 0) {
        log_early_end(s, "lost connection");
        return false;
    }
    return limits_tls(s);
}

static void serve_client(struct smtpd *s)
{
    _cleanup_(str_free) struct str counts = STR_INIT;

    log_info("connect from %s", s->namaddr);
    if (!limits_enter(s))
        stream_flush(s->client);
    else if (s->sv->params->smtpd_tls_wrappermode && !wrap(s))
        stream_flush(s->client);
    else
        explain(s, serve(s));
    command_counts(s, &counts);
    log_info("disconnect from %s%s", s->namaddr, str_cstr(&counts));
    transcript_mail(s);
}

/* From here on the client has passed what was before the greeting. */
static void run_session(struct smtpd *s, const struct peer *peer)
{
    client_address(s, peer);
    if (!prescreen_client(s))
        return;
    client_identify(s);
    serve_client(s);
    limits_leave(s);
}

/* The session is not on the stack, where it would cost an idle client a page more: with it the frames of
 * the wait do not fit into one. */
void smtpd_session(struct server *server, struct stream *client, const struct peer *peer)
{
    _cleanup_(stream_free_ptr_) struct stream *owned = client;
    _cleanup_(session_free) struct smtpd *s = mem_new(struct smtpd);
    struct peer from = *peer;

    s->sv = server->state;
    s->client = owned;
    s->state = SMTP_CONNECTED;
    s->where = "CONNECT";
    stream_set_timeout(client, server->params->smtpd_timeout * 1000);
    if (upstream_identify(s, &from)) {
        run_session(s, &from);
    } else {
        reply_uncounted(s, "421 4.3.0 %s Server local error", server->params->myhostname);
        stream_flush(client);
    }
}
