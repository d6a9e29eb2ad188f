/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter.c - a message that mail filters see before it becomes a file
 *
 * smtpd has told its filters of the session and the envelope; here they see header and body, and their
 * verdict is answered. For mail that did not come by SMTP all of that is told here, as from localhost.
 *
 * Runs in: cleanup. Filters are mistrusted. Logs "milter-reject" and its like, and filters that fail.
 */
#include "cleanup/filter.h"

#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "cleanup/cleanup.h"
#include "cleanup/describe.h"
#include "cleanup/filter_edit.h"
#include "mail/address.h"

#define LOG_TEXT_MAX 256

int filter_start(struct cleanup *c, struct str *err)
{
    _cleanup_(str_free) struct str why = STR_INIT;
    int r = milter_list_parse(c->params, c->params->non_smtpd_milters, MILTER_BY_NAME, &c->milters, &why);

    if (r < 0) {
        conf_blame("non_smtpd_milters", err);
        str_add(err, str_span(&why));
    }
    return r;
}

/* ---- what filters are told ---- */

static struct span client_name(const struct message *m)
{
    return m->submit.client_name.len > 0 ? str_span(&m->submit.client_name) : span_of("localhost");
}

static struct span client_addr(const struct message *m)
{
    return span_of(m->submit.client_addr[0] ? m->submit.client_addr : "127.0.0.1");
}

static void add_macro(void *arg, struct span name, struct str *ret)
{
    const struct message *m = arg;
    const struct params *p = m->c->params;
    const struct {
        const char *name;
        struct span value;
    } values[] = {
        { "i", span_of(m->env.id) },
        { "j", span_of(p->myhostname) },
        { "v", span_of(p->milter_macro_v) },
        { "{client_addr}", client_addr(m) },
        { "{client_name}", client_name(m) },
        { "{client_ptr}", client_name(m) },
        { "{daemon_name}", span_of(p->milter_macro_daemon_name) },
        { "{mail_addr}", str_span(&m->submit.sender) },
        { "{rcpt_addr}", m->rcpts.len > 0 ? span_of(m->rcpts.items[0].address) : SPAN_NULL },
    };

    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        if (span_eq_str(name, values[i].name))
            str_add(ret, values[i].value);
    if (span_eq_str(name, "_"))
        str_addf(ret, SPAN_FMT " [" SPAN_FMT "]", SPAN_ARG(client_name(m)), SPAN_ARG(client_addr(m)));
}

static void warn(void *arg, const char *text)
{
    const struct message *m = arg;

    log_warn("%s: %s", m->env.id, text);
}

static struct filter *filter_new(const struct message *m)
{
    struct filter *f = mem_new(struct filter);

    f->body = f->next = SPOOL_INIT(m->c->dirs.fd[QUEUE_TMP]);
    return f;
}

void filter_keep_aside(struct message *m)
{
    if (!m->filter)
        m->filter = filter_new(m);
}

int filter_receive(struct message *m, struct ipc *from)
{
    const struct milter_host host = { m->c->params, add_macro, warn, m };

    if (m->submit.n_milters == 0)
        return 0;
    m->filter = filter_new(m);
    return milters_receive(from, m->submit.n_milters, &host, &m->filter->milters);
}

void filter_begin_local(struct message *m)
{
    const struct milter_host host = { m->c->params, add_macro, warn, m };

    if ((m->filter && m->filter->milters) || !(m->submit.flags & SUBMIT_FILTER) || m->c->milters.len == 0)
        return;
    filter_keep_aside(m);
    m->filter->local = true;
    m->filter->milters = milters_new(&m->c->milters, &host);
}

/* ---- the content comes ---- */

void filter_take_header(struct message *m, struct span section)
{
    fields_parse(section, m->filter->own_at, &m->filter->fields);
    m->filter->separated = m->headers.end == HEADER_END_EMPTY_LINE || m->headers.end == HEADER_END_BODY;
}

int filter_add_body(struct message *m, struct span bytes)
{
    struct filter *f = m->filter;

    if (bytes.len == 0)
        return 0;
    if (!f->begun && m->headers.end == HEADER_END_EMPTY_LINE) { /* the line between header and body */
        span_take(&bytes, '\r');
        span_take(&bytes, '\n');
    }
    f->begun = true;
    return spool_add(&f->body, bytes);
}

/* ---- verdicts ---- */

/* "<id>: milter-reject: END-OF-MESSAGE from a[b]: TEXT; from=<> to=<> proto=ESMTP helo=<x>" */
static void log_verdict(const struct message *m, const char *verb, struct span text)
{
    _cleanup_(str_free) struct str line = STR_INIT;

    str_addf(&line, "%s: %s: END-OF-MESSAGE from ", m->env.id, verb);
    str_add_escaped(&line, client_name(m), LOG_TEXT_MAX, STR_UTF8);
    str_addf(&line, "[" SPAN_FMT "]: ", SPAN_ARG(client_addr(m)));
    str_add_escaped(&line, text, LOG_TEXT_MAX, STR_UTF8);
    str_add_char(&line, ';');
    describe_envelope(m, &line);
    log_info("%s", str_cstr(&line));
}

