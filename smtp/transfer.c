/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transfer.c - MAIL, RCPT, DATA or BDAT: one message over one connection
 *
 * With PIPELINING (RFC 2920) commands go out ahead of their replies, a bounded number of them,
 * since a server that waits for its replies to be read stops reading. With CHUNKING (RFC 3030) the
 * content of a small message goes out in that same burst, so that the whole transaction is one
 * round trip; a large one waits for the first accepted recipient, and then leaves from the file.
 * Without CHUNKING, DATA is pipelined: a server that refused every recipient may still have said
 * 354, and gets an empty message, which it must refuse. Without PIPELINING the same code sends one
 * command at a time. A server that takes only so many recipients at once (RFC 9422) gets the
 * message as often as it needs.
 *
 * Runs in: smtp, lmtp. The server is hostile.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/address.h"
#include "smtp/smtp.h"

enum { AHEAD_MAX = 100 };   /* commands sent whose replies were not read yet */

struct step {
    struct delivery *d;
    struct connection *k;
    struct smtp_reply reply;
    struct failure why;
    bool pipelining;
    bool closing;               /* the server said 421 */
    struct str small;           /* the content, when it goes out with the envelope */
    bool early;                 /* it does */
    bool data_sent;             /* DATA or the content are on their way */
    uint32_t before;            /* replies due before that to MAIL */
    uint32_t put, ahead;        /* next recipient to be written; replies that are due */
    int accepted;
};

/* ---- results ---- */

/* The same for all recipients that are undecided */
static void all_result(struct step *s, uint32_t status, const char *dsn, struct span text,
                       bool final)
{
    for (uint32_t i = 0; i < s->d->request.n_rcpt; i++) {
        struct delivery_rcpt *r = &s->d->rcpts[i];
        if (r->state == RCPT_UNDECIDED)
            delivery_result(s->d, r, s->k, status, dsn, text, final);
    }
}

static void note_remote(struct delivery_rcpt *r, const struct connection *k,
                        const struct smtp_reply *reply)
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
    delivery_result(s->d, r, s->k, permanent ? OUTCOME_BOUNCED : OUTCOME_DEFERRED, s->reply.dsn,
                    str_span(&text), permanent);
    note_remote(r, s->k, &s->reply);
}

/* All of this transaction; or of those only the accepted ones */
static void refuse_all(struct step *s, bool accepted_only, const char *doing)
{
    for (uint32_t i = 0; i < s->d->request.n_rcpt; i++) {
        struct delivery_rcpt *r = &s->d->rcpts[i];
        if (r->in_turn && r->state == RCPT_UNDECIDED && (r->accepted || !accepted_only))
            refuse_one(s, r, doing);
    }
}

/* The connection is gone: nothing is decided, another server may do better. */
static int broken(struct step *s, int r)
{
    all_result(s, OUTCOME_DEFERRED, s->why.dsn, str_span(&s->why.text), false);
    return r < 0 ? r : -EPIPE;
}

static void take_success(struct step *s, struct delivery_rcpt *r)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    str_addf(&text, "%d %s", s->reply.code, str_cstr(&s->reply.text));
    delivery_result(s->d, r, s->k, OUTCOME_SENT, s->reply.dsn, str_span(&text), true);
    note_remote(r, s->k, &s->reply);
    r->result.fate = s->k->ehlo.features & FEATURE_DSN ? FATE_CONFIRMING
                     : s->d->client->lmtp && s->d->client->params->lmtp_assume_final
                         ? FATE_DELIVERED
                         : FATE_RELAYED;
}

/* What the reply to the content means for one recipient; for all with NULL */
static void take_verdict(struct step *s, struct delivery_rcpt *only, const char *doing)
{
    for (uint32_t i = 0; i < s->d->request.n_rcpt; i++) {
        struct delivery_rcpt *r = only ? only : &s->d->rcpts[i];
        if (r->in_turn && r->state == RCPT_UNDECIDED && r->accepted) {
            if (s->reply.code / 100 == 2)
                take_success(s, r);
            else
                refuse_one(s, r, doing);
        }
        if (only)
            break;
    }
    s->k->needs_reset |= s->reply.code / 100 != 2;
}

/* An address probe ends with RCPT TO: the reply is its outcome. */
static void take_probed(struct step *s, struct delivery_rcpt *r)
{
    take_success(s, r);
    s->accepted--;              /* for no content */
    r->accepted = false;
}

static bool is_probe(const struct step *s)
{
    return s->d->request.flags & SUBMIT_PROBE;
}

/* ---- replies ---- */

static int read_reply(struct step *s, const char *doing, int64_t timeout_s)
{
    int r = connection_reply(s->k, doing, timeout_s, &s->reply, &s->why);

    s->closing |= r == 0 && s->reply.code == 421;
    return r;
}

