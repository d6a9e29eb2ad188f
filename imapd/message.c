/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message.c - read a message file in pieces, as the client shall see it
 *
 * Most commands want the header only, which is in the first piece; an attachment
 * behind it is then never read. Line ends become CRLF on the way (Maildir stores LF).
 *
 * Runs in: imapd (content is hostile). Logs nothing.
 */
#include "message.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "mailbox/lf.h"

#define FIRST_PIECE (16 * 1024)
#define PIECE       (1024 * 1024)
#define KEEP_MAX    (256 * 1024)

void message_init(struct message *m, struct message_limits limits)
{
    *m = (struct message){ .fd = -1, .data = STR_INIT, .mime = MIME_INIT, .limits = limits };
}

static void forget(struct message *m)
{
    if (m->fd >= 0)
        close(m->fd);
    m->fd = -1;
    mime_done(&m->mime);
    m->parsed = m->complete = false;
    m->header_len = SIZE_MAX;
    if (m->data.cap > KEEP_MAX)
        str_free(&m->data);
    else
        str_reset(&m->data);
}

void message_done(struct message *m)
{
    forget(m);
    str_free(&m->data);
}

int message_open(struct message *m, struct mailbox *mb, uint32_t seq)
{
    forget(m);

    int fd = mailbox_open_message(mb, seq);

    if (fd < 0)
        return fd;
    m->fd = fd;
    return 0;
}

/* Read up to `size` bytes more. A short count is the end of a regular file. */
static int read_piece(struct message *m, size_t size)
{
    size_t from = m->data.len, got = 0;

    str_reserve(&m->data, size);
    while (got < size) {
        ssize_t n = read(m->fd, m->data.data + from + got, size - got);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        got += (size_t)n;
        if (n == 0 || got < size) {
            m->complete = true;
            close(m->fd);
            m->fd = -1;
            break;
        }
    }
    m->data.len += got;
    m->data.data[m->data.len] = '\0';
    /* A CR at the end of the last piece belongs to a LF at the front of this one. */
    lf_expand(&m->data, from > 0 && m->data.data[from - 1] == '\r' ? from - 1 : from);
    return 0;
}

/* Look for the end of the header in what was not looked at yet. */
static void find_header_end(struct message *m, size_t from)
{
    static const struct span empty_line = SPAN("\r\n\r\n");
    struct span all = str_span(&m->data);

    if (span_starts(all, (struct span)SPAN("\r\n"))) {
        m->header_len = 2;
        return;
    }
    from = from > 3 ? from - 3 : 0;

    ptrdiff_t at = span_find(span_from(all, from), empty_line);

    if (at >= 0)
        m->header_len = from + (size_t)at + empty_line.len;
    else if (m->complete)
        m->header_len = all.len;
}

int message_header(struct message *m, struct span *ret)
{
    while (m->header_len == SIZE_MAX) {
        size_t before = m->data.len;

        if (!m->complete) {
            int r = read_piece(m, before == 0 ? FIRST_PIECE : PIECE);

            if (r < 0)
                return r;
        }
        find_header_end(m, before);
    }
    *ret = span_first(str_span(&m->data), m->header_len);
    return 0;
}

int message_all(struct message *m, struct span *ret)
{
    int r = message_header(m, ret);

    while (r == 0 && !m->complete)
        r = read_piece(m, PIECE);
    *ret = str_span(&m->data);
    return r;
}

int message_mime(struct message *m, const struct mime **ret)
{
    struct span all;
    int r = message_all(m, &all);

    if (r < 0)
        return r;
    if (!m->parsed)
        mime_parse(all, m->limits.mime_depth, m->limits.mime_parts, &m->mime);
    m->parsed = true;
    *ret = &m->mime;
    return 0;
}
