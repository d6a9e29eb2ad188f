/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restrict_action.c - the right-hand sides of access(5) tables, and the answers of policy services
 *
 * An action permits, refuses, logs, or asks something of the message that cleanup or qmgr
 * will do; else it is a list of restrictions. What a table says wrongly is warned of
 * and passed over, unless it might have been a refusal: that is a 451.
 *
 * Runs in: smtpd (values are the administrator's). Logs actions, and values that are no action.
 */
#include "base/chars.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/own.h"
#include "mail/address.h"
#include "mail/route.h"
#include "smtpd/reply.h"
#include "smtpd/restrict_internal.h"

#define TEXT_MAX 512 /* bytes of an action's text in a reply or a header */

/* An action that is being done. */
struct doing {
    const char *source;             /* the table's name, for warnings */
    const char *name;               /* "HOLD" */
    struct span text;               /* what follows the name */
    const struct subject *about;
};

/* ---- replies ---- */

/* "7.2 " of "5.7.2 text", else the default; what follows is the text */
static void split_detail(struct span *text, const char *otherwise, char ret[static 16])
{
    struct span rest = *text, detail, part;
    uint32_t n;

    snprintf(ret, 16, "%s", otherwise);

    struct span word = span_cut(&rest, ' ');

    if (word.len < 5 || word.len > 9 || !strchr("245", word.ptr[0]) || word.ptr[1] != '.')
        return;
    detail = part = span_from(word, 2);
    if (span_u32(span_cut(&part, '.'), 999, &n) < 0 || span_u32(part, 999, &n) < 0)
        return;
    snprintf(ret, 16, SPAN_FMT, SPAN_ARG(detail));
    *text = span_skip_ws(rest);
}

/* The reply of an action that refuses, with its own text or a default one */
static void compose(const struct doing *a, int64_t code, const char *detail, const char *otherwise,
                    struct str *ret)
{
    _cleanup_(str_free) struct str why = STR_INIT;
    struct span text = a->text;
    char given[16];

    split_detail(&text, detail, given);
    if (text.len > 0)
        str_add_escaped(&why, text, TEXT_MAX, STR_UTF8);
    else
        str_add_str(&why, otherwise);
    reply_text(ret, a->about, code, given, str_cstr(&why));
}

static enum verdict act_reject(struct smtpd *s, const struct doing *a)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    compose(a, s->sv->params->access_map_reject_code, "7.1", "Access denied", &text);
    return restrict_refuse_text(s, str_span(&text));
}

static enum verdict act_defer(struct smtpd *s, const struct doing *a)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    compose(a, s->sv->params->access_map_defer_code, "7.1", "Access denied", &text);
    return restrict_refuse_text(s, str_span(&text));
}

static enum verdict act_defer_if_permit(struct smtpd *s, const struct doing *a)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    compose(a, s->sv->params->access_map_defer_code, "7.1", "Service unavailable", &text);
    return restrict_defer_if_permit(s, str_span(&text));
}

static enum verdict act_defer_if_reject(struct smtpd *s, const struct doing *a)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    compose(a, s->sv->params->access_map_defer_code, "7.1", "Service unavailable", &text);
    return restrict_defer_if_reject(s, str_span(&text));
}

static enum verdict act_permit(struct smtpd *s, const struct doing *a)
{
    (void)s;
    (void)a;
    return VERDICT_PERMIT;
}

static enum verdict act_dunno(struct smtpd *s, const struct doing *a)
{
    (void)s;
    (void)a;
    return VERDICT_NONE;
}

static enum verdict act_hangup(struct smtpd *s, const struct doing *a)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    (void)a;
    str_add_escaped(&text, a->text, TEXT_MAX, STR_UTF8);
    log_verdict(s, "hangup", str_span(&text));
    s->state = SMTP_CLOSED;
    return VERDICT_REFUSED;
}

/* ---- log lines ---- */

/* "<name>: Class WHAT": WHAT is the action's own text or `otherwise` */
static void log_action(struct smtpd *s, const struct doing *a, const char *verb,
                       const char *otherwise)
{
    _cleanup_(str_free) struct str line = STR_INIT;

    str_addf(&line, "<" SPAN_FMT ">: %s ", SPAN_ARG(a->about->name), a->about->class);
    if (otherwise)
        str_add_str(&line, otherwise);
    else
        str_add_escaped(&line, a->text, SHOWN_MAX, STR_UTF8);
    log_verdict(s, verb, str_span(&line));
}

