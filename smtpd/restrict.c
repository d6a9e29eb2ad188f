/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restrict.c - asking restrictions: lists, stages, and what changes a refusal
 *
 * A list is asked in order until one permits or refuses. Three things stand
 * between a restriction and the client: warn_if_reject turns the next refusal
 * into a log line, defer_if_reject turns 5xx into 4xx, defer_if_permit turns a
 * permission at RCPT TO into 4xx. A failed lookup is never taken for an answer: it is a 4xx.
 *
 * Runs in: smtpd (names are the administrator's, what they test is hostile). Logs restrictions that
 * nest too deep.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/own.h"
#include "smtpd/reply.h"
#include "smtpd/restrict_internal.h"

#define NESTING_MAX 10 /* of classes within classes: they may name each other in a circle */

void restrict_state_reset(struct restrict_state *rs)
{
    rs->hold = rs->discard = false;
    rs->instance[0] = '\0';
    str_free(&rs->filter);
    str_free(&rs->redirect);
    str_free(&rs->prepend);
    str_free(&rs->bcc);
}

void restrict_state_done(struct restrict_state *rs)
{
    restrict_state_reset(rs);
    str_free(&rs->defer_if_reject);
    for (size_t i = 0; i < STAGES; i++)
        str_free(&rs->defer_if_permit[i]);
}

/* ---- whom a reply is about ---- */

struct subject subject_client(const struct smtpd *s)
{
    return (struct subject){ "Client host", span_of(s->namaddr) };
}

struct subject subject_helo(const struct smtpd *s)
{
    return (struct subject){ "Helo command", str_span(&s->helo) };
}

static struct subject subject_address(const char *class, const struct str *address,
                                      struct str *scratch)
{
    str_reset(scratch);
    show_address(scratch, str_span(address));
    return (struct subject){ class, span_of(str_cstr(scratch)) };
}

struct subject subject_sender(const struct smtpd *s, struct str *scratch)
{
    return subject_address("Sender address", &s->sender, scratch);
}

struct subject subject_rcpt(const struct smtpd *s, struct str *scratch)
{
    return subject_address("Recipient address", &s->rcpt, scratch);
}

struct subject subject_of_stage(const struct smtpd *s, struct str *scratch)
{
    switch (s->restrict_state.stage) {
    case STAGE_CLIENT:
        return subject_client(s);
    case STAGE_HELO:
        return subject_helo(s);
    case STAGE_SENDER:
        return subject_sender(s, scratch);
    case STAGE_DATA:
        return (struct subject){ "Data command", SPAN("DATA") };
    case STAGE_END_OF_DATA:
        return (struct subject){ "End-of-data", SPAN("END-OF-MESSAGE") };
    case STAGE_ETRN:
        return (struct subject){ "Etrn command", s->etrn };
    case STAGE_RELAY:
    case STAGE_RECIPIENT:
    case STAGES:
        break;
    }
    return subject_rcpt(s, scratch);
}

/* ---- refusing ---- */

void reply_text(struct str *ret, const struct subject *about, int64_t code, const char *detail,
                const char *why)
{
    str_addf(ret, "%d %d.%s ", (int)code, (int)code / 100, detail);
    if (about->name.ptr)
        str_addf(ret, "<" SPAN_FMT ">: ", SPAN_ARG(about->name));
    str_addf(ret, "%s rejected: %s", about->class, why);
}

enum verdict restrict_refuse_text(struct smtpd *s, struct span text)
{
    struct restrict_state *rs = &s->restrict_state;

    if (rs->warn) {
        log_verdict(s, "reject_warning", text);
        return VERDICT_NONE;
    }
    if (text.len > 0 && text.ptr[0] == '5' && rs->defer_if_reject.len > 0)
        text = str_span(&rs->defer_if_reject);
    refuse(s, s->where, SPAN_FMT, SPAN_ARG(text));
    if (span_starts(text, (struct span)SPAN("421")) || span_starts(text, (struct span)SPAN("521")))
        s->state = SMTP_CLOSED;
    return VERDICT_REFUSED;
}

enum verdict restrict_refuse(struct smtpd *s, const struct subject *about, int64_t code,
                             const char *detail, const char *why)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    reply_text(&text, about, code, detail, why);
    return restrict_refuse_text(s, str_span(&text));
}

enum verdict restrict_defer_if_permit(struct smtpd *s, struct span text)
{
    struct restrict_state *rs = &s->restrict_state;

    if (rs->warn)
        return restrict_refuse_text(s, text);
    if (rs->defer_if_permit[rs->stage].len == 0)
        str_set(&rs->defer_if_permit[rs->stage], text);
    return VERDICT_NONE;
}

enum verdict restrict_tempfail(struct smtpd *s, const char *action, struct span text)
{
    if (span_eq_nocase_str(span_of(action), "defer"))
        return restrict_refuse_text(s, text);
    return restrict_defer_if_permit(s, text);
}

