/* SPDX-License-Identifier: Apache-2.0 */
/*
 * submit.c - handing a notice to cleanup
 *
 * It has the null sender and asks for no notification, so that it can never cause another. What goes to the
 * postmaster is from double_bounce_sender: mail that fails with that sender is dropped.
 *
 * Runs in: bounce.
 */
#include "bounce/submit.h"

#include <errno.h>

#include "base/clock.h"
#include "mail/header.h"

#define CONNECT_TIMEOUT_MS 30000
#define COPY_SIZE          32768

static void send_envelope(struct ipc *c, const struct notice *n, struct span postmaster_sender, int fd)
{
    /* A guess, with which cleanup sees early that the disk is full. */
    uint64_t text = notice_count(n) * 1024, content = notice_returns_body(n) ? n->e->content_size : 0;
    const char *class = n->audience == TO_SENDER ? "bounce" : "notify";
    struct submit s = {
        .origin = SUBMIT_INTERNAL,
        .flags = (n->e->flags & SUBMIT_SMTPUTF8) | (notice_is_8bit(n) ? SUBMIT_8BIT : 0u) |
                 (span_list_has(span_of(n->params->internal_mail_filter_classes), class) ? SUBMIT_FILTER : 0u),
        .n_rcpt = 1,
        .size_hint = text + content,
        .service = "bounce",
        .report = n->number,
    };
    struct submit_rcpt rcpt = {
        .address = { .data = (char *)n->to, .len = strlen(n->to) },
        .dsn_notify = n->audience == TO_SENDER ? DSN_NEVER : DSN_FAILURE,
    };

    if (n->audience != TO_SENDER)
        s.sender = (struct str){ .data = (char *)postmaster_sender.ptr, .len = postmaster_sender.len };
    if (n->number)
        ipc_send_fd(c, fd);
    ipc_send(c, &submit_shape, &s);
    ipc_send(c, &submit_rcpt_shape, &rcpt);
}

static ssize_t read_some(int fd, char *buf, uint64_t left, uint64_t offset)
{
    ssize_t n = pread(fd, buf, left < COPY_SIZE ? (size_t)left : COPY_SIZE, (off_t)offset);

    if (n < 0)
        return -errno;
    return n > 0 ? n : -EIO; /* shorter than its header says */
}

static int send_message(struct ipc *c, const struct notice *n, int fd)
{
    _cleanup_free_ char *buf = mem_calloc(1, COPY_SIZE);
    uint64_t offset = n->e->content_offset, left = n->e->content_size;

    while (left > 0) {
        ssize_t got = read_some(fd, buf, left, offset);

        if (got < 0)
            return (int)got;
        ipc_send_chunk(c, span_make(buf, (size_t)got));
        offset += (uint64_t)got;
        left -= (uint64_t)got;
    }
    return 0;
}

int notice_read_header(const struct notice *n, int fd, struct str *ret)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    uint64_t most = (uint64_t)n->params->bounce_size_limit, left = n->e->content_size;
    uint64_t offset = n->e->content_offset;

    if (left > most)
        left = most;
    while (left > 0) {
        str_reserve(&text, COPY_SIZE);
        ssize_t got = read_some(fd, text.data + text.len, left, offset);

        if (got < 0)
            return (int)got;
        str_advance(&text, (size_t)got);
        offset += (uint64_t)got;
        left -= (uint64_t)got;
        if (span_find(str_span(&text), span_of("\r\n\r\n")) >= 0)
            break;
    }

    struct span rest = str_span(&text);
    struct header_field field;

    while (header_next(&rest, text.len, &field) == 1)
        str_add(ret, field.raw);
    return 0;
}

static int send_header(struct ipc *c, const struct notice *n, int fd)
{
    _cleanup_(str_free) struct str header = STR_INIT;
    int r = notice_read_header(n, fd, &header);

    if (r == 0 && header.len > 0)
        ipc_send_chunk(c, str_span(&header));
    return r;
}

static void spill_chunk(struct str *text, void *arg)
{
    if (text->len > 0) /* an empty chunk would end the message */
        ipc_send_chunk(arg, str_span(text));
    str_reset(text);
}

static int converse(struct ipc *c, const struct notice *notice, struct span postmaster_sender, int fd,
                    struct submit_result *ret)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    struct notice n = *notice;

    n.spill = spill_chunk;
    n.spill_arg = c;
    send_envelope(c, &n, postmaster_sender, fd);
    notice_add_head(&text, &n);
    spill_chunk(&text, c);
    int r = notice_returns_body(&n) ? send_message(c, &n, fd) : send_header(c, &n, fd);

    if (r < 0)
        return r;
    notice_add_tail(&text, &n);
    spill_chunk(&text, c);
    ipc_send_chunk(c, SPAN_NULL);
    return ipc_recv(c, &submit_result_shape, ret);
}

int notice_submit(struct ipc_pool *cleanup, const struct notice *n, struct span postmaster_sender, int fd,
                  struct submit_result *ret)
{
    for (unsigned fresh = 0;;) {
        struct ipc *c;
        int r = ipc_pool_get(cleanup, clock_deadline_ms(CONNECT_TIMEOUT_MS), &c);

        if (r < 0)
            return r;
        stream_set_timeout(ipc_stream(c), n->params->ipc_timeout * 1000);
        r = converse(c, n, postmaster_sender, fd, ret);
        if (r == 0) {
            ipc_pool_put(cleanup, c);
            return 0;
        }
        bool repeat = stream_error(ipc_stream(c)) != 0 && r != -ECANCELED && r != -ETIMEDOUT &&
                      (ipc_was_kept(c) || fresh++ == 0);

        ipc_free(c); /* an unfinished message is dropped by cleanup */
        if (!repeat)
            return r;
    }
}
