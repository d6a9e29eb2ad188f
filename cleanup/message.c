/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message.c - a message's way from the submit to the queue
 *
 * Recipients are expanded as they come. The header section is gathered in memory
 * (bounded), since it may name recipients, and those stand before the content in the
 * file; the body then streams through. Commit and rename run on a helper thread, so that the
 * flushes of concurrent messages are in flight together.
 *
 * Runs in: cleanup. The submit comes from smtpd (range-checked by ipc_recv), content is hostile.
 */
#include <errno.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cleanup/cleanup.h"
#include "cleanup/compose.h"
#include "mail/route.h"

#define SPACE_CHECK_MS 1000
#define LOG_TEXT_MAX   256

void message_init(struct message *m, struct cleanup *c)
{
    *m = (struct message){.c = c, .report_fd = -1, .result.status = SUBMIT_OK};
    header_pass_init(&m->headers, &c->rules, &m->head);
}

void message_done(struct message *m)
{
    if (m->announced && !m->settled)
        log_info("%s: removed (canceled)", m->env.id);
    queue_abort(m->writer);
    filter_free(m->filter);
    inspect_free(m->inspect);
    str_free(&m->redirect);
    header_pass_done(&m->headers);
    recipients_done(&m->rcpts);
    submit_msg_done(&m->submit);
    str_free(&m->only_rcpt);
    str_free(&m->head);
    if (m->report_fd >= 0)
        close(m->report_fd);
}

bool message_failed(const struct message *m)
{
    return m->result.status != SUBMIT_OK;
}

void message_fail(struct message *m, enum submit_status status, const char *dsn, const char *text)
{
    if (message_failed(m))
        return;
    m->result.status = status;
    snprintf(m->result.dsn, sizeof m->result.dsn, "%s", dsn);
    snprintf(m->result.text, sizeof m->result.text, "%s", text);
    if (m->announced)
        log_info("%s: removed (canceled)", m->env.id);
    queue_abort(TAKE_PTR(m->writer)); /* give the space back while the rest is still coming */
    m->announced = false;
}

static void fail_write(struct message *m, int r)
{
    bool full = r == -ENOSPC || r == -EDQUOT;

    log_warn_errno(r, "%s: cannot write queue file; the client is asked to try again", m->env.id);
    message_fail(m, SUBMIT_TEMPORARY, full ? "4.3.1" : "4.3.0",
         full ? "Insufficient system storage" : "Error: queue file write error");
}

/* ---- before the content ---- */

static char *borrow(struct str *s)
{
    return s->len > 0 ? (char *)str_cstr(s) : NULL;
}

static char *borrow_array(char *text)
{
    return text[0] ? text : NULL;
}

static void complete_sender(struct message *m)
{
    _cleanup_(str_free) struct str sender = STR_INIT;

    if (m->submit.sender.len == 0)
        return;
    route_complete(m->c->params, str_span(&m->submit.sender), &sender);
    str_set(&m->submit.sender, str_span(&sender));
}

/* What a content filter says of the client (XFORWARD) goes before what smtpd knows of the filter. */
static void set_forwarded(struct queue_envelope *e, struct submit *s)
{
    e->log_ident = borrow(&s->orig_queue_id);
    e->log_source = s->forwarded_source;
    if (s->forwarded_addr[0] == '\0' && s->forwarded_name.len == 0)
        return;
    e->client_name = borrow(&s->forwarded_name);
    e->client_addr = borrow_array(s->forwarded_addr);
    e->client_port = s->forwarded_port;
    if (s->forwarded_helo.len > 0)
        e->helo = borrow(&s->forwarded_helo);
    if (s->forwarded_proto[0])
        e->proto = borrow_array(s->forwarded_proto);
}

static void set_envelope(struct message *m)
{
    struct submit *s = &m->submit;
    struct queue_envelope *e = &m->env;

    queue_id_new(e->id);
    e->arrival_us = clock_real_us();
    e->origin = s->origin;
    e->flags = s->flags & ~(unsigned)(SUBMIT_HOLD | SUBMIT_DISCARD | SUBMIT_FILTER); /* done here, once */
    e->sender = (char *)str_cstr(&s->sender);
    e->dsn_ret = s->dsn_ret;
    e->dsn_envid = borrow(&s->dsn_envid);
    e->client_name = borrow(&s->client_name);
    e->client_addr = borrow_array(s->client_addr);
    e->client_port = s->client_port;
    e->helo = borrow(&s->helo);
    e->proto = borrow_array(s->proto);
    e->service = borrow_array(s->service);
    e->sasl_method = borrow_array(s->sasl_method);
    e->sasl_username = borrow(&s->sasl_username);
    e->sasl_sender = borrow(&s->sasl_sender);
    e->uid = s->uid;
    e->priority = s->priority;
    e->content_filter = borrow(&s->content_filter);
    set_forwarded(e, s);
}

