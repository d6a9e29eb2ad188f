/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter.c - what mail filters (milters) say of a session, up to the content
 *
 * Which answer has which consequence is Sendmail's, which filters are written for: what is refused at CONNECT or
 * HELO is refused from MAIL on, with the same reply. A recipient that our own rules refuse is told only
 * to filters that asked for it.
 *
 * Runs in: smtpd (the client is hostile; filters are mistrusted). Logs "milter-reject" and its like, and filters
 * that fail.
 */
#include "smtpd/filter.h"

#include "base/log.h"
#include "base/mem.h"
#include "mail/address.h"
#include "milter/milter.h"
#include "smtpd/filter_macro.h"
#include "smtpd/reply.h"
#include "table/lines.h"

#define ARGS_MAX 20 /* an address and ESMTP parameters */

int filter_start(struct service *sv)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    const struct params *p = sv->params;
    conf_blame("smtpd_milters", &err);
    int r = milter_list_parse(p, p->smtpd_milters, MILTER_BY_NAME, &sv->milters, &err);
    if (r == 0) {
        str_reset(&err);
        r = maps_open_named("smtpd_milter_maps", p->smtpd_milter_maps, &sv->milter_maps, &err);
    }
    if (r < 0)
        log_error("%s", str_cstr(&err));
    return r;
}

/* ---- answers ---- */

/* Several lines for the log: on one */
static void log_refusal(struct smtpd *s, const char *reply_text)
{
    _cleanup_(str_free) struct str line = STR_INIT;
    struct span rest = span_of(reply_text);

    while (rest.len > 0) {
        struct span part = span_trim(span_cut(&rest, '\n'));

        str_addf(&line, "%s" SPAN_FMT, line.len > 0 ? "; " : "", SPAN_ARG(part));
    }
    log_verdict(s, "milter-reject", str_span(&line));
}

static enum verdict refuse_with(struct smtpd *s, const char *text)
{
    log_refusal(s, text);
    reply(s, "%s", text);
    if (strncmp(text, "421", 3) == 0 || strncmp(text, "521", 3) == 0)
        s->state = SMTP_CLOSED;
    return VERDICT_REFUSED;
}

static enum verdict close_session(struct smtpd *s)
{
    char text[320];

    snprintf(text, sizeof(text), "421 4.7.0 %s Server closing connection", s->sv->params->myhostname);
    return refuse_with(s, text);
}

/* What is asked of the message is remembered; a refusal is logged and answered. */
static enum verdict obey(struct smtpd *s, enum milter_verdict v, struct str *text)
{
    switch (v) {
    case MILTER_PASS:
        break;
    case MILTER_HOLD:
        if (!s->restrict_state.hold)
            log_verdict(s, "milter-hold", span_of("milter triggers HOLD action"));
        s->restrict_state.hold = true;
        break;
    case MILTER_DISCARD:
        log_verdict(s, "milter-discard", span_of("milter triggers DISCARD action"));
        s->restrict_state.discard = true;
        break;
    case MILTER_REFUSE:
        return refuse_with(s, str_cstr(text));
    case MILTER_CLOSE:
        return close_session(s);
    }
    return VERDICT_NONE;
}

/* What will be thrown away is shown to no filter. */
static bool is_on(const struct smtpd *s)
{
    return s->milters && !s->restrict_state.discard;
}

/* ---- the session ---- */

static void warn(void *arg, const char *text)
{
    (void)arg;
    log_warn("%s", text);
}

/* smtpd_milter_maps: the filters of this client. False: none; *ret stays when the table does not know it. */
static bool choose(struct smtpd *s, const struct milter_list **ret)
{
    _cleanup_(str_free) struct str value = STR_INIT, err = STR_INIT;
    int r = maps_get(s->sv->milter_maps, span_of(s->addr), &value);

    if (r < 0)
        log_warn("%s: smtpd_milter_maps lookup error; smtpd_milters holds", s->addr);
    if (r <= 0)
        return true;
    if (span_eq_nocase_str(span_trim(str_span(&value)), "DISABLE"))
        return false;
    s->own_milters = mem_new(struct milter_list);
    if (milter_list_parse(s->sv->params, str_cstr(&value), MILTER_BY_ADDRESS, s->own_milters, &err) < 0) {
        log_warn("smtpd_milter_maps: %s: %s; smtpd_milters holds", s->addr, str_cstr(&err));
        return true;
    }
    *ret = s->own_milters;
    return true;
}

