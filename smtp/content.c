/* SPDX-License-Identifier: Apache-2.0 */
/*
 * content.c - the bytes of a message, dot-stuffed (RFC 5321 section 4.5.2)
 *
 * Content in a queue file has CRLF lines, so only "LF ." needs a look; memchr finds
 * the LFs. A message that does not end in a line end gets one, since the end of DATA needs it.
 *
 * Runs in: smtp.
 */
#include <errno.h>

#include "smtp/smtp.h"

enum { PIECE = 64 << 10 };

void content_stuff(struct span bytes, bool *at_line_start, struct str *ret)
{
    while (bytes.len > 0) {
        if (*at_line_start && bytes.ptr[0] == '.')
            str_add_char(ret, '.');
        ptrdiff_t lf = span_chr(bytes, '\n');
        size_t n = lf < 0 ? bytes.len : (size_t)lf + 1;
        str_add(ret, span_first(bytes, n));
        *at_line_start = lf >= 0;
        bytes = span_from(bytes, n);
    }
}

int content_send(struct stream *st, int fd, uint64_t offset, uint64_t size)
{
    _cleanup_(str_free) struct str in = STR_INIT, out = STR_INIT;
    bool at_line_start = true;

    while (size > 0 && stream_error(st) == 0) {
        size_t want = size < PIECE ? (size_t)size : PIECE;
        str_reset(&in);
        str_reserve(&in, want);
        ssize_t n = pread(fd, in.data, want, (off_t)offset);
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        str_reset(&out);
        content_stuff(span_make(in.data, (size_t)n), &at_line_start, &out);
        stream_write(st, str_span(&out));
        offset += (uint64_t)n;
        size -= (uint64_t)n;
    }
    stream_puts(st, at_line_start ? ".\r\n" : "\r\n.\r\n");
    return stream_flush(st);
}
