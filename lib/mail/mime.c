/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mime.c - find the parts of a message in one pass over its lines
 *
 * Implements the structure of RFC 2046 section 5.1. One scanner walks the
 * lines; the multiparts that are open form a chain by `parent`, and a line that begins
 * with "--" is compared with their boundaries, innermost first. When a boundary
 * is met, all parts inside its multipart end before that line. There is no
 * recursion: nesting costs an index, not stack.
 *
 * Runs in: imapd (input is hostile). Logs nothing.
 */
#include "mail/mime.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/own.h"
#include "mail/header.h"

/* RFC 2046 section 5.1.1 allows 70; longer ones are seen, and this bounds the cost of comparing. */
#define BOUNDARY_MAX 512

static const struct span text = SPAN("text"), plain = SPAN("plain"), message = SPAN("message"),
                         rfc822 = SPAN("rfc822"), global = SPAN("global"), application = SPAN("application"),
                         octet_stream = SPAN("octet-stream");

/* What is known of a part only while it is being read. */
struct open_part {
    char *boundary;         /* of a multipart whose closing delimiter was not seen yet; else NULL */
    uint32_t last_child;
    uint32_t first_line;    /* number of line ends before its body */
};

struct scan {
    struct mime *m;
    struct span in;         /* the whole message */
    size_t pos;             /* start of the current line */
    uint32_t lines;         /* line ends before pos */
    struct open_part *open; /* by depth, one more than max_depth */
    uint32_t cur;           /* innermost part that is being read */
    size_t max_depth, max_parts;
    struct pace *pace;
};

/* The line at pos with its line end; empty at the end of the message, or when nobody waits for more. */
static struct span line_at(const struct scan *s)
{
    struct span rest = span_from(s->in, s->pos);
    ptrdiff_t lf = span_chr(rest, '\n');

    if (lf >= 0)
        rest = span_first(rest, (size_t)lf + 1);
    return pace_on(s->pace, rest.len) ? rest : SPAN_NULL;
}

static void skip_line(struct scan *s, struct span line)
{
    s->pos += line.len;
    if (line.len > 0 && line.ptr[line.len - 1] == '\n')
        s->lines++;
}

/* Is the line, "--" removed, this boundary? RFC 2046 section 5.1.1; trailing white space is
 * padding. */
static bool is_delimiter(struct span line, const char *boundary, bool *ret_closing)
{
    struct span b = span_of(boundary);

    if (!span_starts(line, b))
        return false;
    line = span_trim(span_from(line, b.len));
    *ret_closing = span_eq_str(line, "--");
    return line.len == 0 || *ret_closing;
}

/* The innermost open multipart to which the line is a delimiter, or MIME_NONE. */
static uint32_t delimited(const struct scan *s, struct span line, bool *ret_closing)
{
    if (!span_starts(line, (struct span)SPAN("--")))
        return MIME_NONE;
    line = span_from(line, 2);
    for (uint32_t i = s->cur; i != MIME_NONE; i = s->m->parts[i].parent) {
        const char *boundary = s->open[s->m->parts[i].depth].boundary;

        pace_on(s->pace, 8); /* the next line looks at the answer */
        if (boundary && is_delimiter(line, boundary, ret_closing))
            return i;
    }
    return MIME_NONE;
}

/* The byte at which a body ends when the line at pos is a delimiter: its line end belongs to the
 * delimiter. */
static size_t body_end(const struct scan *s, size_t start, uint32_t *lines)
{
    size_t end = s->pos;

    if (end > start && s->in.ptr[end - 1] == '\n') {
        end--;
        --*lines;
        if (end > start && s->in.ptr[end - 1] == '\r')
            end--;
    }
    return end;
}

/* A multipart that turned out to have no parts is shown as the text it holds. */
static void make_leaf(struct mime_part *p, struct span type, struct span subtype)
{
    p->kind = MIME_LEAF;
    p->type = type;
    p->subtype = subtype;
    p->content_type = SPAN_NULL;
}

/* End the innermost part, and go back to its parent. */
static void close_part(struct scan *s, bool at_delimiter)
{
    struct mime_part *p = &s->m->parts[s->cur];
    struct open_part *o = &s->open[p->depth];
    size_t start = (size_t)(p->body.ptr - s->in.ptr);
    uint32_t lines = s->lines;
    size_t end = at_delimiter ? body_end(s, start, &lines) : s->pos;

    p->body.len = end - start;
    p->lines = lines > o->first_line ? lines - o->first_line : 0;
    if (p->kind == MIME_MULTIPART && p->first_child == MIME_NONE)
        make_leaf(p, text, plain);
    free(o->boundary);
    o->boundary = NULL;
    s->cur = p->parent;
}

