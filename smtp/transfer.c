/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transfer.c - MAIL, RCPT, DATA: one message over one connection
 *
 * With PIPELINING (RFC 2920) all commands up to DATA go in one write; then a server that
 * refused every recipient may still have said 354, and gets an empty message, which
 * it must refuse. Without PIPELINING the same code sends one command at a time.
 *
 * Runs in: smtp. The server is hostile.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/mem.h"
#include "mail/address.h"
#include "mail/xtext.h"
#include "smtp/smtp.h"

struct step {
    struct delivery *d;
    struct connection *k;
    struct smtp_reply reply;
    struct failure why;
    bool pipelining;
};

/* ---- results ---- */

/* The same for all recipients that are undecided, or of those only the accepted ones */
static void all_result(struct step *s, bool accepted_only, uint32_t status, const char *dsn,
                       struct span text, bool final)
{
    for (uint32_t i = 0; i < s->d->request.n_rcpt; i++) {
        struct delivery_rcpt *r = &s->d->rcpts[i];
        if (r->state == RCPT_UNDECIDED && (r->accepted || !accepted_only))
            delivery_result(s->d, r, s->k, status, dsn, text, final);
    }
}

static void note_remote(struct delivery_rcpt *r, const struct connection *k, const struct smtp_reply *reply)
{
    str_set(&r->result.remote_mta, span_of(k->host));
    str_reset(&r->result.remote_reply);
    str_addf(&r->result.remote_reply, "%d ", reply->code);
    str_add(&r->result.remote_reply, span_first(str_span(&reply->text), 1000));
}

/* What a 4xx or 5xx means for one recipient */
static void refuse_one(struct step *s, struct delivery_rcpt *r, const char *doing)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    bool permanent = s->reply.code / 100 == 5;

    connection_said(s->k, &s->reply, doing, &text);
    delivery_result(s->d, r, s->k, permanent ? OUTCOME_BOUNCED : OUTCOME_DEFERRED, s->reply.dsn, str_span(&text),
                    permanent);
    note_remote(r, s->k, &s->reply);
}

static void refuse_all(struct step *s, bool accepted_only, const char *doing)
{
    for (uint32_t i = 0; i < s->d->request.n_rcpt; i++) {
        struct delivery_rcpt *r = &s->d->rcpts[i];
        if (r->state == RCPT_UNDECIDED && (r->accepted || !accepted_only))
            refuse_one(s, r, doing);
    }
}

/* The connection is gone: nothing is decided, another server may do better. */
static int broken(struct step *s, int r)
{
    all_result(s, false, OUTCOME_DEFERRED, s->why.dsn, str_span(&s->why.text), false);
    return r < 0 ? r : -EPIPE;
}

/* ---- commands ---- */

static void put_mail(struct step *s)
{
    const struct deliver *m = &s->d->request;
    struct stream *st = s->k->stream;
    unsigned f = s->k->features;
    _cleanup_(str_free) struct str path = STR_INIT;

    address_quote(&path, str_span(&m->sender));
    stream_printf(st, "MAIL FROM:<%s>", path.len ? str_cstr(&path) : "");
    if (f & FEATURE_SIZE)
        stream_printf(st, " SIZE=%llu", (unsigned long long)m->content_size);
    if (f & FEATURE_8BITMIME && m->flags & SUBMIT_8BIT)
        stream_puts(st, " BODY=8BITMIME");
    if (f & FEATURE_SMTPUTF8 && m->flags & SUBMIT_SMTPUTF8)
        stream_puts(st, " SMTPUTF8");
    if (f & FEATURE_DSN && m->dsn_ret != DSN_RET_NONE)
        stream_puts(st, m->dsn_ret == DSN_RET_FULL ? " RET=FULL" : " RET=HDRS");
    if (f & FEATURE_DSN && m->dsn_envid.len > 0) {
        _cleanup_(str_free) struct str envid = STR_INIT;
        xtext_encode(&envid, str_span(&m->dsn_envid));
        stream_printf(st, " ENVID=%s", str_cstr(&envid));
    }
    stream_puts(st, "\r\n");
}