/* Is there room for the largest message, half as much again, and queue_minfree? Looked at once a
 * second. */
static bool space_is_short(struct cleanup *c, uint64_t size_hint)
{
    uint64_t now = clock_ms(), largest = (uint64_t)c->params->message_size_limit;
    struct statvfs fs;

    if (c->space_checked_ms == 0 || now - c->space_checked_ms >= SPACE_CHECK_MS) {
        if (fstatvfs(c->dirs.fd[QUEUE_TMP], &fs) < 0)
            return false; /* the write will tell */
        c->space_checked_ms = now;
        c->space_free = (uint64_t)fs.f_bavail * fs.f_frsize;
    }
    if (size_hint > largest)
        largest = size_hint;
    return c->space_free < (uint64_t)c->params->queue_minfree ||
           c->space_free < largest + largest / 2;
}

void message_begin(struct message *m)
{
    complete_sender(m);
    set_envelope(m);
    snprintf(m->result.queue_id, sizeof m->result.queue_id, "%s", m->env.id);
    m->headers.rewrite = m->submit.flags & SUBMIT_REWRITE;
    m->headers.extract = m->submit.flags & SUBMIT_EXTRACT;
    if (m->submit.sender.len > SUBMIT_ADDRESS_MAX)
        message_fail(m, SUBMIT_PERMANENT, "5.1.7", "Bad sender address syntax");
    /* Mail of our own passes while there is room at all: it is how the postmaster hears of the full disk. */
    if (m->submit.origin != SUBMIT_INTERNAL && space_is_short(m->c, m->submit.size_hint)) {
        log_warn(
            "%s: not enough free space in mail queue: %llu bytes; the client is asked to try again",
            m->env.id, (unsigned long long)m->c->space_free);
        message_fail(m, SUBMIT_TEMPORARY, "4.3.1", "Insufficient system storage");
    }
}

static void fail_rcpt(struct message *m, int r, struct span address)
{
    _cleanup_(str_free) struct str shown = STR_INIT;

    if (r == -EINVAL || r == -EMSGSIZE) {
        message_fail(m, SUBMIT_PERMANENT, "5.1.3", "Bad recipient address syntax");
        return;
    }
    str_add_escaped(&shown, address, LOG_TEXT_MAX, STR_UTF8);
    if (r == -ELOOP)
        log_warn("%s: unreasonable virtual_alias_maps map nesting for %s -- message not accepted, "
                 "try again later",
                 m->env.id, str_cstr(&shown));
    else if (r == -E2BIG)
        log_warn("%s: unreasonable virtual_alias_maps map expansion size for %s -- message not "
                 "accepted, "
                 "try again later",
                 m->env.id, str_cstr(&shown));
    else
        log_warn_errno(r,
                       "%s: virtual_alias_maps map lookup problem for %s -- message not accepted, "
                       "try again later",
                       m->env.id, str_cstr(&shown));
    message_fail(m, SUBMIT_TEMPORARY, "4.6.0", "Alias expansion error");
}

void message_add_expanded(struct message *m, const struct submit_rcpt *rcpt)
{
    bool expand = !(m->submit.flags & SUBMIT_NO_ALIAS);

    if (message_failed(m))
        return;
    int r = recipients_add(&m->rcpts, &m->c->aliases, rcpt,
                           expand ? RECIPIENTS_EXPAND : RECIPIENTS_AS_GIVEN);

    if (r < 0)
        fail_rcpt(m, r, str_span(&rcpt->address));
}

void message_add_rcpt(struct message *m, const struct submit_rcpt *rcpt)
{
    if (m->submit.n_rcpt == 1)
        str_set(&m->only_rcpt, str_span(&rcpt->address));
    message_add_expanded(m, rcpt);
    bcc_of_rcpt(m, rcpt);
}

/* ---- between header and body ---- */