/* After a refused MAIL the pipelined rest is refused as well: these replies say nothing new. */
static int skip_replies(struct step *s)
{
    int r = 0;

    for (; r == 0 && s->ahead > 0; s->ahead--)
        r = read_reply(s, "sending RCPT TO", s->d->client->params->smtp_rcpt_timeout);
    return r;
}

/* ---- the envelope ---- */

/* Can this server take the message at all? */
static bool acceptable(struct step *s)
{
    const struct deliver *m = &s->d->request;
    uint64_t limit = s->k->ehlo.size_limit;
    _cleanup_(str_free) struct str text = STR_INIT;

    if (limit > 0 && m->content_size > limit) {
        str_addf(&text, "message size %llu exceeds size limit %llu of server %s",
                 (unsigned long long)m->content_size, (unsigned long long)limit,
                 str_cstr(&s->k->peer));
        all_result(s, OUTCOME_BOUNCED, "5.3.4", str_span(&text), true);
        return false;
    }
    /* Addresses are looked at one by one; a header in UTF-8 concerns all recipients. */
    if (m->flags & SUBMIT_SMTPUTF8 && !(s->k->ehlo.features & FEATURE_SMTPUTF8) &&
        content_header_is_ascii(s->d) != 1) {
        str_addf(&text, "SMTPUTF8 is required, but was not offered by host %s",
                 str_cstr(&s->k->peer));
        all_result(s, OUTCOME_BOUNCED, "5.6.7", str_span(&text), true);
        return false;
    }
    return true;
}

/* An address cannot be said: it needs what the server lacks, or its table has failed. */
static void explain_path(struct step *s, int r)
{
    if (r == -EINVAL)
        failure_set(&s->why, true, "5.6.7", "SMTPUTF8 is required, but was not offered by host %s",
                    str_cstr(&s->k->peer));
    else
        failure_set(&s->why, false, "4.3.0", "smtp_generic_maps: lookup error");
}

static uint32_t outcome_of(const struct failure *why)
{
    return why->permanent ? OUTCOME_BOUNCED : OUTCOME_DEFERRED;
}

/* The recipients of the next transaction: those that this server was not asked for yet, as many as
 * it takes, and that it can be told at all. How many. */
static uint32_t choose_recipients(struct step *s)
{
    uint32_t most = s->k->ehlo.rcpt_max ? s->k->ehlo.rcpt_max : UINT32_MAX, n = 0;
    _cleanup_(str_free) struct str path = STR_INIT;

    for (uint32_t i = 0; i < s->d->request.n_rcpt; i++) {
        struct delivery_rcpt *r = &s->d->rcpts[i];
        r->in_turn = r->accepted = false;
        if (r->state != RCPT_UNDECIDED || r->asked || n == most)
            continue;
        str_reset(&path);
        r->asked = true;
        int e = envelope_path(s->k, str_span(&r->r.address), &path);
        if (e < 0) {
            explain_path(s, e);
            delivery_result(s->d, r, s->k, outcome_of(&s->why), s->why.dsn, str_span(&s->why.text),
                            e == -EINVAL);
            continue;
        }
        r->in_turn = true;
        n++;
    }
    return n;
}

static bool put_next_rcpt(struct step *s)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    struct delivery *d = s->d;

    while (s->put < d->request.n_rcpt && !d->rcpts[s->put].in_turn)
        s->put++;
    if (s->put == d->request.n_rcpt)
        return false;
    struct delivery_rcpt *r = &d->rcpts[s->put++];
    envelope_path(s->k, str_span(&r->r.address), &path);
    envelope_put_rcpt(d, s->k, r, str_span(&path));
    s->ahead++;
    return true;
}

/* Write ahead as far as may be; behind the last recipient what begins the content. */
static void put_ahead(struct step *s)
{
    struct stream *st = s->k->stream;

    while (s->ahead < AHEAD_MAX && put_next_rcpt(s))
        ;
    if (is_probe(s) || s->data_sent || s->put < s->d->request.n_rcpt || s->ahead == AHEAD_MAX)
        return;
    if (s->early) {
        stream_printf(st, "BDAT %zu LAST\r\n", s->small.len);
        stream_write(st, str_span(&s->small));
        str_free(&s->small);    /* while the server thinks, memory is for others */
        s->data_sent = true;
    } else if (!(s->k->ehlo.features & FEATURE_CHUNKING)) {
        stream_puts(st, "DATA\r\n");
        s->data_sent = true;
    }
}