/* text: an SMTP reply with an enhanced code, lines separated by CRLF */
static void refuse(struct message *m, struct span text)
{
    struct span rest = text;
    struct span first = span_trim(span_cut(&rest, '\n'));
    struct span words = span_from(first, 4);
    struct span said = words;
    struct span dsn = span_cut(&words, ' ');
    _cleanup_free_ char *code = mem_dup_span(dsn);
    _cleanup_free_ char *why = mem_dup_span(words);

    if (message_failed(m))
        return; /* by milter_header_checks: they have answered */
    log_verdict(m, "milter-reject", said);
    message_fail(m, first.ptr[0] == '4' ? SUBMIT_TEMPORARY : SUBMIT_PERMANENT, code, why);
    snprintf(m->result.reply, sizeof(m->result.reply), SPAN_FMT, SPAN_ARG(text));
}

static void obey(struct message *m, enum milter_verdict v)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    switch (v) {
    case MILTER_PASS:
        return;
    case MILTER_HOLD:
        if (!(m->submit.flags & SUBMIT_HOLD))
            log_verdict(m, "milter-hold", span_of("milter triggers HOLD action"));
        m->submit.flags |= SUBMIT_HOLD;
        return;
    case MILTER_DISCARD:
        log_verdict(m, "milter-discard", span_of("milter triggers DISCARD action"));
        m->submit.flags |= SUBMIT_DISCARD;
        return;
    case MILTER_REFUSE:
        refuse(m, str_span(&m->filter->reply));
        return;
    case MILTER_CLOSE:
        str_addf(&text, "421 4.7.0 %s Server closing connection", m->c->params->myhostname);
        refuse(m, str_span(&text));
        return;
    }
}

/* ---- mail that did not come by SMTP ---- */

static void add_path(struct str *ret, struct span address)
{
    str_reset(ret);
    str_add_char(ret, '<');
    address_quote(ret, address);
    str_add_char(ret, '>');
}

/* One recipient cannot be refused alone any more: the message waits until that is mended. */
static enum milter_verdict tell_rcpts(struct message *m)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    enum milter_verdict v = MILTER_PASS;

    for (size_t i = 0; i < m->rcpts.len && v == MILTER_PASS; i++) {
        add_path(&path, span_of(m->rcpts.items[i].address));

        struct span arg = str_span(&path);

        v = milters_rcpt(m->filter->milters, &arg, 1, &m->filter->reply);
        if (v == MILTER_REFUSE && str_span(&m->filter->reply).ptr[0] == '5') {
            log_warn("%s: milter configuration error: can't reject recipient in non-smtpd(8) submission", m->env.id);
            str_set(&m->filter->reply, span_of("451 4.3.5 Server configuration error"));
        }
    }
    return v;
}

static enum milter_verdict tell_session(struct message *m)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    struct milters *ms = m->filter->milters;
    struct str *reply = &m->filter->reply;
    const struct milter_client client = { client_name(m), client_addr(m), m->submit.client_port, false };
    struct span helo = m->submit.helo.len > 0 ? str_span(&m->submit.helo) : span_of(m->c->params->myhostname);
    enum milter_verdict v = milters_connect(ms, &client, reply);
    struct span arg;

    if (v == MILTER_PASS)
        v = milters_helo(ms, helo, reply);
    add_path(&path, str_span(&m->submit.sender));
    arg = str_span(&path);
    if (v == MILTER_PASS)
        v = milters_mail(ms, &arg, 1, reply);
    if (v == MILTER_PASS)
        v = tell_rcpts(m);
    if (v == MILTER_PASS)
        v = milters_data(ms, reply);
    return v;
}

/* ---- all of it ---- */

static int show_header(void *arg, size_t i, struct span *name, struct span *value)
{
    const struct message *m = arg;

    return fields_get(&m->filter->fields, i, name, value);
}

static int show_body(void *arg, uint64_t offset, struct span *ret)
{
    struct message *m = arg;

    return spool_read(&m->filter->body, offset, ret);
}

void filter_run(struct message *m)
{
    struct filter *f = m->filter;
    const struct milter_message message = { show_header, show_body, filter_edit, filter_edited, m };
    enum milter_verdict v;

    if (!f->milters)
        return; /* kept aside for another reason */
    v = f->local ? tell_session(m) : MILTER_PASS;
    if (v == MILTER_PASS || v == MILTER_HOLD) {
        obey(m, v);
        v = milters_message(f->milters, &message, &f->reply);
    }
    obey(m, v);
    if (message_failed(m) || m->rcpts.len > 0 || m->submit.flags & SUBMIT_DISCARD)
        return;
    log_verdict(m, "milter-discard", span_of("milter has deleted all recipients"));
    m->submit.flags |= SUBMIT_DISCARD;
}

int filter_write(struct message *m)
{
    struct filter *f = m->filter;
    _cleanup_(str_free) struct str head = STR_INIT;
    uint64_t at = 0;
    int r;

    fields_join(&f->fields, &head);
    if (f->separated || (m->headers.end == HEADER_END_INPUT && spool_size(&f->body) > 0))
        str_add_str(&head, "\r\n");
    r = queue_write(m->writer, str_span(&head));
    while (r == 0 && at < spool_size(&f->body)) {
        struct span bytes;

        r = spool_read(&f->body, at, &bytes);
        if (r == 0) {
            r = queue_write(m->writer, bytes);
            at += bytes.len;
        }
    }
    return r;
}

void filter_give_back(struct message *m)
{
    if (m->filter && m->filter->milters)
        milters_give_back(m->filter->milters, m->result.milters);
}

void filter_free(struct filter *f)
{
    if (!f)
        return;
    milters_free(f->milters);
    fields_done(&f->fields);
    spool_done(&f->body);
    spool_done(&f->next);
    str_free(&f->reply);
    free(f);
}
