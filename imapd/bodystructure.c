/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bodystructure.c - BODY and BODYSTRUCTURE (RFC 3501 section 7.4.2, section 9 "body")
 *
 * Clients parse this strictly, so what comes out is of the grammar whatever the
 * message holds: sizes and encodings are never NIL, a multipart has a part (the
 * parser sees to it), 8-bit parameters become literals. The tree is walked by its links, without
 * recursion, since its depth is the sender's choice.
 *
 * Runs in: imapd (content is hostile). Logs nothing.
 */
#include "bodystructure.h"

#include <inttypes.h>

#include "body_params.h"
#include "envelope.h"
#include "mail/header.h"
#include "reply.h"

struct walk {
    struct str *out;
    const struct mime *m;
    enum bodystructure_form form;
    size_t max_addresses;
};

/* The fields that describe one part; NULL: missing. */
struct fields {
    struct span id, description, encoding, md5, disposition, language, location;
};

static void find_fields(struct span header, struct fields *ret)
{
    const struct {
        const char *name;
        struct span *value;
    } wanted[] = {
        { "Content-ID", &ret->id },             { "Content-Description", &ret->description },
        { "Content-MD5", &ret->md5 },           { "Content-Transfer-Encoding", &ret->encoding },
        { "Content-Language", &ret->language }, { "Content-Disposition", &ret->disposition },
        { "Content-Location", &ret->location },
    };
    struct header_field f;

    *ret = (struct fields){ .id = SPAN_NULL };
    while (mime_field_next(&header, &f)) {
        if (!span_starts_nocase(f.name, (struct span)SPAN("Content-")))
            continue;
        for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
            if (!wanted[i].value->ptr && span_eq_nocase_str(f.name, wanted[i].name))
                *wanted[i].value = f.value;
    }
}

/* A field's text, unfolded; NIL when missing or empty. */
static void put_field(struct str *out, struct span value)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    header_unfold(value, &text);

    struct span trimmed = span_trim(str_span(&text));

    put_nstring(out, trimmed.len > 0 ? trimmed : SPAN_NULL);
}

/* Parameters of the Content-Type; plain text by default is US-ASCII (RFC 2045 section 5.2). */
static void put_type_params(struct str *out, const struct mime_part *p)
{
    struct span params = p->content_type, type, subtype;

    if (params.len > 0 && mime_type(&params, &type, &subtype))
        put_body_params(out, params);
    else if (span_eq_nocase_str(p->type, "text"))
        str_add_str(out, "(\"charset\" \"us-ascii\")");
    else
        str_add_str(out, "NIL");
}

/* body-fld-dsp = "(" string SP body-fld-param ")" / nil */
static void put_disposition(struct str *out, struct span value)
{
    struct span kind = mime_token(&value);

    if (kind.len == 0) {
        str_add_str(out, "NIL");
        return;
    }
    str_add_char(out, '(');
    put_string(out, kind);
    str_add_char(out, ' ');
    put_body_params(out, value);
    str_add_char(out, ')');
}

/* body-fld-lang = nstring / "(" string *(SP string) ")" (RFC 3282) */
static void put_language(struct str *out, struct span value)
{
    bool first = true;

    for (;;) {
        struct span tag = mime_token(&value);

        if (tag.len > 0) {
            str_add_char(out, first ? '(' : ' ');
            first = false;
            put_string(out, tag);
        }
        if (!span_take(&value, ','))
            break;
    }
    str_add_str(out, first ? "NIL" : ")");
}

/* body-fld-dsp [SP body-fld-lang [SP body-fld-loc]], the end of both kinds of extension data */
static void put_extension(struct str *out, const struct fields *f)
{
    str_add_char(out, ' ');
    put_disposition(out, f->disposition);
    str_add_char(out, ' ');
    put_language(out, f->language);
    str_add_char(out, ' ');
    put_field(out, f->location);
}

/* body-fields and what comes before: "type" "subtype" params id description encoding octets */
static void put_body_fields(struct str *out, const struct mime_part *p, const struct fields *f)
{
    struct span encoding = f->encoding, token = mime_token(&encoding);

    put_string(out, p->type);
    str_add_char(out, ' ');
    put_string(out, p->subtype);
    str_add_char(out, ' ');
    put_type_params(out, p);
    str_add_char(out, ' ');
    put_field(out, f->id);
    str_add_char(out, ' ');
    put_field(out, f->description);
    str_add_char(out, ' ');
    put_string(out, token.len > 0 ? token : span_of("7bit"));
    str_addf(out, " %zu", p->body.len);
}

/* The end of a part that has its own fields: lines, extension data */
static void put_single_end(const struct walk *w, const struct mime_part *p, const struct fields *f)
{
    if (p->kind == MIME_MESSAGE || span_eq_nocase_str(p->type, "text"))
        str_addf(w->out, " %" PRIu32, p->lines);
    if (w->form == BODY_EXTENDED) {
        str_add_char(w->out, ' ');
        put_field(w->out, f->md5);
        put_extension(w->out, f);
    }
    str_add_char(w->out, ')');
}

/* Write what stands before the children of a part (all of a leaf). */
static void enter(const struct walk *w, const struct mime_part *p)
{
    struct fields f;

    str_add_char(w->out, '(');
    if (p->kind == MIME_MULTIPART)
        return;
    find_fields(p->header, &f);
    put_body_fields(w->out, p, &f);
    if (p->kind == MIME_LEAF) {
        put_single_end(w, p, &f);
        return;
    }
    str_add_char(w->out, ' ');
    put_envelope(w->out, w->m->parts[p->first_child].header, w->max_addresses);
    str_add_char(w->out, ' ');
}

/* Write what stands after the children. */
static void leave(const struct walk *w, const struct mime_part *p)
{
    struct fields f;

    find_fields(p->header, &f);
    if (p->kind == MIME_MESSAGE) {
        put_single_end(w, p, &f);
        return;
    }
    str_add_char(w->out, ' ');
    put_string(w->out, p->subtype);
    if (w->form == BODY_EXTENDED) {
        str_add_char(w->out, ' ');
        put_type_params(w->out, p);
        put_extension(w->out, &f);
    }
    str_add_char(w->out, ')');
}

void put_bodystructure(struct str *out, const struct mime *m, enum bodystructure_form form,
                       size_t max_addresses, struct pace *pace)
{
    const struct walk w = { out, m, form, max_addresses };
    uint32_t i = 0;

    while (i != MIME_NONE) {
        const struct mime_part *p = &m->parts[i];

        if (!pace_on(pace, 4 * p->header.len + 256))
            return;
        enter(&w, p);
        if (p->first_child != MIME_NONE) {
            i = p->first_child;
            continue;
        }
        while (p->next == MIME_NONE && p->parent != MIME_NONE) {
            p = &m->parts[p->parent];
            leave(&w, p);
        }
        i = p->next;
    }
}
