/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message.c - a message, from its header to its end, told to each filter
 *
 * One filter after the other sees the whole of it, since each sees the changes that those before it have
 * asked for, and they ask at the end.
 *
 * Runs in: cleanup.
 */
#include <errno.h>

#include "milter/internal.h"

static const struct milter_event event_header = { MILTER_CMD_HEADER, MILTER_STAGES, MILTER_NO_HEADERS,
                                                  MILTER_NR_HEADER };
static const struct milter_event event_eoh = { MILTER_CMD_EOH, MILTER_EOH, MILTER_NO_EOH, MILTER_NR_EOH };
static const struct milter_event event_body = { MILTER_CMD_BODY, MILTER_STAGES, MILTER_NO_BODY, MILTER_NR_BODY };
static const struct milter_event event_eom = { MILTER_CMD_BODYEOB, MILTER_EOM, 0, 0 };

/* A value as filters know it: lines end with LF alone, and unless agreed on without blanks in front. NUL would end it. */
static void add_value(struct span value, bool leading_space, struct str *ret)
{
    if (!leading_space)
        value = span_skip_ws(value);
    for (size_t i = 0; i < value.len; i++) {
        bool line_end = value.ptr[i] == '\r' && i + 1 < value.len && value.ptr[i + 1] == '\n';

        if (!line_end && value.ptr[i] != '\0')
            str_add_char(ret, value.ptr[i]);
    }
    str_add_char(ret, '\0');
}

static enum milter_verdict send_header(struct milter *m, const struct milter_message *msg, struct str *reply)
{
    struct str *payload = &m->all->payload;
    enum milter_verdict v = MILTER_PASS;
    struct span name, value;
    bool skip = false;

    if (m->options.steps & MILTER_NO_HEADERS)
        return MILTER_PASS;
    for (size_t i = 0; v == MILTER_PASS && !skip && m->state == MILTER_S_ENVELOPE; i++) {
        if (msg->header(msg->arg, i, &name, &value) == 0)
            break;
        str_reset(payload);
        milter_add_text(payload, name);
        add_value(value, m->options.steps & MILTER_LEADING_SPACE, payload);
        v = milter_ask(m, &event_header, str_span(payload), NULL, &skip, reply);
    }
    return v;
}

static enum milter_verdict send_body(struct milter *m, const struct milter_message *msg, struct str *reply)
{
    enum milter_verdict v = MILTER_PASS;
    uint64_t at = 0;
    bool skip = false;

    if (m->options.steps & MILTER_NO_BODY)
        return MILTER_PASS;
    while (v == MILTER_PASS && !skip && m->state == MILTER_S_ENVELOPE) {
        struct span bytes;
        int r = msg->body(msg->arg, at, &bytes);

        if (r < 0) {
            milter_fail(m, "milter %s: can't read the message for it: %s", m->name, strerror(-r));
            return milter_sticky(m, reply);
        }
        if (bytes.len == 0)
            break;
        bytes = span_first(bytes, MILTER_CHUNK);
        at += bytes.len;
        v = milter_ask(m, &event_body, bytes, NULL, &skip, reply);
    }
    return v;
}

/* The end: after its answer the filter is ready for the next message. */
static enum milter_verdict send_end(struct milter *m, const struct milter_message *msg, struct str *reply)
{
    struct milter_edits edits = { .message = msg };
    enum milter_verdict v = milter_ask(m, &event_eom, SPAN_NULL, &edits, NULL, reply);

    int r = msg->edited(msg->arg, m->state != MILTER_S_FAILED);

    if (r < 0) {
        milter_fail(m, "milter %s: can't keep its changes: %s", m->name, strerror(-r));
        return milter_sticky(m, reply);
    }
    if (m->state == MILTER_S_ENVELOPE || m->state == MILTER_S_ACCEPT_MSG)
        m->state = MILTER_S_READY;
    return v == MILTER_PASS && edits.quarantined ? MILTER_HOLD : v;
}

static enum milter_verdict tell(struct milter *m, const struct milter_message *msg, struct str *reply)
{
    enum milter_verdict v = send_header(m, msg, reply);

    if (v == MILTER_PASS && m->state == MILTER_S_ENVELOPE)
        v = milter_ask(m, &event_eoh, SPAN_NULL, NULL, NULL, reply);
    if (v == MILTER_PASS && m->state == MILTER_S_ENVELOPE)
        v = send_body(m, msg, reply);
    if (v == MILTER_PASS && m->state == MILTER_S_ENVELOPE)
        v = send_end(m, msg, reply);
    return v;
}

enum milter_verdict milters_message(struct milters *ms, const struct milter_message *msg, struct str *reply)
{
    enum milter_verdict hold = MILTER_PASS;

    str_reset(reply);
    for (size_t i = 0; i < ms->len; i++) {
        struct milter *m = &ms->items[i];
        enum milter_verdict v = milter_sticky(m, reply);

        if (v == MILTER_PASS && m->state == MILTER_S_ENVELOPE)
            v = tell(m, msg, reply);
        if (v == MILTER_HOLD)
            hold = v;
        else if (v != MILTER_PASS)
            return v;
    }
    return hold;
}
