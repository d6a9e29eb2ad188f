/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect.c - header_checks and body_checks: what the administrator's tables say of a message's lines
 *
 * Whose field it is decides which table is asked (header_checks(5)); the body is looked at line by line, in each
 * part up to body_checks_size_limit bytes. What a table wants of the envelope is
 * done when the file is written, so a message with body checks is kept aside until its end.
 *
 * Runs in: cleanup. Content is hostile, tables are not. Logs "reject: header ..." and its like.
 */
#include "cleanup/inspect.h"

#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "cleanup/cleanup.h"
#include "cleanup/describe.h"
#include "mail/address.h"
#include "mail/checks.h"

#define SHOWN_MAX 200 /* bytes of a line in the log */

int inspect_open(const struct params *p, struct inspect_tables *ret, struct str *err)
{
    const struct maps_setting tables[] = {
        { "header_checks", p->header_checks, &ret->header },
        { "mime_header_checks", p->mime_header_checks, &ret->mime_header },
        { "nested_header_checks", p->nested_header_checks, &ret->nested_header },
        { "body_checks", p->body_checks, &ret->body },
        { "milter_header_checks", p->milter_header_checks, &ret->milter_header },
    };

    return maps_open_settings(tables, ARRAY_LEN(tables), err);
}

/* ---- what is done with a line ---- */

struct doing {
    struct message *m;
    const char *where;      /* "header", "body" */
    struct span line;
    const struct check_result *c;
    struct str *out;
};

/* "<id>: reject: header Subject: x from a[b]; from=<> to=<> proto=ESMTP helo=<x>: 5.7.1 text" */
static void log_action(const struct doing *d, struct span text)
{
    _cleanup_(str_free) struct str line = STR_INIT;

    str_addf(&line, "%s: %s: %s ", d->m->env.id, d->c->name, d->where);
    str_add_escaped(&line, span_trim(d->line), SHOWN_MAX, STR_UTF8);
    str_add_str(&line, " from ");
    describe_client(d->m, &line);
    str_add_char(&line, ';');
    describe_envelope(d->m, &line);
    if (text.len > 0) {
        str_add_str(&line, ": ");
        str_add_escaped(&line, text, SHOWN_MAX, STR_UTF8);
    }
    log_info("%s", str_cstr(&line));
}

static bool ignore(const struct doing *d, const char *wanted)
{
    log_warn("%s: %s_checks: %s action needs %s", d->m->env.id, d->where, d->c->name, wanted);
    return true;
}

/* "5.7.9 text", or text that gets 5.7.1 */
static bool reject(const struct doing *d)
{
    _cleanup_(str_free) struct str reply = STR_INIT, plain = STR_INIT;
    struct span text = d->c->text.len > 0 ? d->c->text : span_of("message content rejected");
    bool temporary = span_starts(text, span_of("4."));
    struct span said;

    str_addf(&plain, "%s ", temporary ? "451" : "550");
    str_add(&plain, text);
    if (milter_reply_text(str_span(&plain), sizeof(d->m->result.reply) - 1, &reply) < 0)
        return true; /* cannot be: it begins with a code */
    said = span_from(str_span(&reply), 4);
    log_action(d, said);

    struct span dsn = span_cut(&said, ' ');
    _cleanup_free_ char *code = mem_dup_span(dsn);
    _cleanup_free_ char *why = mem_dup_span(said);

    message_fail(d->m, temporary ? SUBMIT_TEMPORARY : SUBMIT_PERMANENT, code, why);
    snprintf(d->m->result.reply, sizeof(d->m->result.reply), SPAN_FMT, SPAN_ARG(str_span(&reply)));
    return false;
}

static bool is_address(struct span text)
{
    return span_chr(text, '@') > 0 && text.len <= SUBMIT_ADDRESS_MAX && span_chr(text, ' ') < 0;
}

static bool add_bcc(const struct doing *d)
{
    _cleanup_(submit_rcpt_msg_done) struct submit_rcpt rcpt = { .dsn_notify = DSN_NEVER };

    if (!is_address(d->c->text))
        return ignore(d, "user@domain");
    log_action(d, d->c->text);
    str_add(&rcpt.address, d->c->text);
    message_add_expanded(d->m, &rcpt);
    return true;
}

static bool redirect(const struct doing *d)
{
    if (!is_address(d->c->text))
        return ignore(d, "user@domain");
    log_action(d, d->c->text);
    str_set(&d->m->redirect, d->c->text);
    return true;
}

static bool set_filter(const struct doing *d)
{
    if (span_chr(d->c->text, ':') <= 0)
        return ignore(d, "transport:destination");
    log_action(d, d->c->text);
    str_set(&d->m->submit.content_filter, d->c->text);
    d->m->env.content_filter = (char *)str_cstr(&d->m->submit.content_filter);
    return true;
}

static void add_line(const struct doing *d, struct span text)
{
    str_add(d->out, text);
    str_add_str(d->out, "\r\n");
}

static bool prepend(const struct doing *d)
{
    if (d->c->text.len == 0)
        return ignore(d, "text");
    log_action(d, d->c->text);
    add_line(d, d->c->text);
    return true;
}

static bool replace(const struct doing *d)
{
    if (d->c->text.len == 0)
        return ignore(d, "text");
    log_action(d, d->c->text);
    add_line(d, d->c->text);
    return false;
}

