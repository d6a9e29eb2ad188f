/* SPDX-License-Identifier: Apache-2.0 */
/*
 * section.c - parts of a message by number, and of those the header, some fields, or the text
 *
 * Part numbers (RFC 3501 section 6.4.5): a message that is no multipart has one
 * part, 1; a number after a message/rfc822 part counts the parts of the message inside.
 *
 * Runs in: imapd (input and content are hostile). Logs nothing.
 */
#include "section.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/chars.h"
#include "base/mem.h"
#include "mail/header.h"
#include "reply.h"

void section_done(struct section *s)
{
    free(s->fields);
    str_free(&s->label);
    *s = SECTION_INIT;
}

/* ---- grammar ---- */

static const struct {
    const char *name;
    enum section_text text;
} texts[] = {
    { "", SECTION_WHOLE },
    { "HEADER", SECTION_HEADER },
    { "HEADER.FIELDS", SECTION_FIELDS },
    { "HEADER.FIELDS.NOT", SECTION_FIELDS_NOT },
    { "TEXT", SECTION_TEXT },
    { "MIME", SECTION_MIME },
};

/* section-part = nz-number *("." nz-number), in front of a section-text */
static bool split_part(struct span spec, struct span *ret_part, struct span *ret_text)
{
    struct span rest = spec;
    size_t end = 0;

    while (rest.len > 0 && char_is(rest.ptr[0], CHAR_DIGIT)) {
        struct span number = span_cut(&rest, '.');
        uint32_t n;

        if (span_u32(number, UINT32_MAX, &n) < 0 || n == 0)
            return false;
        end = (size_t)(number.ptr + number.len - spec.ptr);
    }
    /* "1." with nothing behind the dot */
    if (rest.len == 0 && end > 0 && end < spec.len)
        return false;
    *ret_part = span_first(spec, end);
    *ret_text = rest;
    return true;
}

/* header-list = "(" header-fld-name *(SP header-fld-name) ")" */
static bool parse_fields(struct parse *p, size_t max, struct section *s)
{
    if (!parse_sp(p) || !parse_char(p, '('))
        return false;
    do {
        if (s->n_fields == max)
            return false;
        MEM_GROW(s->fields, s->n_fields, s->cap_fields);
        if (!parse_astring(p, &s->fields[s->n_fields]))
            return false;
        s->n_fields++;
    } while (parse_sp(p));
    return parse_char(p, ')');
}

/* section-spec = section-msgtext / (section-part ["." section-text]) */
static bool parse_spec(struct parse *p, size_t max_fields, struct section *s)
{
    struct span spec = SPAN_NULL, text;
    size_t i = 0;

    parse_name(p, &spec);
    if (!split_part(spec, &s->part, &text))
        return false;
    while (i < ARRAY_LEN(texts) && !span_eq_nocase_str(text, texts[i].name))
        i++;
    if (i == ARRAY_LEN(texts))
        return false;
    s->text = texts[i].text;
    if (s->text == SECTION_MIME && s->part.len == 0)
        return false;
    return (s->text != SECTION_FIELDS && s->text != SECTION_FIELDS_NOT) || parse_fields(p, max_fields, s);
}

static void make_label(struct section *s)
{
    size_t i = 0;

    while (texts[i].text != s->text)
        i++;
    str_add_str(&s->label, s->binary ? "BINARY[" : "BODY[");
    str_add(&s->label, s->part);
    if (s->part.len > 0 && s->text != SECTION_WHOLE)
        str_add_char(&s->label, '.');
    str_add_str(&s->label, texts[i].name);
    for (size_t f = 0; f < s->n_fields; f++) {
        str_add_str(&s->label, f == 0 ? " (" : " ");
        put_astring(&s->label, s->fields[f]);
    }
    str_add_str(&s->label, s->n_fields > 0 ? ")]" : "]");
    if (s->partial)
        str_addf(&s->label, "<%" PRIu64 ">", s->offset);
}

bool parse_section(struct parse *p, size_t max_fields, struct section *s)
{
    uint64_t offset, count;

    if (!parse_char(p, '[') || !parse_spec(p, max_fields, s) || !parse_char(p, ']'))
        return false;
    if (parse_char(p, '<')) {
        if (!parse_number(p, INT64_MAX, &offset) || !parse_char(p, '.') ||
            !parse_number(p, INT64_MAX, &count) || count == 0 || !parse_char(p, '>'))
            return false;
        s->partial = true;
        s->offset = offset;
        s->count = count;
    }
    make_label(s);
    return true;
}

bool parse_binary_section(struct parse *p, struct section *s)
{
    s->binary = true;
    return parse_section(p, 0, s) && s->text == SECTION_WHOLE;
}

bool section_in_header(const struct section *s)
{
    return s->part.len == 0 && (s->text == SECTION_HEADER || s->text == SECTION_FIELDS ||
                                s->text == SECTION_FIELDS_NOT);
}

bool section_is_kept(const struct section *s)
{
    for (size_t i = 0; i < s->n_fields; i++)
        if (!kept_field(s->fields[i]))
            return false;
    return s->part.len == 0 && s->text == SECTION_FIELDS;
}

/* ---- finding the part ---- */