static int read_rcpts(struct step *s)
{
    const struct params *p = s->d->client->params;

    for (uint32_t i = 0; i < s->d->request.n_rcpt; i++) {
        struct delivery_rcpt *r = &s->d->rcpts[i];
        if (!r->in_turn)
            continue;
        if (!s->pipelining)
            put_next_rcpt(s);
        else if (s->ahead < AHEAD_MAX / 2)
            put_ahead(s);
        int e = read_reply(s, "sending RCPT TO", p->smtp_rcpt_timeout);
        if (e < 0)
            return e;
        s->ahead--;
        r->accepted = s->reply.code / 100 == 2;
        s->accepted += r->accepted;
        if (!r->accepted)
            refuse_one(s, r, "RCPT TO command");
        else if (is_probe(s))
            take_probed(s, r);
    }
    return 0;
}

/* The replies to what went before MAIL; a server that dislikes it is told the mail all the same. */
static int read_before_mail(struct step *s)
{
    const struct params *p = s->d->client->params;
    int r = 0;

    for (; r == 0 && s->before > 0; s->before--)
        r = read_reply(s, s->k->needs_reset ? "sending RSET" : "sending XFORWARD name/address",
                       s->k->needs_reset ? p->smtp_rset_timeout : p->smtp_xforward_timeout);
    s->k->needs_reset = false;
    return r;
}

static int before_mail(struct step *s)
{
    if (s->k->needs_reset) {
        stream_puts(s->k->stream, "RSET\r\n");
        s->before++;
    }
    if (s->d->client->params->smtp_send_xforward_command &&
        s->k->ehlo.features & FEATURE_XFORWARD) {
        int n = xforward_put(s->d, s->k);
        if (n < 0) {
            failure_set(&s->why, false, "4.3.0", "queue file cannot be read: %s", strerror(-n));
            stream_fail(s->k->stream, n);
            return n;
        }
        s->before += (uint32_t)n;
    }
    return s->pipelining ? 0 : read_before_mail(s);
}

/* MAIL and RCPT, and with pipelining what comes behind. 0, or an error of the connection. */
static int envelope(struct step *s, struct span sender, bool *mail_refused)
{
    const struct params *p = s->d->client->params;
    int r = before_mail(s);

    if (r < 0)
        return r;
    envelope_put_mail(s->d, s->k, sender);
    if (s->pipelining)
        put_ahead(s);
    r = read_before_mail(s);
    if (r == 0)
        r = read_reply(s, "sending MAIL FROM", p->smtp_mail_timeout);
    if (r < 0)
        return r;
    *mail_refused = s->reply.code / 100 != 2;
    if (!*mail_refused)
        return read_rcpts(s);
    refuse_all(s, false, "MAIL FROM command");
    return skip_replies(s);
}

/* ---- the content ---- */

#define END_OF_DATA "sending end of data -- message may be sent more than once"

/* LMTP: a reply for each accepted recipient (RFC 2033 section 4.2); SMTP: one for all */
static int read_verdict(struct step *s, const char *doing)
{
    int64_t timeout = s->d->client->params->smtp_data_done_timeout;
    int r = 0;

    if (!s->d->client->lmtp || s->accepted == 0) {
        r = read_reply(s, END_OF_DATA, timeout);
        if (r == 0)
            take_verdict(s, NULL, doing);
    }
    for (uint32_t i = 0; r == 0 && s->d->client->lmtp && i < s->d->request.n_rcpt; i++) {
        struct delivery_rcpt *rcpt = &s->d->rcpts[i];
        if (!rcpt->in_turn || !rcpt->accepted)
            continue;
        r = read_reply(s, END_OF_DATA, timeout);
        if (r == 0)
            take_verdict(s, rcpt, doing);
    }
    return r < 0 ? broken(s, r) : 0;
}

/* The limit for sending the content: for each write, or with smtp_per_request_deadline for all of
 * it */
static void limit_content(struct step *s)
{
    const struct params *p = s->d->client->params;
    int64_t slowest_s = (int64_t)s->d->request.content_size / p->smtp_min_data_rate;

    stream_set_deadline(s->k->stream,
                        p->smtp_per_request_deadline
                            ? clock_deadline_ms((p->smtp_data_xfer_timeout + slowest_s) * 1000)
                            : CLOCK_NEVER);
    stream_set_timeout(s->k->stream, p->smtp_data_xfer_timeout * 1000);
}

/* r: of writing the content. The file may have failed, or the connection. 0 or negative. */
static int content_sent(struct step *s, int r)
{
    struct stream *st = s->k->stream;

    stream_set_timeout(st, 0);
    if (r < 0 && stream_error(st) == 0) {
        failure_set(&s->why, false, "4.3.0", "message content cannot be prepared: %s",
                    strerror(-r));
        stream_fail(st, r);
        return broken(s, r);
    }
    if (stream_error(st) < 0) {
        connection_lost(s->k, "sending message body", stream_error(st), &s->why);
        return broken(s, stream_error(st));
    }
    return 0;
}

/* A PIX firewall that gets ".\r\n" in two packets hangs: the end goes out by itself, later
 * (smtp_pix_workarounds). */
