/* SPDX-License-Identifier: Apache-2.0 */
/*
 * input.c - from lines and literals to one command
 *
 * A command without a literal, nearly every one, stays where it is: in the stream's
 * buffer. Literals are gathered in s->command, together at most imap_literal_limit
 * bytes, lines together at most imap_line_limit. A literal over the limit is refused
 * before it is sent or, when the client did not wait (RFC 7888 section 4), read and dropped:
 * the connection lives on in either case.
 *
 * Runs in: imapd (input is hostile). Logs nothing.
 */
#include "input.h"

#include <errno.h>

#include "append.h"
#include "parse.h"
#include "reply.h"

static const char LITERALS_HAVE[] = "The literals of a command have",
                  LINE_HAS[] = "A command line has";

void input_invite(struct imap *s, bool sync)
{
    if (sync)
        imap_puts(s, "+ OK\r\n");
}

int input_skip(struct imap *s, uint64_t size)
{
    while (size > 0) {
        struct span got;
        int r = stream_peek(s->client, &got);

        if (r < 0)
            return r;
        if (got.len > size)
            got.len = (size_t)size;
        stream_consume(s->client, got.len);
        s->stats.in += got.len;
        size -= got.len;
    }
    return 0;
}

/* A line of a command; -EMSGSIZE when it is too long and has been skipped. */
static int read_line(struct imap *s, size_t max, struct span *ret)
{
    int r = stream_getline(s->client, max, ret);

    if (r == 0)
        s->stats.in += ret->len + 2;
    return r;
}

int input_skip_rest(struct imap *s, struct span line)
{
    struct span rest;
    uint64_t size = 0;
    bool sync = false;

    /* One that waits for "+" will not get it; what it sends next is a command. */
    while (parse_literal_spec(line, &rest, &size, &sync) && !sync) {
        int r = input_skip(s, size);

        if (r == 0)
            r = read_line(s, (size_t)s->params->imap_line_limit, &line);
        if (r == -EMSGSIZE)
            line = stream_long_line_tail(s->client);
        else if (r < 0)
            return r;
    }
    return 0;
}

int input_skip_command(struct imap *s)
{
    struct span line;
    int r = read_line(s, (size_t)s->params->imap_line_limit, &line);

    if (r == -EMSGSIZE)
        line = stream_long_line_tail(s->client);
    return r == 0 || r == -EMSGSIZE ? input_skip_rest(s, line) : r;
}

int input_drop_literal(struct imap *s)
{
    bool comes = s->literal.pending && !s->literal.sync;
    int r = comes ? input_skip(s, s->literal.size) : 0;

    s->literal.pending = false;
    return comes && r == 0 ? input_skip_command(s) : r;
}

/* Keep the tag at the front of what has arrived, so that a refusal can name it. */
static void keep_tag(struct imap *s, struct span line)
{
    size_t longest = (size_t)s->params->imap_tag_limit;
    struct parse p;
    struct span tag;

    str_reset(&s->tag);
    parse_init(&p, span_first(line, longest + 1));
    if (parse_tag(&p, &tag) && tag.len <= longest && parse_char(&p, ' '))
        str_add(&s->tag, tag);
}

/* The front of the next line. Its tag may come in pieces, too. */
static int read_tag(struct imap *s)
{
    struct span front;

    imap_set_idle(s, true); /* between two commands the session can be ended without harm */
    int r = stream_peek(s->client, &front);
    imap_set_idle(s, false);

    while (r == 0 && front.len <= (size_t)s->params->imap_tag_limit && span_chr(front, ' ') < 0 && span_chr(front, '\n') < 0)
        r = stream_peek_n(s->client, front.len + 1, &front);
    if (r == 0)
        keep_tag(s, front);
    return r;
}

/* Say BAD to a command that cannot be read, and go on with the next. */
static int refuse(struct imap *s, const char *what, int64_t limit)
{
    imap_printf(s, "%s BAD [TOOBIG] %s at most %lld bytes.\r\n", s->tag.len > 0 ? s->tag.data : "*",
                what, (long long)limit);
    return 1;
}

/* The same for a line that was too long: it may have announced a literal that is on its way. */
static int refuse_line(struct imap *s)
{
    int r = input_skip_rest(s, stream_long_line_tail(s->client));

    return r < 0 ? r : refuse(s, LINE_HAS, s->params->imap_line_limit);
}

/* Append one literal and the line after it to s->command. 0, 1 refused, or negative. */
static int add_literal(struct imap *s, uint64_t size, bool sync, uint64_t *room)
{
    if (size > *room) {
        int r = sync ? 0 : input_skip(s, size);

        if (r == 0 && !sync)
            r = input_skip_command(s);
        return r < 0 ? r : refuse(s, LITERALS_HAVE, s->params->imap_literal_limit);
    }
    *room -= size;
    input_invite(s, sync);
    str_add_str(&s->command, "\r\n");
    str_reserve(&s->command, (size_t)size);

    int r = stream_read(s->client, s->command.data + s->command.len, (size_t)size);

    if (r < 0)
        return r;
    s->command.len += (size_t)size;
    s->command.data[s->command.len] = '\0';
    s->stats.in += size;
    return 0;
}

/* The command goes on after a first line that ends in a literal's announcement. */
static int read_literals(struct imap *s, struct span *ret)
{
    uint64_t room = (uint64_t)s->params->imap_literal_limit;
    size_t line_room = (size_t)s->params->imap_line_limit - s->command.len, last_line = 0;

    for (;;) {
        struct span line = span_from(str_span(&s->command), last_line), rest;
        uint64_t size;
        bool sync;
        int r;

        if (!parse_literal_spec(line, &rest, &size, &sync))
            break;

        struct span before = span_first(str_span(&s->command), last_line + rest.len);

        if (append_is_message(before)) {
            s->literal = (struct imap_literal){ true, sync, size };
            str_truncate(&s->command, before.len);
            break;
        }
        r = add_literal(s, size, sync, &room);
        if (r != 0)
            return r;
        r = read_line(s, line_room, &line);
        if (r == -EMSGSIZE)
            return refuse_line(s);
        if (r < 0)
            return r;
        line_room -= line.len;
        last_line = s->command.len;
        str_add(&s->command, line);
    }
    *ret = str_span(&s->command);
    return 0;
}

int input_command(struct imap *s, struct span *ret)
{
    struct span line, rest;
    uint64_t size;
    bool sync;

    s->literal.pending = false;
    int r = read_tag(s);
    if (r < 0)
        return r;
    r = read_line(s, (size_t)s->params->imap_line_limit, &line);
    if (r == -EMSGSIZE)
        return refuse_line(s);
    if (r < 0)
        return r;
    if (!parse_literal_spec(line, &rest, &size, &sync)) {
        *ret = line;
        return 0;
    }
    str_set(&s->command, line);
    return read_literals(s, ret);
}
