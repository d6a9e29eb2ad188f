/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lend.c - a conversation goes to the process that has the message, and comes back
 *
 * The connection is one socket that two processes hold, but only one talks at a time: the lender from its
 * flush to the answer waits for the other. What the borrower's end was is told by a letter for each
 * filter; when it is not told, nobody knows where the conversation is, and it begins anew.
 *
 * Runs in: smtpd (lends), cleanup (receives; the lender is one of ours, but mistrusted).
 */
#include <errno.h>

#include "base/mem.h"
#include "milter/internal.h"

enum letters { LETTER_READY = 'r', LETTER_FAILED = 'f', LETTER_CLOSED = 'c' };

uint32_t milters_to_lend(const struct milters *ms)
{
    uint32_t n = 0;

    for (size_t i = 0; i < ms->len; i++)
        n += ms->items[i].state == MILTER_S_ENVELOPE;
    return n;
}

static void lend(struct milter *m, struct ipc *to)
{
    _cleanup_(milter_pass_msg_done) struct milter_pass p = {
        .version = m->options.version,
        .actions = m->options.actions,
        .steps = m->options.steps,
        .command_s = (uint32_t)m->command_s,
        .content_s = (uint32_t)m->content_s,
        .default_action = m->default_action,
    };
    const char *eoh = milter_macro_names(m, MILTER_EOH), *eom = milter_macro_names(m, MILTER_EOM);

    stream_flush(m->st); /* a failure is found by the other side */
    str_add_str(&p.name, m->name);
    str_add_str(&p.macros_eoh, eoh);
    str_add_str(&p.macros_eom, eom);
    milter_macro_values(m, eoh, &p.values);
    milter_macro_values(m, eom, &p.values);
    ipc_send_fd(to, stream_fd(m->st));
    ipc_send(to, &milter_pass_shape, &p);
    m->state = MILTER_S_LENT;
}

void milters_lend(struct milters *ms, struct ipc *to)
{
    for (size_t i = 0; i < ms->len; i++)
        if (ms->items[i].state == MILTER_S_ENVELOPE)
            lend(&ms->items[i], to);
}

static void settle(struct milter *m, char letter)
{
    switch (letter) {
    case LETTER_READY:
        m->state = MILTER_S_READY;
        return;
    case LETTER_FAILED:
        milter_fail(m, "milter %s: its default action holds for the rest of the session", m->name);
        return;
    case LETTER_CLOSED:
        stream_free(TAKE_PTR(m->st));
        m->state = MILTER_S_FAILED;
        m->sticky = MILTER_CLOSE;
        return;
    default:
        stream_free(TAKE_PTR(m->st));
        m->state = MILTER_S_NEW;
    }
}

void milters_settle(struct milters *ms, const char *states)
{
    for (size_t i = 0; i < ms->len; i++) {
        if (ms->items[i].state != MILTER_S_LENT)
            continue;
        settle(&ms->items[i], *states);
        states += *states != '\0';
    }
}

/* ---- the other side ---- */

static int receive(struct ipc *from, struct milters *ms)
{
    _cleanup_(milter_pass_msg_done) struct milter_pass p = { 0 };
    struct milter *m = &ms->items[ms->len];
    struct milter_options known;
    int fd, r = ipc_recv(from, &milter_pass_shape, &p);

    if (r == 0)
        r = ipc_recv_fd(from, &fd) < 0 ? -EPROTO : 0;
    if (r < 0)
        return r;
    *m = (struct milter){
        .all = ms,
        .name = str_take(&p.name),
        .command_s = p.command_s,
        .content_s = p.content_s,
        .default_action = (enum milter_default)p.default_action,
        .st = stream_new(fd),
        .state = MILTER_S_ENVELOPE,
        .options = { .version = p.version, .actions = p.actions, .steps = p.steps },
        .values = p.values,
    };
    p.values = STR_INIT;
    m->macros[MILTER_EOH] = str_take(&p.macros_eoh);
    m->macros[MILTER_EOM] = str_take(&p.macros_eom);
    ms->len++;
    return milter_options_of_version(p.version, &known) ? 0 : -EPROTO;
}

int milters_receive(struct ipc *from, uint32_t n, const struct milter_host *host, struct milters **ret)
{
    _cleanup_(milters_free_ptr_) struct milters *ms = mem_new(struct milters);

    ms->host = *host;
    ms->items = mem_new_n(struct milter, n > 0 ? n : 1);
    for (uint32_t i = 0; i < n; i++) {
        int r = receive(from, ms);

        if (r < 0)
            return r;
    }
    *ret = TAKE_PTR(ms);
    return 0;
}

void milters_give_back(struct milters *ms, char ret[static SUBMIT_MILTERS_MAX + 1])
{
    milters_abort(ms);
    for (size_t i = 0; i < ms->len; i++) {
        struct milter *m = &ms->items[i];
        bool clean = m->state == MILTER_S_READY && stream_buffered(m->st) == 0;

        ret[i] = clean                            ? LETTER_READY
                 : m->state == MILTER_S_FAILED && m->sticky == MILTER_CLOSE ? LETTER_CLOSED
                                                                            : LETTER_FAILED;
    }
    ret[ms->len] = '\0';
}
