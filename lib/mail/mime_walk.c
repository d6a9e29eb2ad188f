/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mime_walk.c - a message as it streams by: its header fields, its parts, its lines
 *
 * RFC 5322 section 2.2, RFC 2045, RFC 2046 section 5.1. One state between lines; a stack of the
 * boundaries that are open, bounded in depth: what is nested deeper is a leaf. A delimiter of an
 * outer multipart ends all inner ones.
 *
 * Runs in: smtp, smtpd (input is hostile). Logs nothing.
 */
#include "mail/mime_walk.h"

#include "base/chars.h"
#include "base/mem.h"
#include "mail/mime.h"

enum { BOUNDARY_MAX = 250 };

void mime_walk_init(struct mime_walk *w, const struct mime_walk_events *events, void *arg)
{
    *w = (struct mime_walk){
        .events = events, .arg = arg, .in_header = true, .class = MIME_WALK_PRIMARY};
    w->entity.text = true;
}

static void pop_to(struct mime_walk *w, size_t depth)
{
    while (w->depth > depth)
        free(w->levels[--w->depth].boundary);
}

void mime_walk_done(struct mime_walk *w)
{
    pop_to(w, 0);
    str_free(&w->pending);
    str_free(&w->field);
    str_free(&w->content_type);
}

static void begin_header(struct mime_walk *w, enum mime_walk_class class)
{
    w->in_header = true;
    w->overlong = false;
    w->class = class;
    w->entity = (struct mime_walk_entity){ .text = true };
    str_reset(&w->content_type);
}

/* ---- fields ---- */

static enum mime_walk_encoding encoding_of(struct span value)
{
    static const struct {
        const char *name;
        enum mime_walk_encoding encoding;
    } names[] = {{"7bit", MIME_WALK_7BIT}, {"8bit", MIME_WALK_8BIT}, {"binary", MIME_WALK_BINARY}};
    struct span token = mime_token(&value);

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (span_eq_nocase_str(token, names[i].name))
            return names[i].encoding;
    return token.len > 0 ? MIME_WALK_ENCODED : MIME_WALK_7BIT;
}

/* Is it MIME's? Note what it says of the entity. */
static bool note_mime_field(struct mime_walk *w, struct span name, struct span value)
{
    if (span_eq_nocase_str(name, "Content-Type") && w->content_type.len == 0)
        str_add(&w->content_type, value);
    else if (span_eq_nocase_str(name, "Content-Transfer-Encoding"))
        w->entity.encoding = encoding_of(value);
    return span_starts_nocase(name, span_of("Content-")) ||
           span_eq_nocase_str(name, "MIME-Version");
}

static void end_field(struct mime_walk *w)
{
    struct span value = str_span(&w->field);

    if (value.len == 0)
        return;
    struct span name = span_trim(span_cut(&value, ':'));
    enum mime_walk_class class = w->overlong ? MIME_WALK_OVERLONG
                                 : note_mime_field(w, name, value) ? MIME_WALK_MIME
                                                                   : w->class;
    w->events->field(w->arg, class, str_span(&w->field));
    str_reset(&w->field);
}

/* "name:" at the front, RFC 5322 section 2.2; blanks before the colon are an old habit */
static bool begins_field(struct span line)
{
    size_t n = 0;

    while (n < line.len && (unsigned char)line.ptr[n] > ' ' && line.ptr[n] != ':' &&
           line.ptr[n] != 0x7f)
        n++;
    struct span rest = span_skip_ws(span_from(line, n));
    return n > 0 && rest.len > 0 && rest.ptr[0] == ':';
}

static void add_to_field(struct mime_walk *w, struct span bytes)
{
    if (w->field.len + bytes.len > MIME_WALK_FIELD_MAX) {
        w->overlong = true;
        end_field(w);
        w->events->field(w->arg, MIME_WALK_OVERLONG, bytes);
        return;
    }
    if (w->overlong)
        w->events->field(w->arg, MIME_WALK_OVERLONG, bytes);
    else
        str_add(&w->field, bytes);
}

/* ---- the end of a header section ---- */

static bool push(struct mime_walk *w, const char *boundary, bool digest)
{
    if (w->depth == MIME_WALK_DEPTH_MAX)
        return false;
    w->levels[w->depth++] =
        (struct mime_walk_level){boundary ? mem_strdup(boundary) : NULL, digest};
    return true;
}