static void add_extracted(struct message *m)
{
    bool resent = m->headers.seen & HEADER_RESENT;
    char **list = resent ? m->headers.resent_rcpts : m->headers.rcpts;
    size_t n = resent ? m->headers.n_resent_rcpts : m->headers.n_rcpts;

    if (m->headers.too_many_rcpts)
        message_fail(m, SUBMIT_PERMANENT, "5.5.3", "Error: too many recipients in the header");
    for (size_t i = 0; i < n && !message_failed(m); i++) {
        struct submit_rcpt rcpt = {0};

        str_add_str(&rcpt.address, list[i]);
        message_add_rcpt(m, &rcpt);
        str_free(&rcpt.address);
    }
}

static void log_message_id(struct message *m, struct span made)
{
    static const struct {
        const char *key;
        unsigned seen;
    } kinds[] = {
        {"resent-message-id", HEADER_RESENT_MESSAGE_ID},
        {"message-id",        HEADER_MESSAGE_ID       }
    };
    const struct header_pass *h = &m->headers;
    size_t made_for = h->seen & HEADER_RESENT ? 0 : 1;

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        _cleanup_(str_free) struct str shown = STR_INIT;
        struct span id = str_span(i == 0 ? &h->resent_message_id : &h->message_id);

        if (!(h->seen & kinds[i].seen))
            id = i == made_for && made.len > 0 ? made : i == 1 ? span_of("<>") : SPAN_NULL;
        if (id.len == 0)
            continue;
        str_add_escaped(&shown, id, LOG_TEXT_MAX, STR_UTF8);
        log_info("%s: %s=%s", m->env.id, kinds[i].key, str_cstr(&shown));
    }
    m->announced = true;
}

static void end_header(struct message *m)
{
    _cleanup_(str_free) struct str made = STR_INIT;
    struct compose compose = {
        .params = m->c->params,
        .submit = &m->submit,
        .queue_id = m->env.id,
        .arrival = m->env.arrival_us / 1000000,
    };

    if (m->submit.origin == SUBMIT_LOCAL || (m->submit.flags & SUBMIT_REWRITE) ||
        m->c->params->always_add_missing_headers)
        compose_missing(&compose, m->headers.seen, &m->head, &made);
    if (m->headers.end == HEADER_END_BODY)
        str_add_str(&m->head, "\r\n");
    log_message_id(m, str_span(&made));
}

static void begin_content(struct message *m)
{
    struct compose compose = {
        .params = m->c->params,
        .submit = &m->submit,
        .queue_id = m->env.id,
        .arrival = m->env.arrival_us / 1000000,
        .only_rcpt = str_span(&m->only_rcpt),
    };

    str_add(&m->head, str_span(&m->submit.prepend));
    size_t received_at = m->head.len;

    if (m->inspect) {
        _cleanup_(str_free) struct str received = STR_INIT;

        compose_received(&compose, &received);
        inspect_field(m, INSPECT_OUR_FIELD, str_span(&received), &m->head);
        received_at = m->head.len > received.len ? m->head.len - received.len : 0;
    } else {
        compose_received(&compose, &m->head);
    }
    if (m->filter)
        m->filter->own_at = received_at;
}

/* REDIRECT of header_checks or body_checks */
static void redirect(struct message *m)
{
    _cleanup_(submit_rcpt_msg_done) struct submit_rcpt rcpt = {0};

    if (m->redirect.len == 0)
        return;
    if (m->rcpts.len > 0)
        str_add_str(&rcpt.orig, m->rcpts.items[0].orig ? m->rcpts.items[0].orig : m->rcpts.items[0].address);
    recipients_done(&m->rcpts);
    str_add(&rcpt.address, str_span(&m->redirect));
    message_add_rcpt(m, &rcpt);
}

static void create_file(struct message *m)
{
    redirect(m);
    if (message_failed(m))
        return;
    m->env.rcpts = m->rcpts.items; /* borrowed, too */
    m->env.n_rcpts = m->rcpts.len;
    int r = queue_create(&m->c->dirs, QUEUE_TMP, &m->env, &m->writer);

    if (r == 0)
        r = m->filter ? filter_write(m) : queue_write(m->writer, str_span(&m->head));
    if (r < 0)
        fail_write(m, r);
}

/* The header section is known: the envelope is complete, and the file can be begun. Filters may change both, so
 * with them it waits. */