enum verdict restrict_defer_if_reject(struct smtpd *s, struct span text)
{
    struct restrict_state *rs = &s->restrict_state;

    if (rs->warn)
        return restrict_refuse_text(s, text);
    if (rs->defer_if_reject.len == 0)
        str_set(&rs->defer_if_reject, text);
    return VERDICT_NONE;
}

static enum verdict refuse_451(struct smtpd *s, const struct subject *about, const char *code,
                               const char *why)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    str_addf(&text, "451 %s ", code);
    if (about->name.ptr)
        str_addf(&text, "<" SPAN_FMT ">: ", SPAN_ARG(about->name));
    str_add_str(&text, why);
    return restrict_refuse_text(s, str_span(&text));
}

enum verdict restrict_lookup_failed(struct smtpd *s, const struct subject *about)
{
    return refuse_451(s, about, "4.3.0", "Temporary lookup failure");
}

enum verdict restrict_config_error(struct smtpd *s, const struct subject *about)
{
    return refuse_451(s, about, "4.3.5", "Server configuration error");
}

/* ---- restrictions that ask nothing ---- */

enum verdict ask_permit(struct smtpd *s, const struct restriction_item *item)
{
    (void)s;
    (void)item;
    return VERDICT_PERMIT;
}

enum verdict ask_reject(struct smtpd *s, const struct restriction_item *item)
{
    _cleanup_(str_free) struct str scratch = STR_INIT;
    struct subject about = subject_of_stage(s, &scratch);

    (void)item;
    return restrict_refuse(s, &about, s->sv->params->reject_code, "7.1", "Access denied");
}

enum verdict ask_defer(struct smtpd *s, const struct restriction_item *item)
{
    _cleanup_(str_free) struct str scratch = STR_INIT;
    struct subject about = subject_of_stage(s, &scratch);

    (void)item;
    return restrict_refuse(s, &about, s->sv->params->defer_code, "3.2", "Try again later");
}

enum verdict ask_defer_if_permit(struct smtpd *s, const struct restriction_item *item)
{
    _cleanup_(str_free) struct str scratch = STR_INIT;
    _cleanup_(str_free) struct str text = STR_INIT;
    struct subject about = subject_of_stage(s, &scratch);

    (void)item;
    reply_text(&text, &about, 450, "7.0", "defer_if_permit requested");
    return restrict_defer_if_permit(s, str_span(&text));
}

enum verdict ask_defer_if_reject(struct smtpd *s, const struct restriction_item *item)
{
    _cleanup_(str_free) struct str scratch = STR_INIT;
    _cleanup_(str_free) struct str text = STR_INIT;
    struct subject about = subject_of_stage(s, &scratch);

    (void)item;
    reply_text(&text, &about, 450, "7.0", "defer_if_reject requested");
    return restrict_defer_if_reject(s, str_span(&text));
}

enum verdict ask_warn_if_reject(struct smtpd *s, const struct restriction_item *item)
{
    (void)item;
    s->restrict_state.warn = true;
    return VERDICT_NONE;
}

enum verdict ask_sleep(struct smtpd *s, const struct restriction_item *item)
{
    if (item->seconds > 0) {
        stream_flush(s->client);
        fiber_sleep_until(clock_deadline_ms(item->seconds * 1000));
    }
    return VERDICT_NONE;
}

enum verdict ask_class(struct smtpd *s, const struct restriction_item *item)
{
    return restrictions_run(s, item->class);
}

/* ---- lists ---- */

static bool is_known(const struct smtpd *s, enum need need)
{
    switch (need) {
    case NEEDS_NOTHING:
        return true;
    case NEEDS_HELO:
        return s->helo.len > 0;
    case NEEDS_SENDER:
        return s->state & (SMTP_MAIL | SMTP_RCPT | SMTP_BDAT);
    case NEEDS_RCPT:
        return s->rcpt.len > 0;
    case NEEDS_ETRN:
        return s->etrn.len > 0;
    }
    return false;
}

static enum verdict too_deep(struct smtpd *s)
{
    _cleanup_(str_free) struct str scratch = STR_INIT;
    struct subject about = subject_of_stage(s, &scratch);

    log_warn(
        "restrictions nest deeper than %d: does a class of smtpd_restriction_classes name itself?",
        NESTING_MAX);
    return restrict_config_error(s, &about);
}

enum verdict restrictions_run(struct smtpd *s, const struct restriction_list *l)
{
    struct restrict_state *rs = &s->restrict_state;
    enum verdict v = VERDICT_NONE;
    bool warn = rs->warn; /* of the class as a whole */