static void delay_end(struct step *s)
{
    const struct params *p = s->d->client->params;
    int64_t age_s = (clock_real_us() - (int64_t)s->d->request.arrival_us) / 1000000;

    if (!(s->k->pix & PIX_DELAY_DOTCRLF) || age_s <= p->smtp_pix_workaround_threshold_time)
        return;
    stream_flush(s->k->stream);
    fiber_sleep_until(clock_deadline_ms(p->smtp_pix_workaround_delay_time * 1000));
}

/* After 354: the content, or nothing when no recipient is left. 0, or the connection is broken. */
static int send_data(struct step *s)
{
    bool ends_line = true;
    int r = 0;

    limit_content(s);
    if (s->accepted > 0)
        r = content_send(s->d, s->k, &ends_line);
    if (r == 0) {
        delay_end(s);
        stream_puts(s->k->stream, ends_line ? ".\r\n" : "\r\n.\r\n");
        stream_flush(s->k->stream);
    }
    r = content_sent(s, r);
    return r < 0 ? r : read_verdict(s, "end of DATA command");
}

static int send_chunk(struct step *s)
{
    const struct deliver *m = &s->d->request;
    struct stream *st = s->k->stream;

    limit_content(s);
    stream_printf(st, "BDAT %llu LAST\r\n", (unsigned long long)m->content_size);
    int r = stream_sendfile(st, s->d->fd, (off_t)m->content_offset, m->content_size);
    if (r == 0)
        r = stream_flush(st);
    r = content_sent(s, r);
    return r < 0 ? r : read_verdict(s, "BDAT command");
}

/* The reply to a DATA command that was sent, and what follows from it */
static int converse_data(struct step *s)
{
    int r = read_reply(s, "sending DATA command", s->d->client->params->smtp_data_init_timeout);

    if (r < 0)
        return broken(s, r);
    if (s->reply.code / 100 == 3)
        return send_data(s);
    refuse_all(s, true, "DATA command");
    s->k->needs_reset = true;
    return 0;
}

/* ---- one transaction ---- */

/* Decide how the content goes out. 0 or -errno of the file. */
static int plan(struct step *s)
{
    bool chunking = s->k->ehlo.features & FEATURE_CHUNKING && !(s->k->pix);
    const struct deliver *m = &s->d->request;
    int r = 0;

    s->early = chunking && s->pipelining && m->content_size <= CONTENT_SMALL;
    if (s->early && s->small.len == 0)
        r = content_load(s->d, s->k, &s->small);
    /* DATA takes everything; BDAT of a large message only what needs no change. */
    if (!s->early && !(chunking && content_goes_as_it_is(s->d, s->k)))
        s->k->ehlo.features &= ~(unsigned)FEATURE_CHUNKING;
    return r;
}

static int converse(struct step *s, struct span sender)
{
    bool mail_refused = false;
    int r = envelope(s, sender, &mail_refused);

    if (r < 0)
        return broken(s, r);
    if (s->data_sent && s->early)
        return read_verdict(s, "BDAT command");
    if (s->data_sent)
        return converse_data(s);
    if (s->accepted == 0) {
        s->k->needs_reset = !mail_refused;
        return 0;
    }
    if (s->k->ehlo.features & FEATURE_CHUNKING)
        return send_chunk(s);
    stream_puts(s->k->stream, "DATA\r\n");
    return converse_data(s);
}

static int file_failed(struct step *s, int r)
{
    failure_set(&s->why, false, "4.3.0", "message content cannot be prepared: %s", strerror(-r));
    return broken(s, r);
}

static int transact(struct step *s)
{
    _cleanup_(str_free) struct str sender = STR_INIT;
    unsigned features = s->k->ehlo.features;
    int r = envelope_path(s->k, str_span(&s->d->request.sender), &sender);

    if (r < 0) {
        explain_path(s, r);
        all_result(s, outcome_of(&s->why), s->why.dsn, str_span(&s->why.text), r == -EINVAL);
        return 0;
    }
    r = plan(s);
    if (r < 0)
        return file_failed(s, r);
    s->data_sent = false;
    s->put = s->ahead = 0;
    s->accepted = 0;
    r = converse(s, str_span(&sender));
    s->k->ehlo.features = features;
    return s->closing && r == 0 ? -EPIPE : r;
}

int transfer(struct delivery *d, struct connection *k)
{
    struct step s = { .d = d, .k = k, .pipelining = k->ehlo.features & FEATURE_PIPELINING };
    int r = 0;

    for (uint32_t i = 0; i < d->request.n_rcpt; i++)
        d->rcpts[i].asked = false;
    k->uses++;
    if (acceptable(&s))
        while (r == 0 && choose_recipients(&s) > 0)
            r = transact(&s);
    str_free(&s.reply.text);
    str_free(&s.why.text);
    str_free(&s.small);
    return r;
}
