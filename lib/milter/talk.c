/* SPDX-License-Identifier: Apache-2.0 */
/*
 * talk.c - connecting to one filter, and an event and its answer
 *
 * Macros, the event and what is not answered are buffered and leave together, when an answer is waited for. A
 * filter that fails in any way is closed, and its default action holds for the rest of the session: to go on in
 * the middle of a conversation would mean guessing what it has understood.
 *
 * Runs in: smtpd, cleanup. The filter is mistrusted: it has read hostile mail.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/mem.h"
#include "milter/internal.h"

#define ANSWERS_MAX 100000 /* packets of one answer: progress and changes */

void milter_done(struct milter *m)
{
    stream_free(m->st);
    for (size_t i = 0; i < MILTER_STAGES; i++)
        free(m->macros[i]);
    free(m->name);
    str_free(&m->sticky_reply);
    str_free(&m->packet);
    str_free(&m->values);
}

/* ---- failing ---- */

static const char *const unavailable = "451 4.7.1 Service unavailable - try again later";

static void stick(struct milter *m, enum milter_state state, enum milter_verdict verdict, const char *reply)
{
    m->state = state;
    m->sticky = verdict;
    str_set(&m->sticky_reply, span_of(reply));
}

static void close_connection(struct milter *m)
{
    stream_free(TAKE_PTR(m->st));
    str_free(&m->packet);
}

void milter_fail(struct milter *m, const char *fmt, ...)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    va_list ap;

    va_start(ap, fmt);
    str_vaddf(&text, fmt, ap);
    va_end(ap);
    m->all->host.warn(m->all->host.arg, str_cstr(&text));
    close_connection(m);
    switch (m->default_action) {
    case MILTER_DEFAULT_ACCEPT:
        stick(m, MILTER_S_FAILED, MILTER_PASS, "");
        return;
    case MILTER_DEFAULT_QUARANTINE:
        stick(m, MILTER_S_FAILED, MILTER_HOLD, "");
        return;
    case MILTER_DEFAULT_REJECT:
        stick(m, MILTER_S_FAILED, MILTER_REFUSE, "550 5.5.0 Service unavailable");
        return;
    case MILTER_DEFAULT_SHUTDOWN:
        stick(m, MILTER_S_FAILED, MILTER_CLOSE, "");
        return;
    case MILTER_DEFAULT_TEMPFAIL:
        stick(m, MILTER_S_FAILED, MILTER_REFUSE, unavailable);
        return;
    }
}

enum milter_verdict milter_sticky(const struct milter *m, struct str *reply)
{
    if (m->state != MILTER_S_REJECT_CON && m->state != MILTER_S_FAILED)
        return MILTER_PASS;
    str_set(reply, str_span(&m->sticky_reply));
    return m->sticky;
}

/* An end of the connection within an answer has no errno of its own */
static const char *reason(int r)
{
    return strerror(r == -ENODATA ? ECONNRESET : -r);
}

/* ---- packets ---- */

static void set_deadline(struct milter *m, int64_t seconds)
{
    stream_set_deadline(m->st, clock_deadline_ms(seconds * 1000));
}

static void send_packet(struct milter *m, enum milter_command c, struct span data)
{
    uint32_t net_len = 0;
    char head[MILTER_HEAD];
    _cleanup_(str_free) struct str len = STR_INIT;

    milter_add_u32(&len, (uint32_t)(data.len + 1));
    memcpy(&net_len, len.data, sizeof(net_len));
    memcpy(head, &net_len, sizeof(net_len));
    head[4] = (char)c;
    stream_write(m->st, span_make(head, sizeof(head)));
    stream_write(m->st, data);
}

void milter_say(struct milter *m, enum milter_command c)
{
    set_deadline(m, m->command_s);
    send_packet(m, c, SPAN_NULL);
}

/* The next packet, without its length: 0, or it has failed */
static int read_packet(struct milter *m, enum milter_command to, struct span *ret)
{
    uint32_t len;
    unsigned char head[4];
    int r = stream_read(m->st, head, sizeof(head));

    if (r < 0) {
        milter_fail(m, "milter %s: can't read %s reply packet header: %s", m->name, milter_command_name(to),
                    reason(r));
        return r;
    }
    len = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
    if (len < 1 || len > MILTER_PACKET_MAX) {
        milter_fail(m, "milter %s: unreasonable packet length: %u > %u", m->name, len, MILTER_PACKET_MAX);
        return -EPROTO;
    }
    str_reset(&m->packet);
    str_reserve(&m->packet, len);
    r = stream_read(m->st, m->packet.data, len);
    if (r < 0) {
        milter_fail(m, "milter %s: can't read %s reply data: %s", m->name, milter_command_name(to), reason(r));
        return r;
    }
    str_advance(&m->packet, len);
    *ret = str_span(&m->packet);
    return 0;
}