static void open_file(struct message *m)
{
    add_extracted(m);
    if (m->rcpts.len > 0)
        bcc_of_message(m);
    if (message_failed(m))
        return;
    if (m->headers.received + 1 >= m->c->params->hopcount_limit) { /* ours counts */
        log_warn("%s: message rejected: hopcount exceeded", m->env.id);
        message_fail(m, SUBMIT_PERMANENT, "5.4.0", "Error: too many hops");
        return;
    }
    if (m->filter && m->filter->milters && m->headers.end == HEADER_END_LIMIT) {
        message_fail(m, SUBMIT_PERMANENT, "5.6.0", "Error: header too large for content inspection");
        return;
    }
    if (m->rcpts.len == 0) {
        message_fail(m, SUBMIT_PERMANENT, "5.1.0", "Error: no recipients specified");
        return;
    }
    end_header(m);
    if (m->filter)
        filter_take_header(m, str_span(&m->head));
    else
        create_file(m);
    str_free(&m->head);
}

static void write_body(struct message *m, struct span bytes)
{
    int r = 0;

    if (!message_failed(m) && bytes.len > 0)
        r = m->filter ? filter_add_body(m, bytes) : queue_write(m->writer, bytes);
    if (r < 0)
        fail_write(m, r);
}

/* Content that the checks have let through */
static void take_content(struct message *m, struct span bytes)
{
    struct span rest;

    if (message_failed(m) || bytes.len == 0)
        return;
    if (m->headers.end != HEADER_GOES_ON) {
        write_body(m, bytes);
        return;
    }
    header_pass_feed(&m->headers, bytes, &rest);
    if (m->headers.end == HEADER_GOES_ON)
        return;
    open_file(m);
    write_body(m, rest);
}

void message_feed(struct message *m, struct span bytes)
{
    /* A message of our own was within it when it came; what a report or an alias adds must not lose it. */
    int64_t limit = m->submit.origin == SUBMIT_INTERNAL ? 0 : m->c->params->message_size_limit;

    if (m->size_in == 0)
        begin_content(m);
    m->size_in += bytes.len;
    if (limit > 0 && m->size_in > (uint64_t)limit)
        message_fail(m, SUBMIT_PERMANENT, "5.3.4", "Error: message file too big");
    if (!message_failed(m))
        take_content(m, m->inspect ? inspect_feed(m->inspect, bytes) : bytes);
}

/* ---- after it ---- */

static int commit_and_publish(void *arg)
{
    struct message *m = arg;
    enum queue_place to = m->submit.flags & SUBMIT_HOLD ? QUEUE_HOLD : QUEUE_NEW;

    if (to == QUEUE_NEW) /* where qmgr expects incomplete files */
        queue_aim(m->writer, &m->c->dirs, to);
    int r = queue_commit(m->writer);

    if (r == 0)
        r = queue_publish(m->writer, &m->c->dirs, to);
    /* Here and not when bounce hears of it, which may be killed until then. A report that is noted too early may never come; one that
     * cannot be noted comes twice, if qmgr is killed before it has noted the answer. */
    if (r == 0 && m->report_fd >= 0)
        journal_report_queued(m->report_fd, m->submit.report);
    return r;
}

/* The client is told that all is well */
static void discard(struct message *m)
{
    m->settled = true;
    queue_abort(TAKE_PTR(m->writer));
    log_info("%s: removed (discarded)", m->env.id);
}

void message_finish(struct message *m)
{
    struct span rest;

    if (m->size_in == 0)
        begin_content(m);
    if (m->inspect && !message_failed(m))
        take_content(m, inspect_finish(m->inspect));
    if (!message_failed(m) && m->headers.end == HEADER_GOES_ON) {
        header_pass_finish(&m->headers, &rest);
        open_file(m);
        write_body(m, rest);
    }
    if (m->filter && !message_failed(m))
        filter_run(m);
    if (message_failed(m))
        return;
    m->result.size = m->size_in;
    if (m->submit.flags & SUBMIT_DISCARD) {
        discard(m);
        return;
    }
    if (m->filter)
        create_file(m);
    if (message_failed(m))
        return;
    m->result.size = queue_written(m->writer);
    int r = offload(commit_and_publish, m);

    if (r < 0) {
        fail_write(m, r);
        return;
    }
    m->writer = NULL; /* gone with its publication */
    m->settled = true;
    if (!(m->submit.flags & SUBMIT_HOLD)) /* what is on hold, qmgr sees when it is released */
        notify_new_message(&m->c->notify, m->env.id);
}