    if (rs->depth == NESTING_MAX)
        return too_deep(s);
    rs->depth++;
    for (size_t i = 0; v == VERDICT_NONE && i < l->len; i++) {
        const struct restriction *what = l->items[i].what;

        if (is_known(s, what->need))
            v = what->ask(s, &l->items[i]);
        if (what->ask != ask_warn_if_reject)
            rs->warn = warn;
    }
    rs->depth--;
    return v;
}

/* ---- stages ---- */

static enum verdict run_stage(struct smtpd *s, enum stage stage)
{
    struct restrict_state *rs = &s->restrict_state;

    str_reset(&rs->defer_if_permit[stage]);
    str_reset(&rs->defer_if_reject);
    rs->stage = stage;
    return restrictions_run(s, &s->sv->restrictions.stages[stage]);
}

/* Nothing has refused: a deferral that one of these stages asked for comes into force */
static enum verdict settle(struct smtpd *s, enum stage from, enum stage to)
{
    for (enum stage i = from; i <= to; i++) {
        struct str *text = &s->restrict_state.defer_if_permit[i];

        if (text->len > 0)
            return refuse(s, s->where, SPAN_FMT, SPAN_ARG(str_span(text)));
    }
    return VERDICT_NONE;
}

static enum verdict run_sender(struct smtpd *s)
{
    enum verdict v = run_stage(s, STAGE_SENDER);

    if (v != VERDICT_REFUSED && s->sv->params->smtpd_reject_unlisted_sender &&
        is_known(s, NEEDS_SENDER))
        v = ask_unlisted_sender(s, NULL);
    return v;
}

enum verdict restrict_connect(struct smtpd *s)
{
    return s->sv->params->smtpd_delay_reject ? VERDICT_NONE : run_stage(s, STAGE_CLIENT);
}

enum verdict restrict_helo(struct smtpd *s)
{
    return s->sv->params->smtpd_delay_reject ? VERDICT_NONE : run_stage(s, STAGE_HELO);
}

enum verdict restrict_mail(struct smtpd *s)
{
    return s->sv->params->smtpd_delay_reject ? VERDICT_NONE : run_sender(s);
}

static enum verdict run_delayed(struct smtpd *s)
{
    enum verdict v = run_stage(s, STAGE_CLIENT);

    if (v != VERDICT_REFUSED)
        v = run_stage(s, STAGE_HELO);
    if (v != VERDICT_REFUSED)
        v = run_sender(s);
    return v;
}

enum verdict restrict_rcpt(struct smtpd *s)
{
    bool relay_first = s->sv->params->smtpd_relay_before_recipient_restrictions;

    if (restrict_is_probe_sender(s))
        return VERDICT_PERMIT;

    enum verdict v = s->sv->params->smtpd_delay_reject ? run_delayed(s) : VERDICT_NONE;

    if (v != VERDICT_REFUSED)
        v = run_stage(s, relay_first ? STAGE_RELAY : STAGE_RECIPIENT);
    if (v != VERDICT_REFUSED)
        v = run_stage(s, relay_first ? STAGE_RECIPIENT : STAGE_RELAY);
    if (v != VERDICT_REFUSED)
        v = settle(s, STAGE_CLIENT, STAGE_RECIPIENT);
    if (v != VERDICT_REFUSED && s->sv->params->smtpd_reject_unlisted_recipient)
        v = ask_unlisted_rcpt(s, NULL);
    return v;
}

/* The recipient is told to a list that is asked once a message if there is only one */
static enum verdict run_for_message(struct smtpd *s, enum stage stage)
{
    if (s->sv->restrictions.stages[stage].len == 0)
        return VERDICT_NONE;
    if (s->n_rcpts == 1)
        str_set(&s->rcpt, span_of(s->rcpts[0].address));

    enum verdict v = run_stage(s, stage);

    if (v != VERDICT_REFUSED)
        v = settle(s, stage, stage);
    str_reset(&s->rcpt);
    return v;
}

enum verdict restrict_data(struct smtpd *s)
{
    return run_for_message(s, STAGE_DATA);
}

enum verdict restrict_end_of_data(struct smtpd *s)
{
    return run_for_message(s, STAGE_END_OF_DATA);
}

enum verdict restrict_etrn(struct smtpd *s)
{
    bool delayed = s->sv->params->smtpd_delay_reject;
    enum verdict v = delayed ? run_stage(s, STAGE_CLIENT) : VERDICT_NONE;

    if (v != VERDICT_REFUSED && delayed)
        v = run_stage(s, STAGE_HELO);
    if (v != VERDICT_REFUSED)
        v = run_stage(s, STAGE_ETRN);
    if (v != VERDICT_REFUSED && delayed)
        v = settle(s, STAGE_CLIENT, STAGE_HELO);
    if (v != VERDICT_REFUSED)
        v = settle(s, STAGE_ETRN, STAGE_ETRN);
    return v;
}
