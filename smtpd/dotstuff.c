/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dotstuff.c - find the end of DATA and undo dot-stuffing
 *
 * Implements RFC 5321 section 4.5.2. The five bytes CR LF . CR LF may be spread
 * over any number of reads, so the parser keeps one small state between spans.
 * Nothing else ends a message: two servers that disagree about line ends let a
 * client smuggle a second message into the first. A bare CR or LF is counted here;
 * smtpd_forbid_bare_newline decides what becomes of such a message.
 *
 * Lines are found with memchr and copied in runs of many lines; only bytes around
 * a cut, a dot or a bare CR or LF go through the state machine one by one.
 *
 * Runs in: smtpd (input is hostile). Logs nothing.
 */
#include "smtpd/dotstuff.h"

void dotstuff_init(struct dotstuff *d, unsigned flags)
{
    *d = (struct dotstuff){ .flags = flags, .state = DOTSTUFF_LINE };
}

static void add_crlf(struct str *out)
{
    str_add(out, span_make("\r\n", 2));
}

/* A CR that no LF follows: content, here; the SMTP client does not pass it on (smtp/content.c) */
static void add_bare_cr(struct dotstuff *d, struct str *out)
{
    d->bare_cr = true;
    str_add_char(out, '\r');
}

static enum dotstuff_state end_bare_line(struct dotstuff *d, struct str *out)
{
    d->bare_lf = true;
    add_crlf(out);
    return DOTSTUFF_BARE_LINE;
}

static bool at_dot(const struct dotstuff *d, struct span in)
{
    return in.ptr[0] == '.' && !(d->flags & DOTSTUFF_BDAT);
}

/* The next LF at or after `from`, or `end`. *lf is the last one found: looking again only when it has been
 * passed keeps the work linear for input full of bare CRs. */
static const char *next_lf(const char *from, const char *end, const char **lf)
{
    if (*lf < from) {
        *lf = memchr(from, '\n', (size_t)(end - from));
        if (!*lf)
            *lf = end;
    }
    return *lf;
}

/*
 * The plain lines at the front of in: up to a line that begins with a dot, a bare CR or LF, or
 * the end. Returns their length; *ret is the state after them.
 */
static size_t plain_run(const struct dotstuff *d, struct span in, const char **lf,
                        enum dotstuff_state *ret)
{
    const char *p = in.ptr;
    const char *end = in.ptr + in.len;

    for (;;) {
        const char *line_end = next_lf(p, end, lf);
        const char *cr = memchr(p, '\r', (size_t)(line_end - p));

        *ret = DOTSTUFF_TEXT;
        if (!cr)
            return (size_t)(line_end - in.ptr);
        if (line_end == end || cr + 1 != line_end)
            return (size_t)(cr - in.ptr);
        p = line_end + 1;
        *ret = DOTSTUFF_LINE;
        if (p == end || at_dot(d, span_make(p, (size_t)(end - p))))
            return (size_t)(p - in.ptr);
    }
}

/* One byte, in any state; returns the next state */
static enum dotstuff_state step(struct dotstuff *d, char c, struct str *out)
{
    switch (d->state) {
    case DOTSTUFF_LINE:
        if (c == '.' && !(d->flags & DOTSTUFF_BDAT))
            return DOTSTUFF_DOT;
        break;
    case DOTSTUFF_BARE_LINE: /* a client that ends lines with LF stuffs their dots as well */
        if (c == '.' && !(d->flags & DOTSTUFF_BDAT))
            return DOTSTUFF_TEXT;
        break;
    case DOTSTUFF_DOT:
        if (c == '\r')
            return DOTSTUFF_DOT_CR;
        break;
    case DOTSTUFF_DOT_CR:
        if (c == '\n')
            return DOTSTUFF_END;
        add_bare_cr(d, out);
        break;
    case DOTSTUFF_CR:
        if (c == '\n') {
            add_crlf(out);
            return DOTSTUFF_LINE;
        }
        add_bare_cr(d, out);
        break;
    case DOTSTUFF_TEXT:
    case DOTSTUFF_END:
        break;
    }
    if (c == '\r')
        return DOTSTUFF_CR;
    if (c == '\n')
        return end_bare_line(d, out);
    str_add_char(out, c);
    return DOTSTUFF_TEXT;
}

/* May plain lines be copied from here? */
static bool in_plain_state(const struct dotstuff *d, struct span in)
{
    return d->state == DOTSTUFF_TEXT ||
           ((d->state == DOTSTUFF_LINE || d->state == DOTSTUFF_BARE_LINE) && !at_dot(d, in));
}

int dotstuff_feed(struct dotstuff *d, struct span *in, struct str *out)
{
    const char *lf = NULL;

    while (in->len > 0 && d->state != DOTSTUFF_END) {
        if (in_plain_state(d, *in)) {
            enum dotstuff_state after;
            size_t n = plain_run(d, *in, &lf, &after);

            if (n > 0) {
                str_add(out, span_first(*in, n));
                *in = span_from(*in, n);
                d->state = after;
                continue;
            }
        }
        d->state = step(d, in->ptr[0], out);
        *in = span_from(*in, 1);
    }
    return d->state == DOTSTUFF_END;
}

void dotstuff_finish(struct dotstuff *d, struct str *out)
{
    if (d->state == DOTSTUFF_CR)
        add_bare_cr(d, out);
    if (d->state == DOTSTUFF_CR || d->state == DOTSTUFF_TEXT)
        add_crlf(out);
    d->state = DOTSTUFF_END;
}