/* ---- the beginning ---- */

static int connect_to(const struct milter_settings *s)
{
    uint64_t deadline = clock_deadline_ms(s->connect_s * 1000);
    int fd = s->path ? socket_connect_unix(s->path, deadline) : socket_connect(&s->addr, NULL, deadline);

    if (fd == -EACCES && s->path_fd >= 0)
        fd = socket_connect_path_fd(s->path_fd, deadline);
    return fd;
}

static void keep_options(struct milter *m, const struct milter_options *o)
{
    m->options = (struct milter_options){ .version = o->version, .actions = o->actions, .steps = o->steps };
    for (unsigned i = 0; i < MILTER_STAGES; i++)
        if (o->symlists_given & 1u << i) {
            free(m->macros[i]);
            m->macros[i] = mem_dup_span(o->symlists[i]);
        }
}

static int negotiate(struct milter *m)
{
    _cleanup_(str_free) struct str data = STR_INIT;
    struct milter_options offer, got;
    struct span packet;
    const char *why = "it did not answer the options";

    milter_options_of_version(m->settings->protocol, &offer);
    milter_add_u32(&data, offer.version);
    milter_add_u32(&data, offer.actions);
    milter_add_u32(&data, offer.steps);
    set_deadline(m, m->settings->connect_s);
    send_packet(m, MILTER_CMD_OPTNEG, str_span(&data));

    int r = read_packet(m, MILTER_CMD_OPTNEG, &packet);

    if (r < 0)
        return r;
    if (packet.ptr[0] != MILTER_CMD_OPTNEG ||
        milter_options_parse(span_from(packet, 1), &offer, &got, &why) < 0) {
        milter_fail(m, "milter %s: bad reply to SMFIC_OPTNEG: %s", m->name, why);
        return -EPROTO;
    }
    keep_options(m, &got);
    return 0;
}

void milter_open(struct milter *m)
{
    int fd = connect_to(m->settings);

    if (fd < 0) {
        milter_fail(m, "connect to Milter service %s: %s", m->name, strerror(-fd));
        return;
    }
    m->st = stream_new(fd);
    if (negotiate(m) == 0)
        m->state = MILTER_S_READY;
}

/* ---- an event ---- */

static bool of_session(const struct milter_event *e)
{
    return e->stage == MILTER_CONNECT || e->stage == MILTER_HELO;
}

/* A refusal of the session stays; one of a command is over with it */
static enum milter_verdict refused(struct milter *m, const struct milter_event *e, const char *text,
                                   struct str *reply)
{
    str_set(reply, span_of(text));
    if (of_session(e))
        stick(m, MILTER_S_REJECT_CON, MILTER_REFUSE, text);
    return MILTER_REFUSE;
}

static enum milter_verdict refused_with_text(struct milter *m, const struct milter_event *e,
                                             struct span given, struct str *reply)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    if (milter_reply_text(given, MILTER_REPLY_MAX, &text) == 0)
        return refused(m, e, str_cstr(&text), reply);
    milter_fail(m, "milter %s: malformed reply to %s", m->name, milter_command_name(e->command));
    return milter_sticky(m, reply);
}

static enum milter_verdict discarded(struct milter *m, const struct milter_event *e, struct str *reply)
{
    if (of_session(e)) {
        milter_fail(m, "milter %s: DISCARD action is not allowed for connect or helo", m->name);
        return milter_sticky(m, reply);
    }
    if (m->state == MILTER_S_ENVELOPE)
        m->state = MILTER_S_ACCEPT_MSG;
    return MILTER_DISCARD;
}

static enum milter_verdict shut_down(struct milter *m)
{
    close_connection(m);
    stick(m, MILTER_S_FAILED, MILTER_CLOSE, "");
    return MILTER_CLOSE;
}

static enum milter_verdict accepted(struct milter *m, const struct milter_event *e)
{
    if (of_session(e))
        m->state = MILTER_S_ACCEPT_CON;
    else if (m->state == MILTER_S_ENVELOPE)
        m->state = MILTER_S_ACCEPT_MSG;
    return MILTER_PASS;
}

static enum milter_verdict unexpected(struct milter *m, const struct milter_event *e, struct str *reply)
{
    milter_fail(m, "milter %s: unexpected reply \"%c\" to %s", m->name,
                m->packet.data[0] > ' ' && m->packet.data[0] < 127 ? m->packet.data[0] : '?',
                milter_command_name(e->command));
    return milter_sticky(m, reply);
}