/* The n-th part inside `node`; of a message that is no multipart that is the message itself.
 * MIME_NONE: none. */
static uint32_t child(const struct mime *m, uint32_t node, bool is_message, uint32_t n)
{
    uint32_t i = m->parts[node].first_child;

    if (m->parts[node].kind != MIME_MULTIPART)
        return is_message && n == 1 ? node : MIME_NONE;
    while (i != MIME_NONE && --n > 0)
        i = m->parts[i].next;
    return i;
}

static uint32_t find_part(const struct mime *m, struct span path)
{
    uint32_t node = 0;
    bool is_message = true;

    while (path.len > 0 && node != MIME_NONE) {
        struct span number = span_cut(&path, '.');
        uint32_t n = 0;

        span_u32(number, UINT32_MAX, &n);
        if (!is_message && m->parts[node].kind == MIME_MESSAGE) {
            node = m->parts[node].first_child;
            is_message = true;
        }
        uint32_t found = child(m, node, is_message, n);

        /* The single part of a message may be a message: what follows then counts inside it. */
        is_message = false;
        node = found;
    }
    return node;
}

/* ---- content ---- */

static bool is_wanted(const struct section *s, struct span name)
{
    for (size_t i = 0; i < s->n_fields; i++)
        if (span_eq_nocase(name, s->fields[i]))
            return s->text == SECTION_FIELDS;
    return s->text == SECTION_FIELDS_NOT;
}

/* The chosen fields as they stand, and an empty line. */
static void collect_fields(const struct section *s, struct span header, struct pace *pace, struct str *out)
{
    struct header_field f;

    str_reset(out);
    while (mime_field_next(&header, &f) && pace_on(pace, f.raw.len + 4 * s->n_fields))
        if (is_wanted(s, f.name))
            str_add(out, f.raw);
    if (out->len > 0 && out->data[out->len - 1] != '\n')
        str_add_str(out, "\r\n");
    str_add_str(out, "\r\n");
}

/* HEADER, HEADER.FIELDS, TEXT of the message that begins with `header` */
static struct span message_text(const struct section *s, struct span header, struct span body,
                                struct pace *pace, struct str *scratch)
{
    switch (s->text) {
    case SECTION_FIELDS:
    case SECTION_FIELDS_NOT:
        collect_fields(s, header, pace, scratch);
        return str_span(scratch);
    case SECTION_TEXT:
        return body;
    case SECTION_WHOLE:
        return span_make(header.ptr, header.len + body.len);
    case SECTION_HEADER:
    case SECTION_MIME:
        break;
    }
    return header;
}

/* A leaf, whose encoding BINARY undoes; NULL for what is no leaf or not there */
static const struct mime_part *binary_leaf(const struct section *s, const struct mime *m)
{
    uint32_t node = s->binary ? find_part(m, s->part) : MIME_NONE;

    return node != MIME_NONE && m->parts[node].kind == MIME_LEAF ? &m->parts[node] : NULL;
}

bool section_is_unknown(const struct section *s, const struct mime *m)
{
    const struct mime_part *leaf = binary_leaf(s, m);

    return leaf && mime_encoding(leaf) == MIME_UNKNOWN;
}

/* Content of a numbered part; false: none. */
static bool part_content(const struct section *s, const struct mime *m, struct pace *pace, struct str *scratch,
                         struct span *ret)
{
    uint32_t node = find_part(m, s->part);

    if (node == MIME_NONE)
        return false;

    const struct mime_part *p = &m->parts[node];

    if (s->text == SECTION_WHOLE) {
        *ret = p->body;
        if (binary_leaf(s, m) && mime_encoding(p) != MIME_IDENTITY) {
            str_reset(scratch);
            mime_decode(p->body, mime_encoding(p), pace, scratch);
            *ret = str_span(scratch);
        }
        return true;
    }
    if (s->text == SECTION_MIME) {
        *ret = p->header;
        return true;
    }
    if (p->kind != MIME_MESSAGE)
        return false;
    p = &m->parts[p->first_child];
    *ret = message_text(s, p->header, p->body, pace, scratch);
    return true;
}

static struct span cut_partial(const struct section *s, struct span content)
{
    return s->partial ? span_first(span_from(content, s->offset), s->count) : content;
}

struct span section_of_kept(const struct section *s, struct span header, struct str *scratch)
{
    collect_fields(s, header, NULL, scratch);
    return cut_partial(s, str_span(scratch));
}

int section_content(const struct section *s, struct message *m, struct str *scratch,
                    struct span *ret)
{
    const struct mime *mime;
    struct span header, all;
    int r;

    if (s->part.len > 0) {
        r = message_mime(m, &mime);
        if (r < 0)
            return r;
        if (!part_content(s, mime, m->pace, scratch, ret))
            return 0;
    } else {
        r = section_in_header(s) ? message_header(m, &all) : message_all(m, &all);
        if (r < 0)
            return r;
        header = span_first(all, m->header_len);
        *ret = message_text(s, header, span_from(all, m->header_len), m->pace, scratch);
    }
    *ret = cut_partial(s, *ret);
    r = pace_error(m->pace);
    return r < 0 ? r : 1;
}