static void put_notify(struct stream *st, uint32_t notify)
{
    static const struct {
        uint32_t bit;
        const char *word;
    } words[] = { { DSN_NEVER, "NEVER" }, { DSN_SUCCESS, "SUCCESS" }, { DSN_FAILURE, "FAILURE" },
                  { DSN_DELAY, "DELAY" } };
    const char *before = " NOTIFY=";

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (notify & words[i].bit) {
            stream_printf(st, "%s%s", before, words[i].word);
            before = ",";
        }
}

static void put_rcpt(struct step *s, const struct delivery_rcpt *r)
{
    struct stream *st = s->k->stream;
    _cleanup_(str_free) struct str path = STR_INIT;

    address_quote(&path, str_span(&r->r.address));
    stream_printf(st, "RCPT TO:<%s>", str_cstr(&path));
    if (s->k->features & FEATURE_DSN) {
        put_notify(st, r->r.dsn_notify);
        struct span type = str_span(&r->r.dsn_orcpt), addr = type;
        if (addr.len > 0) {
            _cleanup_(str_free) struct str text = STR_INIT;
            type = span_cut(&addr, ';');
            xtext_encode(&text, addr);
            stream_printf(st, " ORCPT=" SPAN_FMT ";%s", SPAN_ARG(type), str_cstr(&text));
        }
    }
    stream_puts(st, "\r\n");
}

static int read_reply(struct step *s, const char *doing, int64_t timeout_s)
{
    return connection_reply(s->k, doing, timeout_s, &s->reply, &s->why);
}

/* ---- the conversation ---- */

/* Can this server take the message at all? */
static bool acceptable(struct step *s)
{
    const struct deliver *m = &s->d->request;
    _cleanup_(str_free) struct str text = STR_INIT;

    if (s->k->size_limit > 0 && m->content_size > s->k->size_limit) {
        str_addf(&text, "message size %llu exceeds size limit %llu of server %s",
                 (unsigned long long)m->content_size, (unsigned long long)s->k->size_limit,
                 str_cstr(&s->k->peer));
        all_result(s, false, OUTCOME_BOUNCED, "5.3.4", str_span(&text), true);
        return false;
    }
    if (m->flags & SUBMIT_SMTPUTF8 && !(s->k->features & FEATURE_SMTPUTF8)) {
        str_addf(&text, "SMTPUTF8 is required, but was not offered by host %s", str_cstr(&s->k->peer));
        all_result(s, false, OUTCOME_BOUNCED, "5.6.7", str_span(&text), true);
        return false;
    }
    return true;
}

/* An address probe ends here: the reply to RCPT TO is its outcome. */
static void take_probed(struct step *s, struct delivery_rcpt *r)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    str_addf(&text, "%d %s", s->reply.code, str_cstr(&s->reply.text));
    delivery_result(s->d, r, s->k, OUTCOME_SENT, s->reply.dsn, str_span(&text), true);
}

static int read_rcpt(struct step *s, struct delivery_rcpt *r, int *accepted)
{
    int e = read_reply(s, "sending RCPT TO", s->d->client->params->smtp_rcpt_timeout);

    if (e < 0)
        return e;
    r->accepted = s->reply.code / 100 == 2;
    *accepted += r->accepted;
    if (!r->accepted)
        refuse_one(s, r, "RCPT TO command");
    else if (s->d->request.flags & SUBMIT_PROBE)
        take_probed(s, r);
    return 0;
}

/* After a refused MAIL the pipelined RCPTs are refused as well: their replies say nothing new. */
static int skip_replies(struct step *s, uint32_t n)
{
    int r = 0;

    for (uint32_t i = 0; r == 0 && i < n; i++)
        r = read_reply(s, "sending RCPT TO", s->d->client->params->smtp_rcpt_timeout);
    return r;
}

