/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lf.c - CRLF lines to the LF lines of a Maildir file, and back
 *
 * Line by line with memchr, since a message passes here once for each delivery. A piece may be cut
 * anywhere: a CR at its end is held until the next byte is known.
 *
 * Runs in: local, virtual, imapd, pop3d. Input is any message.
 */
#include "mailbox/lf.h"

/* The CR held from the piece before, and a LF that completes it */
static size_t feed_held(struct lf_writer *w, struct span *in, char *out)
{
    bool crlf = in->ptr[0] == '\n';

    w->held = false;
    if (!crlf) {
        w->vsize++;
        out[0] = '\r';
        w->after_cr = true;
        return 1;
    }
    bool keep = w->after_cr;

    *in = span_from(*in, 1);
    w->after_cr = false;
    w->vsize += 2;
    if (keep) {
        out[0] = '\r';
        out[1] = '\n';
        return 2;
    }
    out[0] = '\n';
    return 1;
}

size_t lf_feed(struct lf_writer *w, struct span in, char *out)
{
    size_t o = 0;

    if (in.len == 0)
        return 0;
    if (w->held)
        o = feed_held(w, &in, out);

    const char *p = in.ptr, *end = in.ptr + in.len, *nl;

    while (p < end && (nl = memchr(p, '\n', (size_t)(end - p)))) {
        size_t n = (size_t)(nl - p);
        bool cr = n > 0 ? nl[-1] == '\r' : w->after_cr;
        bool stray = cr && (n > 1 ? nl[-2] == '\r' : n == 0 || w->after_cr);

        if (cr && !stray)
            n--;
        memmove(out + o, p, n);
        o += n;
        out[o++] = '\n';
        w->vsize += n + (stray ? 1 : 2);
        w->after_cr = false;
        p = nl + 1;
    }
    if (p < end) {
        size_t n = (size_t)(end - p);

        if (end[-1] == '\r') {
            w->held = true;
            n--;
        }
        if (n > 0)
            w->after_cr = p[n - 1] == '\r';
        memmove(out + o, p, n);
        o += n;
        w->vsize += n;
    }
    w->size += o;
    return o;
}

size_t lf_finish(struct lf_writer *w, char *out)
{
    if (!w->held)
        return 0;
    w->held = false;
    w->size++;
    w->vsize++;
    out[0] = '\r';
    return 1;
}

size_t lf_bare(struct span bytes, bool *after_cr)
{
    size_t bare = 0;
    const char *p = bytes.ptr, *end = bytes.ptr + bytes.len, *nl;

    if (bytes.len == 0)
        return 0;
    while (p < end && (nl = memchr(p, '\n', (size_t)(end - p)))) {
        bool cr = nl > bytes.ptr ? nl[-1] == '\r' : *after_cr;

        bare += !cr;
        p = nl + 1;
    }
    *after_cr = end[-1] == '\r';
    return bare;
}

void lf_expand(struct str *s, size_t from)
{
    bool after_cr = false;
    size_t more = s->len > from ? lf_bare(span_from(str_span(s), from), &after_cr) : 0;

    if (more == 0)
        return;
    str_reserve(s, more);

    /* From the end, so that every byte moves once and nothing is overwritten before it has moved. */
    char *base = s->data + from, *src = s->data + s->len, *dst = src + more;

    s->len += more;
    s->data[s->len] = '\0';
    while (src < dst) {
        char *nl = memrchr(base, '\n', (size_t)(src - base));
        size_t n = (size_t)(src - (nl + 1));

        dst -= n;
        memmove(dst, nl + 1, n);
        *--dst = '\n';
        src = nl;
        if (nl == base || nl[-1] != '\r')
            *--dst = '\r';
    }
}