static bool ask_of_message(const struct doing *d, unsigned flag)
{
    log_action(d, d->c->text);
    d->m->submit.flags |= flag;
    return true;
}

/* Do it; true: the line itself is let through. */
static bool act(const struct doing *d)
{
    switch (d->c->action) {
    case CHECK_NONE:
        return true;
    case CHECK_BCC:
        return add_bcc(d);
    case CHECK_DISCARD:
        return ask_of_message(d, SUBMIT_DISCARD);
    case CHECK_FILTER:
        return set_filter(d);
    case CHECK_HOLD:
        return ask_of_message(d, SUBMIT_HOLD);
    case CHECK_IGNORE:
        return false;
    case CHECK_INFO:
    case CHECK_WARN:
    case CHECK_PASS:
        log_action(d, d->c->text);
        return true;
    case CHECK_PREPEND:
        return prepend(d);
    case CHECK_REDIRECT:
        return redirect(d);
    case CHECK_REJECT:
        return reject(d);
    case CHECK_REPLACE:
        return replace(d);
    case CHECK_STRIP:
        log_action(d, d->c->text);
        return false;
    }
    return true;
}

/* Look a line up, and do what is said; the line itself goes to out if it is let through. The action, for who cares. */
static enum check_action inspect_line(struct message *m, struct maps *maps, const char *where, struct span line,
                                      struct str *out)
{
    _cleanup_(check_result_done) struct check_result c = { .action = CHECK_NONE };
    const struct doing d = { m, where, line, &c, out };
    int r = maps ? check_text(maps, line, &c) : 0;

    if (r == -EINVAL) {
        log_warn("%s: unknown command in %s_checks map: %s", m->env.id, where, str_cstr(&c.value));
    } else if (r < 0) {
        log_warn_errno(r, "%s: %s_checks map lookup problem -- message not accepted, try again later", m->env.id,
                       where);
        message_fail(m, SUBMIT_TEMPORARY, "4.3.0", "Error: table lookup problem");
    }
    if (r < 0 || act(&d))
        str_add(out, line);
    return c.action;
}

/* ---- the pass ---- */

static bool is_over(const struct inspect *in)
{
    return in->over || message_failed(in->message) || in->message->submit.flags & SUBMIT_DISCARD;
}

static void on_field(void *arg, enum mime_walk_class class, struct span raw)
{
    struct inspect *in = arg;
    const struct inspect_tables *t = &in->message->c->checks;
    const struct {
        struct maps *maps;
        const char *where;
    } checks[] = {
        [MIME_WALK_PRIMARY] = { t->header, "header" },
        [MIME_WALK_MIME] = { t->mime_header, "mime_header" },
        [MIME_WALK_NESTED] = { t->nested_header, "nested_header" },
    };

    if (class == MIME_WALK_OVERLONG || is_over(in))
        str_add(&in->out, raw);
    else if (inspect_line(in->message, checks[class].maps, checks[class].where, raw, &in->out) == CHECK_PASS)
        in->over = true;
}

static void begin_segment(struct inspect *in)
{
    in->body_left = (uint64_t)in->message->c->params->body_checks_size_limit;
}

static void on_end_header(void *arg, const struct mime_walk_entity *entity, struct span empty_line)
{
    struct inspect *in = arg;

    (void)entity;
    begin_segment(in);
    str_add(&in->out, empty_line);
}

static void on_body(void *arg, struct span line)
{
    struct inspect *in = arg;

    if (is_over(in) || in->body_left == 0) {
        str_add(&in->out, line);
        return;
    }
    in->body_left -= line.len < in->body_left ? line.len : in->body_left;
    if (inspect_line(in->message, in->message->c->checks.body, "body", line, &in->out) == CHECK_PASS)
        in->over = true;
}

static void on_delimiter(void *arg, struct span line)
{
    struct inspect *in = arg;

    begin_segment(in);
    str_add(&in->out, line);
}

void inspect_begin(struct message *m)
{
    static const struct mime_walk_events events = { on_field, on_end_header, on_body, on_delimiter };
    const struct inspect_tables *t = &m->c->checks;
    bool internal = m->submit.origin == SUBMIT_INTERNAL && !(m->submit.flags & SUBMIT_FILTER);

    if (internal || (!t->header && !t->mime_header && !t->nested_header && !t->body))
        return;
    m->inspect = mem_new(struct inspect);
    m->inspect->message = m;
    mime_walk_init(&m->inspect->walk, &events, m->inspect);
    if (t->body)
        filter_keep_aside(m);
}

void inspect_free(struct inspect *in)
{
    if (!in)
        return;
    mime_walk_done(&in->walk);
    str_free(&in->out);
    free(in);
}

struct span inspect_feed(struct inspect *in, struct span bytes)
{
    str_reset(&in->out);
    mime_walk_feed(&in->walk, bytes);
    return str_span(&in->out);
}

struct span inspect_finish(struct inspect *in)
{
    str_reset(&in->out);
    mime_walk_finish(&in->walk);
    return str_span(&in->out);
}

void inspect_field(struct message *m, enum inspect_whose whose, struct span raw, struct str *ret)
{
    if (whose == INSPECT_FILTERS_FIELD)
        inspect_line(m, m->c->checks.milter_header, "milter_header", raw, ret);
    else
        inspect_line(m, m->inspect ? m->c->checks.header : NULL, "header", raw, ret);
}