static enum verdict log_text(struct smtpd *s, const struct doing *a, const char *verb)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    str_add_escaped(&text, a->text, SHOWN_MAX, STR_UTF8);
    log_verdict(s, verb, str_span(&text));
    return VERDICT_NONE;
}

static enum verdict act_warn(struct smtpd *s, const struct doing *a)
{
    return log_text(s, a, "warn");
}

static enum verdict act_info(struct smtpd *s, const struct doing *a)
{
    return log_text(s, a, "info");
}

/* ---- what cleanup and qmgr do ---- */

/* Can it still be asked of the message? There is none yet while the client or HELO is asked at
 * once, and the envelope of a large one is with cleanup before its end. */
static bool can_ask(const struct smtpd *s, const struct doing *a)
{
    enum stage stage = s->restrict_state.stage;
    bool too_early = stage <= STAGE_HELO && !s->sv->params->smtpd_delay_reject;
    bool too_late = stage == STAGE_END_OF_DATA && s->message.cleanup;

    if (too_early)
        log_warn("access table %s: with smtpd_delay_reject=no, action %s is always skipped in "
                 "client or helo "
                 "restrictions",
                 a->source, a->name);
    if (too_late)
        log_warn(
            "access table %s: action %s is skipped at END-OF-MESSAGE, for a message this large",
            a->source, a->name);
    return !too_early && !too_late;
}

static enum verdict wrong_text(const struct doing *a, const char *wanted)
{
    log_warn("access table %s: action %s requires %s", a->source, a->name, wanted);
    return VERDICT_NONE;
}

static void log_triggers(struct smtpd *s, const struct doing *a, const char *verb)
{
    _cleanup_(str_free) struct str what = STR_INIT;

    str_addf(&what, "triggers %s ", a->name);
    str_add_escaped(&what, a->text, SHOWN_MAX, STR_UTF8);
    log_action(s, a, verb, str_cstr(&what));
}

static enum verdict act_filter(struct smtpd *s, const struct doing *a)
{
    if (!can_ask(s, a))
        return VERDICT_NONE;
    if (span_chr(a->text, ':') <= 0)
        return wrong_text(a, "transport:destination");
    log_triggers(s, a, "filter");
    str_set(&s->restrict_state.filter, a->text);
    return VERDICT_NONE;
}

static enum verdict act_hold(struct smtpd *s, const struct doing *a)
{
    if (!can_ask(s, a) || s->restrict_state.hold)
        return VERDICT_NONE;
    log_action(s, a, "hold", a->text.len > 0 ? NULL : "triggers HOLD action");
    s->restrict_state.hold = true;
    return VERDICT_NONE;
}

static enum verdict act_discard(struct smtpd *s, const struct doing *a)
{
    if (!can_ask(s, a))
        return VERDICT_NONE;
    log_action(s, a, "discard", a->text.len > 0 ? NULL : "triggers DISCARD action");
    s->restrict_state.discard = true;
    return VERDICT_PERMIT;
}

static bool is_address(struct span text)
{
    return span_chr(text, '@') > 0 && text.len <= ADDRESS_BYTES && span_chr(text, ' ') < 0 &&
           address_domain_valid(address_domain(text));
}

static enum verdict act_redirect(struct smtpd *s, const struct doing *a)
{
    if (!can_ask(s, a))
        return VERDICT_NONE;
    if (!is_address(a->text))
        return wrong_text(a, "user@domain");
    log_triggers(s, a, "redirect");
    str_set(&s->restrict_state.redirect, a->text);
    return VERDICT_NONE;
}

/* Several recipients of a message may ask for the same: once is enough */
static bool holds_line(const struct str *lines, struct span line, const char *end)
{
    struct span rest = str_span(lines);

    while (rest.len > 0) {
        ptrdiff_t at = span_find(rest, span_make(end, end[0] ? strlen(end) : 1));
        struct span first = span_first(rest, at < 0 ? rest.len : (size_t)at);

        if (span_eq(first, line))
            return true;
        rest = span_from(rest, first.len + (end[0] ? strlen(end) : 1));
    }
    return false;
}

static enum verdict act_bcc(struct smtpd *s, const struct doing *a)
{
    struct str *bcc = &s->restrict_state.bcc;

