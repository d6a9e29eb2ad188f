/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unbinary.c - a message with binary parts, as it streams by, to one of lines
 *
 * RFC 3030 section 3, RFC 2045 section 6. A line end, where binary parts are, is CR LF and nothing else: neither
 * a bare LF nor a bare CR begins a delimiter, so that they are content. The CR LF before a delimiter belongs to it
 * (RFC 2046 section 5.1.1) and is not encoded.
 *
 * Runs in: smtpd (input is hostile). Logs nothing.
 */
#include "mail/unbinary.h"

#include "mail/mime_encode.h"

static void on_field(void *arg, enum mime_walk_class class, struct span raw)
{
    struct unbinary *u = arg;
    struct span rest = raw, name = span_trim(span_cut(&rest, ':'));

    if (class != MIME_WALK_MIME || !span_eq_nocase_str(name, "Content-Transfer-Encoding")) {
        str_add(u->out, raw);
        return;
    }
    /* A section may say it more than once, and the last counts: that is known at its end. */
    if (u->encoding_fields.len + raw.len > MIME_WALK_FIELD_MAX)
        str_reset(&u->encoding_fields);
    str_add(&u->encoding_fields, raw);
}

static void on_end_header(void *arg, const struct mime_walk_entity *entity, struct span empty_line)
{
    struct unbinary *u = arg;
    bool binary = u->encoding_fields.len > 0 && entity->encoding == MIME_WALK_BINARY;

    if (binary)
        str_addf(u->out, "Content-Transfer-Encoding: %s\r\n", entity->composite ? "8bit" : "base64");
    else
        str_add(u->out, str_span(&u->encoding_fields));
    str_reset(&u->encoding_fields);
    u->encode = binary && !entity->composite;
    u->began = false;
    str_add(u->out, u->encode && empty_line.len == 0 ? span_of("\r\n") : empty_line);
}

static void encode(struct unbinary *u, bool last)
{
    size_t before = u->out->len;

    mime_encode_base64(&u->waiting, last, u->out);
    u->began |= u->out->len > before;
}

static void on_body(void *arg, struct span line)
{
    struct unbinary *u = arg;

    if (!u->encode) {
        str_add(u->out, line);
        return;
    }
    str_add(&u->waiting, line);
    encode(u, false);
}

static void end_part(struct unbinary *u)
{
    if (u->encode)
        encode(u, true);
    u->encode = false;
}

static void on_delimiter(void *arg, struct span line)
{
    struct unbinary *u = arg;
    struct str *w = &u->waiting;

    if (u->encode && span_ends_nocase(str_span(w), span_of("\r\n"))) {
        str_truncate(w, w->len - 2);
        encode(u, true);
        if (!u->began)
            str_add_str(u->out, "\r\n"); /* of an empty part only the delimiter's line end is left */
    }
    end_part(u);
    str_add(u->out, line);
}

void unbinary_init(struct unbinary *u)
{
    static const struct mime_walk_events events = { on_field, on_end_header, on_body, on_delimiter };

    *u = (struct unbinary){ 0 };
    mime_walk_init(&u->walk, &events, u);
    u->walk.binary = true;
}

void unbinary_feed(struct unbinary *u, struct span bytes, struct str *out)
{
    u->out = out;
    mime_walk_feed(&u->walk, bytes);
}

void unbinary_finish(struct unbinary *u, struct str *out)
{
    u->out = out;
    mime_walk_finish(&u->walk);
    end_part(u);
}

void unbinary_done(struct unbinary *u)
{
    mime_walk_done(&u->walk);
    str_free(&u->encoding_fields);
    str_free(&u->waiting);
}
