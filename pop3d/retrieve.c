/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retrieve.c - a message on the wire: CRLF, dot-stuffing, no NUL
 *
 * Implements RFC 1939 section 3 (multi-line responses) for files with LF or CRLF lines. Pieces of
 * 64 KiB are converted line by line with memchr into one buffer and written at once; the
 * state between two pieces is whether a line begins and whether a CR came last.
 *
 * Runs in: pop3d. The message is anybody's.
 */
#include <errno.h>
#include <unistd.h>

#include "base/mem.h"
#include "pop3d/pop3.h"

#define PIECE 65536

struct wire {
    struct str out;
    bool line_begins, after_cr;
    bool in_header;
    bool line_is_empty;         /* nothing but CR so far in this line */
    uint64_t lines_left;        /* of the body */
};

/* Add what is left of a line within the piece; has_lf: its end is there. */
static void add_line(struct wire *w, struct span part, bool has_lf)
{
    if (w->line_begins && part.len > 0 && part.ptr[0] == '.')
        str_add_char(&w->out, '.');
    if (w->line_begins)
        w->line_is_empty = true;
    if (part.len > 0) {
        str_add(&w->out, part);
        w->after_cr = part.ptr[part.len - 1] == '\r';
        if (part.len > 1 || !w->after_cr)
            w->line_is_empty = false;
        w->line_begins = false;
    }
    if (!has_lf)
        return;
    str_add(&w->out, w->after_cr ? (struct span)SPAN("\n") : (struct span)SPAN("\r\n"));
    w->line_begins = true;
    w->after_cr = false;
}

/* Is the answer complete after the line just added? */
static bool line_ended(struct wire *w)
{
    if (w->in_header) {
        w->in_header = !w->line_is_empty;
        return !w->in_header && w->lines_left == 0;
    }
    return w->lines_left != UINT64_MAX && --w->lines_left == 0;
}

/* Returns true when no more is wanted. */
static bool convert(struct wire *w, struct span piece)
{
    while (piece.len > 0) {
        ptrdiff_t lf = span_chr(piece, '\n');

        if (lf < 0) {
            add_line(w, piece, false);
            return false;
        }
        add_line(w, span_first(piece, (size_t)lf), true);
        piece = span_from(piece, (size_t)lf + 1);
        if (w->lines_left != UINT64_MAX && line_ended(w))
            return true;
    }
    return false;
}

/* Mail programs cut lines at a NUL or give up; the length stays what it is, as with IMAP. */
static void replace_nuls(char *buf, size_t n)
{
    const char *end = buf + n;

    while ((buf = memchr(buf, '\0', (size_t)(end - buf))))
        *buf++ = '\200';
}

int64_t retrieve(struct stream *client, int fd, uint64_t body_lines)
{
    struct wire w = { .out = STR_INIT, .line_begins = true, .in_header = true, .lines_left = body_lines };
    _cleanup_free_ char *buf = mem_realloc(NULL, PIECE, 1);
    int64_t sent = 0;
    bool enough = false;
    ssize_t n = PIECE;

    while (n == PIECE && !enough) {
        n = read(fd, buf, PIECE); /* of a file, less than asked for is its end */
        if (n < 0) {
            str_free(&w.out);
            return -errno;
        }
        replace_nuls(buf, (size_t)n);
        str_reset(&w.out);
        str_reserve(&w.out, (size_t)n + (size_t)n / 16);
        enough = convert(&w, span_make(buf, (size_t)n));
        sent += (int64_t)w.out.len;
        stream_write(client, str_span(&w.out));
    }
    if (!w.line_begins)
        stream_puts(client, w.after_cr ? "\n" : "\r\n");
    stream_puts(client, ".\r\n");
    str_free(&w.out);
    return sent;
}
