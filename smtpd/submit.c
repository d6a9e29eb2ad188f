/* SPDX-License-Identifier: Apache-2.0 */
/*
 * submit.c - handing the message of a transaction to cleanup
 *
 * The client is told 250 only after cleanup's answer, which comes when the
 * message is on disk. Until then nothing is promised: a client that goes away,
 * or a cleanup that dies, leaves no message.
 *
 * Runs in: smtpd. Logs "ID: client=", refused messages, and trouble with cleanup.
 */
#include "smtpd/submit.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/own.h"
#include "ipc/msg_submit.h"
#include "smtpd/client.h"
#include "smtpd/filter.h"
#include "smtpd/reply.h"
#include "smtpd/session.h"
#include "smtpd/starttls.h"
#include "smtpd/xclient.h"

static void binary_free(struct binary_content *b)
{
    if (!b)
        return;
    unbinary_done(&b->parts);
    str_free(&b->text);
    free(b);
}

void submit_begin(struct smtpd *s, unsigned dotstuff_flags)
{
    submit_abort(s);
    dotstuff_init(&s->message.parser, dotstuff_flags);
    if (s->mail.binary) {
        s->message.binary = mem_new(struct binary_content);
        unbinary_init(&s->message.binary->parts);
    }
}

/* cleanup forgets what it has, and nobody knows how far it was with the filters */
static void give_up_cleanup(struct smtpd *s)
{
    if (!s->message.cleanup)
        return;
    ipc_free(TAKE_PTR(s->message.cleanup));
    filter_settle(s, NULL);
}

void submit_abort(struct smtpd *s)
{
    give_up_cleanup(s);
    str_free(&s->message.held);
    binary_free(s->message.binary);
    s->message = (struct submission){ 0 };
}

/* ---- the envelope ---- */

/* A text of ours in the shape of a message's field; lives as long as the text */
static struct str borrow(const char *text)
{
    return text ? (struct str){ (char *)text, strlen(text), 0 } : STR_INIT;
}

/* RFC 3848, and RFC 6531 section 4.3: "ESMTPSA" */
static void protocol_name(const struct smtpd *s, char ret[static 16])
{
    bool lmtp = s->sv->params->smtpd_lmtp_mode, utf8 = s->mail.seen & ARG_UTF8;
    const char *base = lmtp ? "LMTP" : utf8 ? "SMTP" : s->esmtp ? "ESMTP" : "SMTP";

    snprintf(ret, 16, "%s%s%s%s", utf8 ? "UTF8" : "", base, s->esmtp && s->tls_info.len > 0 ? "S" : "",
             s->esmtp && s->sasl_username.len > 0 ? "A" : "");
}

static uint32_t submit_flags(const struct smtpd *s)
{
    return (s->mail.eight_bit ? SUBMIT_8BIT : 0u) |
           (s->mail.seen & ARG_UTF8 ? SUBMIT_SMTPUTF8 : 0u) |
           (client_is_local(s) ? SUBMIT_REWRITE : 0u) |
           (s->restrict_state.hold ? SUBMIT_HOLD : 0u) |
           (s->restrict_state.discard ? SUBMIT_DISCARD : 0u);
}

/* What REDIRECT and BCC of access tables make of the recipients */
static size_t count_rcpts(const struct smtpd *s)
{
    const struct restrict_state *rs = &s->restrict_state;
    size_t n = s->n_rcpts;

    if (rs->redirect.len > 0)
        return 1;
    for (size_t i = 0; i < rs->bcc.len; i++)
        n += rs->bcc.data[i] == '\0';
    return n;
}

/* A recipient that the sender shall not hear of */
static void send_silent_rcpt(struct ipc *c, struct span address)
{
    _cleanup_(str_free) struct str copy = STR_INIT;
    struct submit_rcpt r = { .dsn_notify = DSN_NEVER };

    str_add(&copy, address);
    r.address = copy;
    ipc_send(c, &submit_rcpt_shape, &r);
}

static void send_rcpts(struct smtpd *s, struct ipc *c)
{
    struct span bcc = str_span(&s->restrict_state.bcc);

    if (s->restrict_state.redirect.len > 0) {
        struct submit_rcpt r = {.address = s->restrict_state.redirect,
                                .orig = borrow(s->rcpts[0].address)};

        ipc_send(c, &submit_rcpt_shape, &r);
        return;
    }
    for (size_t i = 0; i < s->n_rcpts; i++) {
        struct submit_rcpt r = {
            .address = borrow(s->rcpts[i].address),
            .orig = borrow(s->rcpts[i].orig),
            .dsn_orcpt = borrow(s->rcpts[i].dsn_orcpt),
            .dsn_notify = s->rcpts[i].dsn_notify,
        };

        ipc_send(c, &submit_rcpt_shape, &r);
    }
    while (bcc.len > 0)
        send_silent_rcpt(c, span_cut(&bcc, '\0'));
}