/* Make a node below the current one and read its header: up to an empty line or a delimiter. */
static void open_part(struct scan *s)
{
    struct mime *m = s->m;
    size_t start = s->pos;
    bool closing;

    MEM_GROW(m->parts, m->len, m->cap);
    uint32_t index = (uint32_t)m->len++;
    struct mime_part *p = &m->parts[index];

    *p = (struct mime_part){ .parent = s->cur, .first_child = MIME_NONE, .next = MIME_NONE };
    if (s->cur != MIME_NONE) {
        struct mime_part *parent = &m->parts[s->cur];
        struct open_part *o = &s->open[parent->depth];

        p->depth = parent->depth + 1;
        if (parent->first_child == MIME_NONE)
            parent->first_child = index;
        else
            m->parts[o->last_child].next = index;
        o->last_child = index;
    }
    for (struct span line = line_at(s); line.len > 0; line = line_at(s)) {
        if (delimited(s, line, &closing) != MIME_NONE)
            break;
        skip_line(s, line);
        if (line.ptr[0] == '\n' || (line.ptr[0] == '\r' && line.len == 2))
            break;
    }
    p->header = span_make(s->in.ptr + start, s->pos - start);
    p->body = span_make(s->in.ptr + s->pos, 0);
    s->cur = index;
    s->open[p->depth] = (struct open_part){ .last_child = MIME_NONE, .first_line = s->lines };
}

static bool in_digest(const struct scan *s, const struct mime_part *p)
{
    return p->parent != MIME_NONE && s->m->parts[p->parent].kind == MIME_MULTIPART &&
           span_eq_nocase_str(s->m->parts[p->parent].subtype, "digest");
}

/* type and subtype of the current part; RFC 2045 section 5.2, RFC 2046 section 5.1.5 */
static void set_type(const struct scan *s, struct mime_part *p, struct span *ret_params)
{
    struct span value, rest;

    *ret_params = SPAN_NULL;
    p->type = text;
    p->subtype = plain;
    if (mime_field_find(p->header, "Content-Type", &value)) {
        rest = value;
        if (mime_type(&rest, &p->type, &p->subtype)) {
            p->content_type = value;
            *ret_params = rest;
        }
    } else if (in_digest(s, p)) {
        p->type = message;
        p->subtype = rfc822;
    }
}

static bool is_message(const struct mime_part *p)
{
    return span_eq_nocase(p->type, message) && (span_eq_nocase(p->subtype, rfc822) || span_eq_nocase(p->subtype, global));
}

/* Decide what the part just opened is; true when a message begins at its body. */
static bool classify(struct scan *s)
{
    struct mime_part *p = &s->m->parts[s->cur];
    bool room = p->depth < s->max_depth && s->m->len < s->max_parts;
    _cleanup_(str_free) struct str boundary = STR_INIT;
    struct span params;

    set_type(s, p, &params);
    if (span_eq_nocase_str(p->type, "multipart")) {
        if (!room) {
            make_leaf(p, application, octet_stream);
        } else if (!mime_param_find(params, "boundary", &boundary) || boundary.len == 0 ||
                   boundary.len > BOUNDARY_MAX) {
            make_leaf(p, text, plain);
        } else {
            p->kind = MIME_MULTIPART;
            s->open[p->depth].boundary = str_take(&boundary);
        }
    } else if (is_message(p) && mime_encoding(p) == MIME_IDENTITY) {
        if (!room)
            make_leaf(p, application, octet_stream);
        else
            p->kind = MIME_MESSAGE;
    } else if (is_message(p)) {
        /* RFC 2046 section 5.2.1 forbids an encoding here; nobody must look for a message inside.
         */
        make_leaf(p, application, octet_stream);
    }
    return p->kind == MIME_MESSAGE;
}

/* Open a part, and the message inside it if it is one, and so on. */
static void open_parts(struct scan *s)
{
    do
        open_part(s);
    while (classify(s));
}

/* The line at pos is a delimiter of part `multi`. */
static void at_delimiter(struct scan *s, uint32_t multi, bool closing, struct span line)
{
    /* At the limit the last part keeps growing: nothing is lost, only not taken apart. */
    if (!closing && s->m->len >= s->max_parts && s->m->parts[multi].first_child != MIME_NONE) {
        skip_line(s, line);
        return;
    }
    while (s->cur != multi)
        close_part(s, true);
    skip_line(s, line);

    struct open_part *o = &s->open[s->m->parts[multi].depth];
    /* Some write the last delimiter without its "--": where all ends no part begins. */
    bool last = s->pos == s->in.len && s->m->parts[multi].first_child != MIME_NONE;

    if (!closing && !last) {
        open_parts(s);
        return;
    }
    free(o->boundary);
    o->boundary = NULL; /* the epilogue follows */
}

void mime_parse(struct span in, size_t max_depth, size_t max_parts, struct pace *pace, struct mime *ret)
{
    max_depth = max_depth < UINT16_MAX ? max_depth : UINT16_MAX - 1;
    max_parts = max_parts < MIME_NONE ? max_parts : MIME_NONE - 1;
    if (!in.ptr)
        in = span_of("");

    _cleanup_free_ struct open_part *open = mem_new_n(struct open_part, max_depth + 1);
    struct scan s = { .m = ret, .in = in, .open = open, .cur = MIME_NONE, .max_depth = max_depth,
                      .max_parts = max_parts, .pace = pace };

    *ret = MIME_INIT;
    open_parts(&s);
    for (struct span line = line_at(&s); line.len > 0; line = line_at(&s)) {
        bool closing = false;
        uint32_t multi = delimited(&s, line, &closing);

        if (multi == MIME_NONE)
            skip_line(&s, line);
        else
            at_delimiter(&s, multi, closing, line);
    }
    while (s.cur != MIME_NONE)
        close_part(&s, false);
}

void mime_done(struct mime *m)
{
    free(m->parts);
    *m = MIME_INIT;
}