/* Does a message begin where this header section ends? */
static bool enter(struct mime_walk *w)
{
    struct span value = str_span(&w->content_type), type = SPAN_NULL, subtype = SPAN_NULL;
    bool typed = mime_type(&value, &type, &subtype);
    bool in_digest = w->class == MIME_WALK_MIME && w->depth > 0 && w->levels[w->depth - 1].digest;
    bool plain = w->entity.encoding != MIME_WALK_ENCODED;
    _cleanup_(str_free) struct str boundary = STR_INIT;

    w->entity.text = typed ? span_eq_nocase_str(type, "text") : !in_digest;
    if (typed && span_eq_nocase_str(type, "multipart") && plain)
        w->entity.composite = mime_param_find(value, "boundary", &boundary) && boundary.len > 0 &&
                              boundary.len <= BOUNDARY_MAX &&
                              span_chr(str_span(&boundary), '\0') < 0 &&
                              push(w, str_cstr(&boundary), span_eq_nocase_str(subtype, "digest"));
    if (!typed ? !in_digest
               : !span_eq_nocase_str(type, "message") || !(span_eq_nocase_str(subtype, "rfc822") ||
                                                          span_eq_nocase_str(subtype, "global")))
        return false;
    w->entity.composite = plain && push(w, NULL, false);
    return w->entity.composite;
}

static void end_header(struct mime_walk *w, struct span empty_line)
{
    end_field(w);
    bool message = enter(w);
    w->in_header = false;
    w->events->end_header(w->arg, &w->entity, empty_line);
    if (message)
        begin_header(w, MIME_WALK_NESTED);
}

/* ---- lines ---- */

/* Is it a delimiter of an open multipart? *ret_level: which one; *ret_last: it closes it. */
static bool find_delimiter(const struct mime_walk *w, struct span line, size_t *ret_level,
                           bool *ret_last)
{
    if (line.len < 2 || line.ptr[0] != '-' || line.ptr[1] != '-')
        return false;
    line = span_from(line, 2);
    for (size_t i = w->depth; i > 0; i--) {
        const char *boundary = w->levels[i - 1].boundary;
        if (!boundary || !span_starts(line, span_of(boundary)))
            continue;
        struct span rest = span_trim(span_from(line, strlen(boundary)));
        if (rest.len > 0 && !span_eq_str(rest, "--"))
            continue;
        *ret_level = i - 1;
        *ret_last = rest.len > 0;
        return true;
    }
    return false;
}

static void pass_delimiter(struct mime_walk *w, struct span line, size_t level, bool last)
{
    if (w->in_header)
        end_header(w, SPAN_NULL);
    pop_to(w, last ? level : level + 1);
    w->in_header = false;
    w->events->delimiter(w->arg, line);
    if (!last)
        begin_header(w, MIME_WALK_MIME);
}

static bool is_empty(struct span line)
{
    return span_eq_str(line, "\n") || span_eq_str(line, "\r\n");
}

static void header_line(struct mime_walk *w, struct span line)
{
    if (is_empty(line)) {
        end_header(w, line);
        return;
    }
    if ((line.ptr[0] == ' ' || line.ptr[0] == '\t') && (w->field.len > 0 || w->overlong)) {
        add_to_field(w, line);
        return;
    }
    if (!begins_field(line)) {
        end_header(w, SPAN_NULL);
        if (w->in_header)       /* the message within begins with something that is no field */
            end_header(w, SPAN_NULL);
        w->events->body(w->arg, line);
        return;
    }
    end_field(w);
    w->overlong = false;
    add_to_field(w, line);
}

/* Does a line end with `line`, which may be a piece of it? */
static bool ends_line(const struct mime_walk *w, struct span line)
{
    if (line.ptr[line.len - 1] != '\n')
        return false;
    if (!w->binary || w->in_header)
        return true;
    return line.len > 1 ? line.ptr[line.len - 2] == '\r' : w->mid_line && w->after_cr;
}

static void do_line(struct mime_walk *w, struct span line)
{
    bool continues = w->mid_line, last;
    bool bare_lf = w->binary && !ends_line(w, line) && line.ptr[line.len - 1] == '\n';
    size_t level;

    w->mid_line = !ends_line(w, line);
    w->after_cr = line.ptr[line.len - 1] == '\r';
    if (continues && w->in_header)
        add_to_field(w, line);
    else if (continues)
        w->events->body(w->arg, line);
    else if (!bare_lf && find_delimiter(w, line, &level, &last))
        pass_delimiter(w, line, level, last);
    else if (w->in_header)
        header_line(w, line);
    else
        w->events->body(w->arg, line);
}

void mime_walk_feed(struct mime_walk *w, struct span bytes)
{
    while (bytes.len > 0) {
        ptrdiff_t lf = span_chr(bytes, '\n');
        size_t n = lf < 0 ? bytes.len : (size_t)lf + 1;
        struct span line = span_first(bytes, n);

        bytes = span_from(bytes, n);
        if (w->pending.len > 0 || lf < 0) {
            str_add(&w->pending, line);
            if (lf < 0 && w->pending.len < MIME_WALK_LINE_MAX)
                return;
            line = str_span(&w->pending);
        }
        do_line(w, line);
        str_reset(&w->pending);
    }
}

void mime_walk_finish(struct mime_walk *w)
{
    if (w->pending.len > 0)
        do_line(w, str_span(&w->pending));
    str_reset(&w->pending);
    while (w->in_header)
        end_header(w, SPAN_NULL);
}