static void set_forwarded(const struct forwarded *f, struct submit *m)
{
    m->orig_queue_id = f->ident;
    m->forwarded_name = f->name;
    m->forwarded_helo = f->helo;
    m->forwarded_port = f->port;
    m->forwarded_source = f->source;
    snprintf(m->forwarded_addr, sizeof(m->forwarded_addr), "%s", f->addr);
    snprintf(m->forwarded_proto, sizeof(m->forwarded_proto), "%s", f->proto);
}

static void send_envelope(struct smtpd *s, struct ipc *c)
{
    _cleanup_(str_free) struct str tls_info = STR_INIT;
    struct submit m = {
        .origin = SUBMIT_NETWORK,
        .flags = submit_flags(s),
        .n_rcpt = (uint32_t)count_rcpts(s),
        .n_milters = filter_count(s),
        .sender = s->sender,
        .dsn_ret = s->mail.ret,
        .dsn_envid = s->mail.envid,
        .size_hint = s->mail.size,
        .client_name = s->name,
        .client_port = s->port,
        .helo = s->helo,
        .sasl_username = s->sasl_username,
        .content_filter = s->restrict_state.filter,
        .prepend = s->restrict_state.prepend,
    };

    if (s->sv->params->smtpd_message_priority != 0)
        m.priority = (uint32_t)(s->sv->params->smtpd_message_priority + SUBMIT_PRIORITY_ZERO);
    if (s->sasl_username.len > 0)
        m.sasl_sender = s->mail.auth;
    if (s->sv->params->smtpd_tls_received_header)
        starttls_describe(s, &tls_info);
    if (s->forwarded)
        set_forwarded(s->forwarded, &m);
    m.tls_info = tls_info;
    snprintf(m.client_addr, sizeof(m.client_addr), "%s", s->addr);
    snprintf(m.service, sizeof(m.service), "%s", s->sv->server->service);
    snprintf(m.sasl_method, sizeof(m.sasl_method), "%s", s->sasl_method);
    protocol_name(s, m.proto);
    ipc_send(c, &submit_shape, &m);
    filter_lend(s, c);
    send_rcpts(s, c);
}

/* ---- the content ---- */

/* A connection with the envelope sent on it */
static int open_cleanup(struct smtpd *s, struct ipc **ret)
{
    int64_t timeout_ms = s->sv->params->ipc_timeout * 1000;
    int r = ipc_pool_get(s->sv->cleanup, clock_deadline_ms(timeout_ms), ret);

    if (r < 0)
        return r;
    stream_set_timeout(ipc_stream(*ret), timeout_ms);
    send_envelope(s, *ret);
    return 0;
}

static void send_held(struct smtpd *s, struct ipc *c)
{
    struct span rest = str_span(&s->message.held);

    while (rest.len > 0) {
        struct span chunk = span_first(rest, SUBMIT_HELD);

        ipc_send_chunk(c, chunk);
        rest = span_from(rest, chunk.len);
    }
}

static void fail(struct smtpd *s, int error)
{
    give_up_cleanup(s);
    s->message.failed = error;
}

void submit_content(struct smtpd *s)
{
    struct submission *m = &s->message;
    uint64_t limit = (uint64_t)s->sv->params->message_size_limit;

    m->size = m->sent + m->held.len;
    if (limit > 0 && m->size > limit && m->failed == 0)
        fail(s, -EMSGSIZE);
    if (m->failed == 0 && m->held.len <= SUBMIT_HELD)
        return;
    if (m->failed == 0 && !m->cleanup) {
        int r = open_cleanup(s, &m->cleanup);

        if (r < 0)
            fail(s, r);
    }
    if (m->failed == 0) {
        send_held(s, m->cleanup);
        if (stream_error(ipc_stream(m->cleanup)) < 0)
            fail(s, stream_error(ipc_stream(m->cleanup)));
    }
    m->sent = m->size;
    str_reset(&m->held);
    fiber_yield(); /* a client that sends as fast as we read must not keep the others waiting */
}

/* ---- the end ---- */

static int finish(struct smtpd *s, struct ipc *c, struct submit_result *ret)
{
    send_held(s, c);
    ipc_send_chunk(c, SPAN_NULL);
    return ipc_recv(c, &submit_result_shape, ret);
}

/* Submit what is held and wait for the answer. A kept connection may have been closed by a cleanup
 * that retired; as long as everything is held, and no filter has heard of it, it is then sent again on
 * another. */