/* A change at the end of the message. False: it is not allowed, or could not be made. */
static bool edit(struct milter *m, const struct milter_reply *r, struct milter_edits *edits)
{
    uint32_t needs = milter_reply_needs(r->kind);

    if (!edits || !(m->options.actions & needs))
        return false;
    if (r->kind == MILTER_R_QUARANTINE) {
        edits->quarantined = true;
        return true;
    }
    return edits->message->edit(edits->message->arg, r, m->options.steps & MILTER_LEADING_SPACE) >= 0;
}

static enum milter_verdict final(struct milter *m, const struct milter_event *e, const struct milter_reply *r,
                                 bool *ret_skip, struct str *reply)
{
    switch (r->kind) {
    case MILTER_R_CONTINUE:
        return MILTER_PASS;
    case MILTER_R_ACCEPT:
        return accepted(m, e);
    case MILTER_R_SKIP:
        *ret_skip = true;
        return m->options.steps & MILTER_SKIP ? MILTER_PASS : unexpected(m, e, reply);
    case MILTER_R_DISCARD:
        return discarded(m, e, reply);
    case MILTER_R_REJECT:
        return refused(m, e, "550 5.7.1 Command rejected", reply);
    case MILTER_R_TEMPFAIL:
        return refused(m, e, unavailable, reply);
    case MILTER_R_REPLYCODE:
        return refused_with_text(m, e, r->text, reply);
    case MILTER_R_SHUTDOWN:
    case MILTER_R_CONN_FAIL:
        return shut_down(m);
    case MILTER_R_PROGRESS:
    case MILTER_R_ADDRCPT:
    case MILTER_R_ADDRCPT_PAR:
    case MILTER_R_DELRCPT:
    case MILTER_R_CHGFROM:
    case MILTER_R_REPLBODY:
    case MILTER_R_ADDHEADER:
    case MILTER_R_INSHEADER:
    case MILTER_R_CHGHEADER:
    case MILTER_R_QUARANTINE:
        break;
    }
    return unexpected(m, e, reply);
}

static int64_t patience_s(const struct milter *m, const struct milter_event *e)
{
    bool content = e->command == MILTER_CMD_HEADER || e->command == MILTER_CMD_EOH ||
                   e->command == MILTER_CMD_BODY || e->command == MILTER_CMD_BODYEOB;

    return content ? m->content_s : m->command_s;
}

static enum milter_verdict take_answer(struct milter *m, const struct milter_event *e,
                                       struct milter_edits *edits, bool *ret_skip, struct str *reply)
{
    for (int i = 0; i < ANSWERS_MAX; i++) {
        struct milter_reply r;
        struct span packet;

        set_deadline(m, patience_s(m, e));
        if (read_packet(m, e->command, &packet) < 0)
            return milter_sticky(m, reply);
        if (milter_reply_parse(packet, &r) < 0)
            return unexpected(m, e, reply);
        if (r.kind == MILTER_R_PROGRESS)
            continue;
        if (milter_reply_needs(r.kind) == 0)
            return final(m, e, &r, ret_skip, reply);
        if (!edit(m, &r, edits))
            return unexpected(m, e, reply);
    }
    milter_fail(m, "milter %s: its answer to %s has no end", m->name, milter_command_name(e->command));
    return milter_sticky(m, reply);
}

static void send_macros(struct milter *m, const struct milter_event *e)
{
    _cleanup_(str_free) struct str data = STR_INIT;

    if (e->stage == MILTER_STAGES)
        return;
    str_add_char(&data, (char)e->command);
    milter_macro_values(m, milter_macro_names(m, e->stage), &data);
    if (data.len > 1)
        send_packet(m, MILTER_CMD_MACRO, str_span(&data));
}

enum milter_verdict milter_ask(struct milter *m, const struct milter_event *e, struct span payload,
                               struct milter_edits *edits, bool *ret_skip, struct str *reply)
{
    bool skip = false;

    set_deadline(m, patience_s(m, e));
    /* Macros go also without the event: the filter may ask for them later. */
    send_macros(m, e);
    if (m->options.steps & e->unwanted)
        return MILTER_PASS;
    send_packet(m, e->command, payload);
    if (stream_error(m->st) < 0) {
        milter_fail(m, "milter %s: can't send %s: %s", m->name, milter_command_name(e->command),
                    reason(stream_error(m->st)));
        return milter_sticky(m, reply);
    }
    if (m->options.steps & e->unanswered)
        return MILTER_PASS;
    return take_answer(m, e, edits, ret_skip ? ret_skip : &skip, reply);
}
