/* SPDX-License-Identifier: Apache-2.0 */
/*
 * append.c - APPEND (RFC 3501 section 6.3.11; UIDPLUS RFC 4315, APPENDLIMIT RFC 7889)
 *
 * The message is streamed into a nameless file of the user's own, never held in
 * memory (small ones are, in the kernel's, as a memfd: no inode has to be made for them).
 *
 * Runs in: imapd (input is hostile).
 */
#include "append.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "command.h"
#include "flags.h"
#include "input.h"
#include "mail/date.h"
#include "reply.h"

#define SMALL_MESSAGE (256 * 1024)

struct append {
    struct str mailbox;
    struct flag_list flags;
    int64_t received;       /* 0: now */
};

static void append_done(struct append *a)
{
    str_free(&a->mailbox);
    flag_list_done(&a->flags);
}

/* SP mailbox SP [flag-list SP] [date-time SP], the literal comes next */
static bool parse_append(struct parse *p, struct append *ret)
{
    struct span date;

    if (!parse_mailbox(p, &ret->mailbox) || !parse_sp(p))
        return false;
    if (p->in.len > 0 && p->in.ptr[0] == '(' && (!parse_flag_list(p, &ret->flags) || !parse_sp(p)))
        return false;
    if (p->in.len > 0 && p->in.ptr[0] == '"' &&
        (!parse_string(p, &date) || date_parse_imap(date, &ret->received) < 0 || !parse_sp(p)))
        return false;
    return p->in.len == 0;
}

bool append_is_message(struct span before)
{
    _cleanup_(parse_done) struct parse p;
    _cleanup_(append_done) struct append a = { STR_INIT, FLAG_LIST_INIT, 0 };
    struct span tag;

    parse_init(&p, before);
    return parse_tag(&p, &tag) && parse_sp(&p) && parse_word(&p, "APPEND") && parse_append(&p, &a);
}

/* A file for `size` bytes that disappears with its descriptor; the session's directory is the
 * Maildir. */
static int temporary_file(uint64_t size)
{
    int fd = -1;

    if (size > SMALL_MESSAGE)
        fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) /* small, or a file system that has no nameless files */
        fd = memfd_create("append", MFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int write_all(int fd, struct span bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);

        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0)
            bytes = span_from(bytes, (size_t)n);
    }
    return 0;
}

/* Read the literal into fd. A failure to write is kept in *ret_error and the rest read away.
 * Returns 0, or the stream's error. */
static int receive(struct imap *s, int fd, int *ret_error)
{
    uint64_t left = s->literal.size;

    while (left > 0 && *ret_error == 0) {
        struct span got;
        int r = stream_peek(s->client, &got);

        if (r < 0)
            return r;
        if (got.len > left)
            got.len = (size_t)left;
        *ret_error = write_all(fd, got);
        stream_consume(s->client, got.len);
        s->stats.in += got.len;
        left -= got.len;
    }
    return input_skip(s, left);
}

/* After the message: nothing. 0; 1: something else, to be refused; or the stream's error. */
static int end_of_command(struct imap *s)
{
    struct span rest;
    int r = stream_getline(s->client, (size_t)s->params->imap_line_limit, &rest);

    if (r == -EMSGSIZE)
        return 1;
    if (r < 0)
        return r;
    s->stats.in += rest.len + 2;
    if (rest.len == 0)
        return 0;
    r = input_skip_rest(s, rest);
    return r < 0 ? r : 1;
}

/* Refuse without reading the message, unless it is on its way already. */
static int drop_literal(struct imap *s)
{
    if (s->literal.sync)
        return 0;

    int r = input_skip(s, s->literal.size);

    return r < 0 ? r : input_skip_command(s);
}

static int store(struct imap *s, const struct append *a, int fd)
{
    const char **keywords = mem_new_n(const char *, a->flags.len + 1);
    const struct maildir_save save = {.content_fd = fd,
                                      .size = s->literal.size,
                                      .received = a->received,
                                      .flags = a->flags.flags};
    uint32_t uidvalidity, uid;

    for (size_t i = 0; i < a->flags.len; i++)
        keywords[i] = mem_dup_span(a->flags.keywords[i]);

    int r = account_append(s->account, str_span(&a->mailbox), &save, keywords, &uidvalidity, &uid);

    for (size_t i = 0; i < a->flags.len; i++)
        free((char *)keywords[i]);
    free(keywords);
    if (r == -ENOENT)
        return reply_no(s, "[TRYCREATE] No such mailbox.");
    if (r < 0)
        return reply_errno(s, r, "Storing the message");
    return reply_ok(s, "[APPENDUID %" PRIu32 " %" PRIu32 "] Append completed.", uidvalidity, uid);
}

static int receive_and_store(struct imap *s, const struct append *a)
{
    _cleanup_close_ int fd = temporary_file(s->literal.size);
    int error = 0;

    if (fd < 0) {
        int r = drop_literal(s);

        return r < 0 ? r : reply_errno(s, fd, "Making a temporary file");
    }
    input_invite(s, s->literal.sync);

    int r = receive(s, fd, &error);

    if (r == 0)
        r = end_of_command(s);
    if (r < 0)
        return r;
    if (r > 0)
        return reply_bad(s, "One message is expected, and nothing after it.");
    if (error < 0)
        return reply_errno(s, error, "Writing a temporary file");
    return store(s, a, fd);
}

int cmd_append(struct imap *s, struct parse *p)
{
    _cleanup_(append_done) struct append a = { STR_INIT, FLAG_LIST_INIT, 0 };
    uint64_t limit = (uint64_t)s->params->message_size_limit;

    if (!s->literal.pending || !parse_append(p, &a))
        return reply_bad(s, "APPEND takes a mailbox, flags, a date and a message as a literal.");
    if (s->literal.size > 0 && (limit == 0 || s->literal.size <= limit))
        return receive_and_store(s, &a);

    int r = drop_literal(s);

    if (r < 0)
        return r;
    if (s->literal.size == 0)
        return reply_no(s, "A message has at least one byte.");
    return reply_no(s, "[TOOBIG] A message has at most %" PRIu64 " bytes.", limit);
}
