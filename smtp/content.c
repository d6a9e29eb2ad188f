/* SPDX-License-Identifier: Apache-2.0 */
/*
 * content.c - the bytes of a message, dot-stuffed (RFC 5321 section 4.5.2)
 *
 * Content in a queue file has CRLF lines, so only "LF ." needs a look; memchr finds the LFs. A
 * message that does not end in a line end gets one, since the end of DATA needs it. A bare CR
 * becomes a blank (cleanup_replace_stray_cr_lf): a next hop that takes it for a line end could be
 * made to see an end of DATA of the author's making. Mailboxes here get the message as it came.
 *
 * Runs in: smtp.
 */
#include <errno.h>

#include "smtp/smtp.h"

enum { PIECE = 64 << 10 };

/* One line, or a part of one: CR LF at its end stays, any other CR does not. */
static void add_line(struct span line, struct content_state *s, struct str *ret)
{
    while (line.len > 0) {
        ptrdiff_t cr = span_chr(line, '\r');
        size_t n = cr < 0 ? line.len : (size_t)cr;
        str_add(ret, span_first(line, n));
        line = span_from(line, n);
        if (line.len == 0)
            return;
        line = span_from(line, 1);
        if (line.len == 0)
            s->cr = true;       /* the next piece tells what it is */
        else
            str_add_char(ret, line.ptr[0] == '\n' || s->keep_bare_cr ? '\r' : ' ');
    }
}

void content_stuff(struct span bytes, struct content_state *s, struct str *ret)
{
    while (bytes.len > 0) {
        if (s->cr)
            str_add_char(ret, bytes.ptr[0] == '\n' || s->keep_bare_cr ? '\r' : ' ');
        s->cr = false;
        if (s->at_line_start && bytes.ptr[0] == '.')
            str_add_char(ret, '.');
        ptrdiff_t lf = span_chr(bytes, '\n');
        size_t n = lf < 0 ? bytes.len : (size_t)lf + 1;
        add_line(span_first(bytes, n), s, ret);
        s->at_line_start = lf >= 0;
        bytes = span_from(bytes, n);
    }
}

int content_send(struct stream *st, int fd, uint64_t offset, uint64_t size, bool keep_bare_cr)
{
    _cleanup_(str_free) struct str in = STR_INIT, out = STR_INIT;
    struct content_state state = { .at_line_start = true, .keep_bare_cr = keep_bare_cr };

    while (size > 0 && stream_error(st) == 0) {
        size_t want = size < PIECE ? (size_t)size : PIECE;
        str_reset(&in);
        str_reserve(&in, want);
        ssize_t n = pread(fd, in.data, want, (off_t)offset);
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        str_reset(&out);
        content_stuff(span_make(in.data, (size_t)n), &state, &out);
        stream_write(st, str_span(&out));
        offset += (uint64_t)n;
        size -= (uint64_t)n;
    }
    stream_puts(st, state.at_line_start ? ".\r\n" : "\r\n.\r\n");
    return stream_flush(st);
}