enum verdict filter_connect(struct smtpd *s)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    const struct milter_list *list = &s->sv->milters;
    const struct milter_host host = { s->sv->params, filter_macro, warn, s };

    if (!choose(s, &list) || list->len == 0)
        return VERDICT_NONE;

    struct milter_client client = { str_span(&s->name), span_of(s->addr), s->port, false };

    s->milters = milters_new(list, &host);

    enum milter_verdict v = milters_connect(s->milters, &client, &text);

    if (v == MILTER_CLOSE || strncmp(str_cstr(&text), "421", 3) == 0)
        return obey(s, v, &text);
    if (v == MILTER_REFUSE)
        log_refusal(s, str_cstr(&text)); /* and every command that matters is refused with it */
    return VERDICT_NONE;
}

void filter_helo(struct smtpd *s)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    if (!is_on(s))
        return;

    enum milter_verdict v = milters_helo(s->milters, str_span(&s->helo), &text);

    if (v == MILTER_REFUSE && strncmp(str_cstr(&text), "421", 3) != 0)
        log_refusal(s, str_cstr(&text));
    else if (v == MILTER_REFUSE || v == MILTER_CLOSE)
        obey(s, v, &text);
}

enum verdict filter_other(struct smtpd *s)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    return s->milters ? obey(s, milters_other(s->milters, &text), &text) : VERDICT_NONE;
}

enum verdict filter_unknown(struct smtpd *s, struct span line)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    return is_on(s) ? obey(s, milters_unknown(s->milters, line, &text), &text) : VERDICT_NONE;
}

/* ---- the envelope ---- */

/* The address as we have read it, in <>, and the parameters as they came */
static size_t split_args(struct span args, struct span address, struct str *path, struct span *ret)
{
    struct span rest = args, word;
    size_t n = 1;

    str_add_char(path, '<');
    address_quote(path, address);
    str_add_char(path, '>');
    ret[0] = str_span(path);
    /* Behind the path; a quoted local part may hold blanks and brackets, so the last bracket counts. */
    ptrdiff_t end = span_rchr(rest, '>');

    rest = end < 0 ? SPAN_NULL : span_from(rest, (size_t)end + 1);
    while (n < ARGS_MAX && span_word(&rest, " \t", &word))
        ret[n++] = word;
    return n;
}

enum verdict filter_mail(struct smtpd *s, struct span args)
{
    _cleanup_(str_free) struct str text = STR_INIT, path = STR_INIT;
    struct span list[ARGS_MAX];

    if (!is_on(s))
        return VERDICT_NONE;

    size_t n = split_args(args, str_span(&s->sender), &path, list);

    return obey(s, milters_mail(s->milters, list, n, &text), &text);
}

enum verdict filter_rcpt(struct smtpd *s, struct span args)
{
    _cleanup_(str_free) struct str text = STR_INIT, path = STR_INIT;
    struct span list[ARGS_MAX];

    if (!is_on(s))
        return VERDICT_NONE;

    size_t n = split_args(args, str_span(&s->rcpt), &path, list);

    return obey(s, milters_rcpt(s->milters, list, n, &text), &text);
}

void filter_rcpt_refused(struct smtpd *s, struct span args)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    struct span list[ARGS_MAX];

    if (!is_on(s) || !milters_want_refused(s->milters))
        return;

    size_t n = split_args(args, str_span(&s->rcpt), &path, list);

    s->rcpt_refused = true;
    milters_rcpt_refused(s->milters, list, n);
    s->rcpt_refused = false;
}

enum verdict filter_data(struct smtpd *s)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    return is_on(s) ? obey(s, milters_data(s->milters, &text), &text) : VERDICT_NONE;
}

/* ---- the content ---- */

uint32_t filter_count(const struct smtpd *s)
{
    return is_on(s) ? milters_to_lend(s->milters) : 0;
}

void filter_lend(struct smtpd *s, struct ipc *cleanup)
{
    if (is_on(s))
        milters_lend(s->milters, cleanup);
}

void filter_settle(struct smtpd *s, const char *states)
{
    if (s->milters)
        milters_settle(s->milters, states ? states : "");
}

/* ---- the end ---- */

void filter_abort(struct smtpd *s)
{
    if (s->milters)
        milters_abort(s->milters);
}

void filter_done(struct smtpd *s)
{
    milters_free(TAKE_PTR(s->milters));
    if (s->own_milters)
        milter_list_done(s->own_milters);
    free(TAKE_PTR(s->own_milters));
}
