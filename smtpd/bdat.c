/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bdat.c - BDAT: content in counted chunks
 *
 * RFC 3030 section 2. The bytes of a chunk follow the command whatever the reply
 * will be, so they are read in every state. After a failed chunk the others of the
 * message are read and refused. With BODY=BINARYMIME (section 3) line ends in binary parts are bytes like all others.
 *
 * Runs in: smtpd (input is hostile). Logs nothing.
 */
#include <errno.h>
#include <stdio.h>

#include "smtpd/command.h"
#include "smtpd/filter.h"
#include "smtpd/reply.h"
#include "smtpd/submit.h"

struct chunk {
    uint64_t size;
    bool last;
};

/* chunk-size [ SP "LAST" ] */
static int parse_chunk(struct span args, struct chunk *ret)
{
    struct span rest = args;
    struct span size = span_cut(&rest, ' ');
    struct chunk c = { 0 };
    int r = span_u64(size, INT64_MAX, &c.size);

    if (r < 0)
        return r;
    rest = span_trim(rest);
    c.last = span_eq_nocase_str(rest, "LAST");
    if (!c.last && rest.len > 0)
        return -EINVAL;
    *ret = c;
    return 0;
}

/* Read the bytes of a chunk and give them to `take`; 0, or the stream's error */
static int read_chunk(struct smtpd *s, uint64_t size, void (*take)(struct smtpd *s, struct span bytes))
{
    while (size > 0) {
        struct span in;
        int r = stream_peek(s->client, &in);

        if (r < 0)
            return r;
        in = span_first(in, size < in.len ? (size_t)size : in.len);
        take(s, in);
        stream_consume(s->client, in.len);
        size -= in.len;
    }
    return 0;
}

static void drop_bytes(struct smtpd *s, struct span bytes)
{
    (void)s;
    (void)bytes;
}

static void take_lines(struct smtpd *s, struct span bytes)
{
    dotstuff_feed(&s->message.parser, &bytes, &s->message.held);
    submit_content(s);
}

/* Binary parts become base64 before anything looks for lines */
static void take_binary(struct smtpd *s, struct span bytes)
{
    struct binary_content *b = s->message.binary;

    unbinary_feed(&b->parts, bytes, &b->text);
    take_lines(s, str_span(&b->text));
    str_reset(&b->text);
}

static void finish_content(struct smtpd *s)
{
    struct binary_content *b = s->message.binary;

    if (b) {
        unbinary_finish(&b->parts, &b->text);
        take_lines(s, str_span(&b->text));
    }
    dotstuff_finish(&s->message.parser, &s->message.held);
    submit_content(s);
}

static void refuse_chunk(struct smtpd *s, const struct chunk *c)
{
    if (read_chunk(s, c->size, drop_bytes) < 0)
        return;
    if (s->bdat_failed)
        reply(s, "551 5.0.0 Discarded %llu bytes after earlier error", (unsigned long long)c->size);
    else if (ehlo_hides(s, "CHUNKING"))
        reply(s, "502 5.5.1 Error: command not implemented");
    else if (s->state == SMTP_MAIL)
        reply(s, "554 5.5.1 Error: no valid recipients");
    else
        reply(s, "503 5.5.1 Error: need RCPT command");
    if (c->last)
        transaction_reset(s);
}

/* The first chunk that takes the message over the limit is refused, the message with it */
static void refuse_too_big(struct smtpd *s, const struct chunk *c)
{
    refuse(s, "BDAT", "552 5.3.4 Chunk exceeds message size limit");
    if (c->last)
        transaction_reset(s);
    else
        s->bdat_failed = true;
}

/* smtpd_data_restrictions have refused and answered */
static void drop_refused(struct smtpd *s, const struct chunk *c)
{
    if (read_chunk(s, c->size, drop_bytes) < 0)
        return;
    if (c->last)
        transaction_reset(s);
    else if (s->state != SMTP_CLOSED)
        s->bdat_failed = true;
}

static void take_chunk(struct smtpd *s, struct chunk c)
{
    char ok[64];

    if (!(s->state & (SMTP_RCPT | SMTP_BDAT)) || s->bdat_failed || ehlo_hides(s, "CHUNKING")) {
        refuse_chunk(s, &c);
        return;
    }
    if (s->state == SMTP_RCPT) {
        if (restrict_data(s) == VERDICT_REFUSED || filter_data(s) == VERDICT_REFUSED) {
            drop_refused(s, &c);
            return;
        }
        submit_begin(s, DOTSTUFF_BDAT);
    }
    s->state = SMTP_BDAT;
    s->in_content = true;
    if (read_chunk(s, c.size, s->message.binary ? take_binary : take_lines) < 0)
        return; /* the session ends with the stream's error */
    s->in_content = false;

    if (s->message.failed == -EMSGSIZE) {
        refuse_too_big(s, &c);
    } else if (!c.last) {
        reply(s, "250 2.0.0 Ok: %llu bytes", (unsigned long long)c.size);
    } else {
        finish_content(s);
        s->where = "END-OF-MESSAGE";
        snprintf(ok, sizeof(ok), "250 2.0.0 Ok: %llu bytes", (unsigned long long)s->message.size);
        submit_end(s, ok);
    }
}

void cmd_bdat(struct smtpd *s, struct span args)
{
    struct chunk c;

    if (parse_chunk(args, &c) < 0) {
        reply(s, "501 5.5.4 Syntax: BDAT count [LAST]");
        return;
    }
    if (c.last)
        s->copies = submit_replies(s);
    take_chunk(s, c);
    s->copies = 0;
}