/* MAIL and RCPT, and with pipelining DATA behind them. Number of accepted recipients, or an error. */
static int envelope(struct step *s, bool *mail_refused)
{
    struct delivery *d = s->d;
    uint32_t sent = 0;
    int accepted = 0;

    put_mail(s);
    for (uint32_t i = 0; s->pipelining && i < d->request.n_rcpt; i++)
        if (d->rcpts[i].state == RCPT_UNDECIDED) {
            put_rcpt(s, &d->rcpts[i]);
            sent++;
        }
    if (s->pipelining && !(d->request.flags & SUBMIT_PROBE))
        stream_puts(s->k->stream, "DATA\r\n");
    int r = read_reply(s, "sending MAIL FROM", d->client->params->smtp_mail_timeout);
    if (r < 0)
        return r;
    *mail_refused = s->reply.code / 100 != 2;
    if (*mail_refused) {
        refuse_all(s, false, "MAIL FROM command");
        return skip_replies(s, sent);
    }
    for (uint32_t i = 0; r == 0 && i < d->request.n_rcpt; i++) {
        if (d->rcpts[i].state != RCPT_UNDECIDED)
            continue;
        if (!s->pipelining)
            put_rcpt(s, &d->rcpts[i]);
        r = read_rcpt(s, &d->rcpts[i], &accepted);
    }
    return r < 0 ? r : accepted;
}

static void take_success(struct step *s)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    str_addf(&text, "%d %s", s->reply.code, str_cstr(&s->reply.text));
    for (uint32_t i = 0; i < s->d->request.n_rcpt; i++) {
        struct delivery_rcpt *r = &s->d->rcpts[i];
        if (r->state != RCPT_UNDECIDED || !r->accepted)
            continue;
        delivery_result(s->d, r, s->k, OUTCOME_SENT, s->reply.dsn, str_span(&text), true);
        note_remote(r, s->k, &s->reply);
        r->result.fate = s->k->features & FEATURE_DSN ? FATE_CONFIRMING : FATE_RELAYED;
    }
}

/* After 354: the content, or nothing when no recipient is left. 0, or the connection is broken. */
static int body(struct step *s, int accepted)
{
    const struct deliver *m = &s->d->request;
    const struct params *p = s->d->client->params;
    int r;

    stream_set_deadline(s->k->stream, CLOCK_NEVER);
    stream_set_timeout(s->k->stream, p->smtp_data_xfer_timeout * 1000);
    if (accepted == 0) {
        stream_puts(s->k->stream, ".\r\n");
        r = stream_flush(s->k->stream);
    } else {
        r = content_send(s->k->stream, s->d->fd, m->content_offset, m->content_size,
                         !p->cleanup_replace_stray_cr_lf);
    }
    stream_set_timeout(s->k->stream, 0);
    if (r < 0 && stream_error(s->k->stream) == 0) {
        failure_set(&s->why, false, "4.3.0", "queue file cannot be read: %s", strerror(-r));
        stream_fail(s->k->stream, r);
        return broken(s, r);
    }
    r = read_reply(s, "sending end of data -- message may be sent more than once",
                   p->smtp_data_done_timeout);
    if (r < 0)
        return broken(s, r);
    if (accepted == 0)
        return 0;
    if (s->reply.code / 100 == 2)
        take_success(s);
    else
        refuse_all(s, true, "end of DATA command");
    return 0;
}

static int converse(struct step *s)
{
    bool mail_refused = false;
    int accepted = envelope(s, &mail_refused);

    if (accepted < 0)
        return broken(s, accepted);
    if (s->d->request.flags & SUBMIT_PROBE)
        return -EPIPE;                        /* a transaction is open, and another probe unlikely */
    if (!s->pipelining && accepted == 0)
        return mail_refused ? 0 : -EPIPE;     /* a transaction is open: not worth an RSET */
    if (!s->pipelining)
        stream_puts(s->k->stream, "DATA\r\n");
    int r = read_reply(s, "sending DATA command", s->d->client->params->smtp_data_init_timeout);
    if (r < 0)
        return broken(s, r);
    if (s->reply.code / 100 == 3)
        return body(s, accepted);
    refuse_all(s, true, "DATA command");
    return accepted > 0 || s->reply.code == 421 ? -EPIPE : 0;
}

int transfer(struct delivery *d, struct connection *k)
{
    struct step s = { .d = d, .k = k, .pipelining = k->features & FEATURE_PIPELINING };
    int r = -EPIPE;

    for (uint32_t i = 0; i < d->request.n_rcpt; i++)
        d->rcpts[i].accepted = false;
    k->uses++;
    if (acceptable(&s))
        r = converse(&s);
    str_free(&s.reply.text);
    str_free(&s.why.text);
    return r;
}
