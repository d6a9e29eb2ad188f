/* SPDX-License-Identifier: Apache-2.0 */
/*
 * content.c - the message as a command reads it: its own line ends, and what flags= puts in front of lines
 *
 * Runs in: pipe. The message is anybody's; it may be cut anywhere.
 */
#include <time.h>

#include "base/clock.h"
#include "mail/address.h"
#include "pipe/pipe.h"

static const struct span from = SPAN("From ");

/* The first bytes of a line are known: what goes in front of them? */
static void begin_line(struct content_state *s, struct str *out)
{
    struct span start = str_span(&s->start);

    if ((s->flags & PIPE_FROM_QUOTE) && span_starts(start, from))
        str_add_char(out, '>');
    if ((s->flags & PIPE_DOTS) && start.len > 0 && start.ptr[0] == '.')
        str_add_char(out, '.');
    str_add(out, start);
    str_reset(&s->start);
    s->in_line = true;
}

static void end_line(struct content_state *s, struct str *out)
{
    if (!s->in_line)
        begin_line(s, out);
    str_add(out, s->eol);
    s->in_line = false;
}

static void add_byte(struct content_state *s, char c, struct str *out)
{
    if (s->in_line) {
        str_add_char(out, c);
        return;
    }
    str_add_char(&s->start, c);
    if (s->start.len == from.len)
        begin_line(s, out);
}

void content_convert(struct content_state *s, struct span in, struct str *out)
{
    for (size_t i = 0; i < in.len; i++) {
        char c = in.ptr[i];

        if (s->cr && c != '\n')
            add_byte(s, '\r', out);
        s->cr = c == '\r';
        if (c == '\n')
            end_line(s, out);
        else if (!s->cr)
            add_byte(s, c, out);
    }
}

void content_end(struct content_state *s, struct str *out)
{
    if (s->cr)
        add_byte(s, '\r', out);
    s->cr = false;
    if (s->in_line || s->start.len > 0)
        end_line(s, out);
    if (s->flags & PIPE_BLANK_LINE)
        str_add(out, s->eol);
    if (s->flags & PIPE_DOTS) {
        str_add_char(out, '.');
        str_add(out, s->eol);
    }
    str_free(&s->start);
}

/* No address can end a header line. */
static void add_address(struct str *out, struct span address)
{
    _cleanup_(str_free) struct str quoted = STR_INIT;

    address_quote(&quoted, address);
    for (size_t i = 0; i < quoted.len; i++)
        str_add_char(out, (unsigned char)quoted.data[i] < ' ' ? '?' : quoted.data[i]);
}

static void add_from_line(const struct pipe_request *q, struct str *out)
{
    time_t now = (time_t)clock_real();
    char stamp[40] = "";
    struct tm tm;

    if (localtime_r(&now, &tm))
        strftime(stamp, sizeof stamp, "%a %b %e %H:%M:%S %Y", &tm);
    str_add(out, from);
    if (q->d.sender.len > 0)
        add_address(out, str_span(&q->d.sender));
    else
        str_add_str(out, q->config->null_sender);
    str_addf(out, " %s", stamp);
    str_add(out, str_span(&q->config->eol));
}

static void add_field(const struct pipe_request *q, const char *name, struct span address, const char *end,
                      struct str *out)
{
    str_add_str(out, name);
    add_address(out, address);
    str_add_str(out, end);
    str_add(out, str_span(&q->config->eol));
}

void content_head(const struct pipe_request *q, struct str *out)
{
    const struct deliver_rcpt *r = &q->rcpts[0];
    unsigned flags = q->config->flags;

    if (flags & PIPE_FROM_LINE)
        add_from_line(q, out);
    if (flags & PIPE_RETURN_PATH)
        add_field(q, "Return-Path: <", str_span(&q->d.sender), ">", out);
    if (flags & PIPE_ORIGINAL_TO)
        add_field(q, "X-Original-To: ", str_span(r->orig.len > 0 ? &r->orig : &r->address), "", out);
    if (flags & PIPE_DELIVERED_TO)
        add_field(q, "Delivered-To: ", str_span(&r->address), "", out);
}
