/* SPDX-License-Identifier: Apache-2.0 */
/*
 * milters.c - the events of an SMTP session, told to each filter in its order
 *
 * Runs in: smtpd; in cleanup for mail that does not come by SMTP.
 */
#include "base/mem.h"
#include "milter/internal.h"

struct milters *milters_new(const struct milter_list *list, const struct milter_host *host)
{
    struct milters *ms = mem_new(struct milters);

    ms->host = *host;
    ms->len = list->len;
    ms->items = mem_new_n(struct milter, list->len > 0 ? list->len : 1);
    for (size_t i = 0; i < list->len; i++) {
        const struct milter_settings *s = &list->items[i];

        ms->items[i] = (struct milter){ .all = ms,
                                        .name = mem_strdup(s->name),
                                        .settings = s,
                                        .command_s = s->command_s,
                                        .content_s = s->content_s,
                                        .default_action = s->default_action };
    }
    return ms;
}

/* A goodbye goes as far as it goes without a wait: nobody hears an answer any more. */
static void say_goodbye(struct milter *m)
{
    static const char quit[] = { 0, 0, 0, 1, MILTER_CMD_QUIT };

    if (m->st && m->state != MILTER_S_LENT && m->settings)
        (void)!send(stream_fd(m->st), quit, sizeof(quit), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void milters_free(struct milters *ms)
{
    if (!ms)
        return;
    for (size_t i = 0; i < ms->len; i++) {
        say_goodbye(&ms->items[i]);
        milter_done(&ms->items[i]);
    }
    free(ms->items);
    str_free(&ms->payload);
    str_free(&ms->client_name);
    str_free(&ms->client_addr);
    str_free(&ms->helo);
    free(ms);
}

/* ---- asking all ---- */

/* Ask the filters that are in one of `states`; the sticky answers of others count as well. To put the message on hold
 * is no reason not to ask the next one. */
static enum milter_verdict ask_all(struct milters *ms, const struct milter_event *e, unsigned states,
                                   struct str *reply)
{
    enum milter_verdict hold = MILTER_PASS;

    str_reset(reply);
    for (size_t i = 0; i < ms->len; i++) {
        struct milter *m = &ms->items[i];
        enum milter_verdict v = milter_sticky(m, reply);

        if (v == MILTER_PASS && (states & 1u << m->state))
            v = milter_ask(m, e, str_span(&ms->payload), NULL, NULL, reply);
        if (v == MILTER_HOLD)
            hold = v;
        else if (v != MILTER_PASS)
            return v;
    }
    return hold;
}

#define IN(state) (1u << MILTER_S_##state)

/* ---- the session ---- */

static const struct milter_event event_connect = { MILTER_CMD_CONNECT, MILTER_CONNECT, MILTER_NO_CONNECT,
                                                   MILTER_NR_CONNECT };
static const struct milter_event event_helo = { MILTER_CMD_HELO, MILTER_HELO, MILTER_NO_HELO, MILTER_NR_HELO };

static void compose_connect(const struct milters *ms, struct str *ret)
{
    const struct milter_client *c = &ms->client;
    char port[2] = { (char)(c->port >> 8), (char)c->port };

    str_reset(ret);
    milter_add_text(ret, c->name);
    str_add_char(ret, c->is_unix ? 'L' : span_chr(c->addr, ':') >= 0 ? '6' : '4');
    str_add(ret, span_make(port, sizeof(port)));
    milter_add_text(ret, c->addr);
}

static void compose_helo(const struct milters *ms, struct str *ret)
{
    str_reset(ret);
    milter_add_text(ret, str_span(&ms->helo));
}

enum milter_verdict milters_connect(struct milters *ms, const struct milter_client *c, struct str *reply)
{
    str_set(&ms->client_name, c->name);
    str_set(&ms->client_addr, c->addr);
    ms->client = *c;
    ms->client.name = str_span(&ms->client_name);
    ms->client.addr = str_span(&ms->client_addr);
    compose_connect(ms, &ms->payload);
    for (size_t i = 0; i < ms->len; i++)
        if (ms->items[i].state == MILTER_S_NEW)
            milter_open(&ms->items[i]);
    return ask_all(ms, &event_connect, IN(READY), reply);
}

enum milter_verdict milters_helo(struct milters *ms, struct span name, struct str *reply)
{
    str_set(&ms->helo, name);
    compose_helo(ms, &ms->payload);
    return ask_all(ms, &event_helo, IN(READY), reply);
}

/* A filter whose conversation was lost elsewhere is told from the beginning. */
static void begin_again(struct milters *ms, struct milter *m, struct str *reply)
{
    _cleanup_(str_free) struct str payload = STR_INIT;

    milter_open(m);
    compose_connect(ms, &payload);
    if (m->state == MILTER_S_READY)
        milter_ask(m, &event_connect, str_span(&payload), NULL, NULL, reply);
    compose_helo(ms, &payload);
    if (m->state == MILTER_S_READY && ms->helo.len > 0)
        milter_ask(m, &event_helo, str_span(&payload), NULL, NULL, reply);
}

enum milter_verdict milters_other(const struct milters *ms, struct str *reply)
{
    str_reset(reply);
    for (size_t i = 0; i < ms->len; i++) {
        enum milter_verdict v = milter_sticky(&ms->items[i], reply);

        if (v == MILTER_REFUSE || v == MILTER_CLOSE)
            return v;
    }
    return MILTER_PASS;
}

enum milter_verdict milters_unknown(struct milters *ms, struct span line, struct str *reply)
{
    static const struct milter_event e = { MILTER_CMD_UNKNOWN, MILTER_UNKNOWN, MILTER_NO_UNKNOWN,
                                           MILTER_NR_UNKNOWN };

    str_reset(&ms->payload);
    milter_add_text(&ms->payload, line);
    return ask_all(ms, &e, IN(READY) | IN(ENVELOPE), reply);
}

/* ---- the envelope ---- */

static void compose_args(struct milters *ms, const struct span *args, size_t n)
{
    str_reset(&ms->payload);
    for (size_t i = 0; i < n; i++)
        milter_add_text(&ms->payload, args[i]);
}

enum milter_verdict milters_mail(struct milters *ms, const struct span *args, size_t n, struct str *reply)
{
    static const struct milter_event e = { MILTER_CMD_MAIL, MILTER_MAIL, MILTER_NO_MAIL, MILTER_NR_MAIL };

    compose_args(ms, args, n);
    for (size_t i = 0; i < ms->len; i++) {
        struct milter *m = &ms->items[i];

        if (m->state == MILTER_S_NEW)
            begin_again(ms, m, reply);
        if (m->state == MILTER_S_READY)
            m->state = MILTER_S_ENVELOPE;
    }
    return ask_all(ms, &e, IN(ENVELOPE), reply);
}

static const struct milter_event event_rcpt = { MILTER_CMD_RCPT, MILTER_RCPT, MILTER_NO_RCPT, MILTER_NR_RCPT };

enum milter_verdict milters_rcpt(struct milters *ms, const struct span *args, size_t n, struct str *reply)
{
    compose_args(ms, args, n);
    return ask_all(ms, &event_rcpt, IN(ENVELOPE), reply);
}

bool milters_want_refused(const struct milters *ms)
{
    for (size_t i = 0; i < ms->len; i++)
        if (ms->items[i].state == MILTER_S_ENVELOPE && (ms->items[i].options.steps & MILTER_RCPT_REJ))
            return true;
    return false;
}

void milters_rcpt_refused(struct milters *ms, const struct span *args, size_t n)
{
    _cleanup_(str_free) struct str reply = STR_INIT;

    compose_args(ms, args, n);
    for (size_t i = 0; i < ms->len; i++) {
        struct milter *m = &ms->items[i];

        if (m->state == MILTER_S_ENVELOPE && (m->options.steps & MILTER_RCPT_REJ))
            milter_ask(m, &event_rcpt, str_span(&ms->payload), NULL, NULL, &reply);
    }
}

enum milter_verdict milters_data(struct milters *ms, struct str *reply)
{
    static const struct milter_event e = { MILTER_CMD_DATA, MILTER_DATA, MILTER_NO_DATA, MILTER_NR_DATA };

    str_reset(&ms->payload);
    return ask_all(ms, &e, IN(ENVELOPE), reply);
}

void milters_abort(struct milters *ms)
{
    for (size_t i = 0; i < ms->len; i++) {
        struct milter *m = &ms->items[i];

        if (m->state != MILTER_S_ENVELOPE && m->state != MILTER_S_ACCEPT_MSG)
            continue;
        milter_say(m, MILTER_CMD_ABORT);
        m->state = MILTER_S_READY;
        if (stream_flush(m->st) < 0)
            milter_fail(m, "milter %s: can't send SMFIC_ABORT: %s", m->name, strerror(-stream_error(m->st)));
    }
}