    if (!can_ask(s, a))
        return VERDICT_NONE;
    if (!is_address(a->text))
        return wrong_text(a, "user@domain");
    log_triggers(s, a, "bcc");
    if (!holds_line(bcc, a->text, "")) {
        str_add(bcc, a->text);
        str_add_char(bcc, '\0');
    }
    return VERDICT_NONE;
}

/* field-name ":"; RFC 5322 section 2.2 */
static bool is_header(struct span text)
{
    ptrdiff_t colon = span_chr(text, ':');

    for (ptrdiff_t i = 0; i < colon; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 127)
            return false;
    return colon > 0;
}

#define PREPEND_MAX 32768 /* bytes of all lines of a message */

static enum verdict act_prepend(struct smtpd *s, const struct doing *a)
{
    _cleanup_(str_free) struct str line = STR_INIT;
    struct str *prepend = &s->restrict_state.prepend;

    if (s->restrict_state.stage == STAGE_END_OF_DATA) {
        log_warn("access table %s: action PREPEND must be used before END-OF-MESSAGE", a->source);
        return VERDICT_NONE;
    }
    if (!can_ask(s, a))
        return VERDICT_NONE;
    if (!is_header(a->text))
        return wrong_text(a, "header: text");
    str_add_escaped(&line, a->text, 998, STR_UTF8); /* the longest line, RFC 5322 section 2.1.1 */
    if (prepend->len + line.len > PREPEND_MAX || holds_line(prepend, str_span(&line), "\r\n"))
        return VERDICT_NONE;
    log_triggers(s, a, "prepend");
    str_add(prepend, str_span(&line));
    str_add_str(prepend, "\r\n");
    return VERDICT_NONE;
}

/* ---- the table ---- */

static const struct action {
    const char *name;
    enum verdict (*run)(struct smtpd *s, const struct doing *a);
} actions[] = {
    { "OK",              act_permit          },
    { "RELAY",           act_permit          },
    { "DUNNO",           act_dunno           },
    { "REJECT",          act_reject          },
    { "DEFER",           act_defer           },
    { "DEFER_IF_PERMIT", act_defer_if_permit },
    { "DEFER_IF_REJECT", act_defer_if_reject },
    { "HANGUP",          act_hangup          },
    { "WARN",            act_warn            },
    { "INFO",            act_info            },
    { "FILTER",          act_filter          },
    { "HOLD",            act_hold            },
    { "DISCARD",         act_discard         },
    { "REDIRECT",        act_redirect        },
    { "BCC",             act_bcc             },
    { "PREPEND",         act_prepend         },
};

/* "450 text", "550 5.7.2 text": the reply itself */
static enum verdict act_code(struct smtpd *s, const struct doing *a, uint32_t code)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    compose(a, code, "7.1", "Access denied", &text);
    return restrict_refuse_text(s, str_span(&text));
}

/* The value is no action: it names restrictions, or is wrong */
static enum verdict act_list(struct smtpd *s, const char *source, struct span value,
                             const struct subject *about)
{
    _cleanup_(restrictions_done) struct restriction_list list = { 0 };
    _cleanup_(str_free) struct str err = STR_INIT;
    _cleanup_free_ char *text = mem_dup_span(value);

    if (restrictions_parse(&s->sv->restrictions, s->restrict_state.stage, text, &list, &err) == 0)
        return restrictions_run(s, &list);
    log_warn("access table %s: %s", source, str_cstr(&err));
    return restrict_config_error(s, about);
}

enum verdict access_act(struct smtpd *s, const char *source, struct span value,
                        const struct subject *about)
{
    struct span rest = span_trim(value);
    struct span word = span_cut_any(&rest, " \t");
    struct doing a = { source, "", span_skip_ws(rest), about };
    uint64_t number;

    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        if (span_eq_nocase_str(word, actions[i].name)) {
            a.name = actions[i].name;
            return actions[i].run(s, &a);
        }
    if (span_u64(word, UINT64_MAX, &number) == 0) {
        if (word.len == 3 && number >= 400 && number <= 599)
            return act_code(s, &a, (uint32_t)number);
        if (a.text.len == 0)
            return VERDICT_PERMIT; /* as pop-before-smtp tables have it */
    }
    return act_list(s, source, span_trim(value), about);
}