static int deliver(struct smtpd *s, struct submit_result *ret)
{
    struct submission *m = &s->message;

    for (;;) {
        bool whole = !m->cleanup && filter_count(s) == 0;
        int r = m->cleanup ? 0 : open_cleanup(s, &m->cleanup);

        if (r < 0)
            return r;
        r = finish(s, m->cleanup, ret);
        if (r == 0) {
            ipc_pool_put(s->sv->cleanup, TAKE_PTR(m->cleanup));
            filter_settle(s, ret->milters);
            return 0;
        }

        bool again = whole && ipc_was_kept(m->cleanup) && r != -ECANCELED && r != -ETIMEDOUT;

        give_up_cleanup(s);
        if (!again)
            return r;
    }
}

/* Texts in it are fit for the log already */
static void add_forwarded(const struct forwarded *f, struct str *line)
{
    if (f->ident.len > 0)
        str_addf(line, ", orig_queue_id=" SPAN_FMT, SPAN_ARG(str_span(&f->ident)));
    if (f->addr[0] != '\0' || f->name.len > 0)
        str_addf(line, ", orig_client=" SPAN_FMT "[%s]",
                 SPAN_ARG(f->name.len > 0 ? str_span(&f->name) : span_of("unknown")),
                 f->addr[0] ? f->addr : "unknown");
}

static void log_client(const struct smtpd *s, const char *id)
{
    _cleanup_(str_free) struct str line = STR_INIT;

    str_addf(&line, "%s: client=%s", id, s->namaddr);
    if (s->sasl_username.len > 0) {
        str_addf(&line, ", sasl_method=%s, sasl_username=", s->sasl_method);
        show(&line, str_span(&s->sasl_username));
        if (s->mail.auth.len > 0) {
            str_add_str(&line, ", sasl_sender=");
            show(&line, str_span(&s->mail.auth));
        }
    }
    if (s->forwarded)
        add_forwarded(s->forwarded, &line);
    log_info("%s", str_cstr(&line));
}

/* The reply code that goes with an enhanced code (RFC 5321 section 4.2.3) */
static int code_for(const struct submit_result *r)
{
    if (r->status == SUBMIT_TEMPORARY)
        return strcmp(r->dsn, "4.3.1") == 0 ? 452 : 451;
    return strcmp(r->dsn, "5.3.4") == 0 ? 552 : strncmp(r->dsn, "5.7.", 4) == 0 ? 550 : 554;
}

/* What cleanup has logged: the reply of a filter, or of its own checks */
static void pass_on(struct smtpd *s, const char *text)
{
    reply(s, "%s", text);
    if (strncmp(text, "421", 3) == 0 || strncmp(text, "521", 3) == 0)
        s->state = SMTP_CLOSED;
}

static void answer(struct smtpd *s, const struct submit_result *r, const char *ok)
{
    if (r->status != SUBMIT_OK && r->reply[0]) {
        log_client(s, r->queue_id);
        pass_on(s, r->reply);
        return;
    }
    if (r->status != SUBMIT_OK) {
        refuse(s, "END-OF-MESSAGE", "%d %s %s", code_for(r), r->dsn, r->text);
        return;
    }
    log_client(s, r->queue_id);
    s->errors = s->junk = 0;
    reply(s, "%s queued as %s", ok, r->queue_id);
}

size_t submit_replies(const struct smtpd *s)
{
    return s->sv->params->smtpd_lmtp_mode ? s->n_rcpts : 1;
}

/* Not for cleanup; true: answered */
static bool refused_here(struct smtpd *s)
{
    const struct dotstuff *d = &s->message.parser;

    if (s->message.failed < 0)
        return false;
    return (d->bare_lf && session_refuses_bare(s, "LF")) || (d->bare_cr && session_refuses_bare(s, "CR")) ||
           restrict_end_of_data(s) == VERDICT_REFUSED;
}

static void submit_whole(struct smtpd *s, const char *ok)
{
    struct submit_result result = { 0 };
    int r = s->message.failed;

    if (r == 0)
        r = deliver(s, &result);
    if (r == 0) {
        answer(s, &result, ok);
    } else if (r == -EMSGSIZE) {
        refuse(s, "END-OF-MESSAGE", "552 5.3.4 Error: message file too big");
    } else {
        log_warn_errno(r, "cannot submit a message from %s to cleanup, telling it to try again",
                       s->namaddr);
        reply_uncounted(s, "451 4.3.0 Error: queue file write error");
    }
}

void submit_end(struct smtpd *s, const char *ok)
{
    if (!refused_here(s))
        submit_whole(s, ok);
    transaction_reset(s);
}
