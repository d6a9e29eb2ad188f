/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch_parse.c - the grammar of FETCH (RFC 3501 section 9, fetch-att; modifiers RFC 4466 section 2.4)
 *
 * Runs in: imapd (input is hostile). Logs nothing.
 */
#include "fetch.h"

#include "base/mem.h"

static const struct {
    const char *name, *items;
} macros[] = {
    { "ALL",  "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE" },
    { "FAST", "FLAGS INTERNALDATE RFC822.SIZE" },
    { "FULL", "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY" },
};

/* An item by its name, "RFC822.TEXT" */
static bool add_named(struct fetch *f, struct span name)
{
    const struct fetch_row *row = fetch_row_find(name);

    if (!row)
        return false;

    struct section *section = &fetch_add(f, row)->section;

    section->text = row->section;
    f->sets_seen |= row->need == FETCH_ALL; /* RFC822 and RFC822.TEXT, unlike RFC822.HEADER */
    str_add_str(&section->label, row->name);
    return true;
}

/* "BODY[...]" and "BODY.PEEK[...]" */
static bool parse_body_section(struct parse *p, struct fetch *f, struct span name)
{
    bool peek = span_eq_nocase_str(name, "BODY.PEEK");
    struct section section = SECTION_INIT;

    if ((!peek && !span_eq_nocase_str(name, "BODY")) || !parse_section(p, f->max_items, &section)) {
        section_done(&section);
        return false;
    }

    const struct fetch_row *row = section.part.len > 0          ? &fetch_section_of_part
                                  : section_is_kept(&section)   ? &fetch_section_in_kept
                                  : section_in_header(&section) ? &fetch_section_in_head
                                                                : &fetch_section_of_all;

    fetch_add(f, row)->section = section;
    f->sets_seen |= !peek;
    return true;
}

/* "BINARY[...]", "BINARY.PEEK[...]", "BINARY.SIZE[...]" (RFC 3516 section 4) */
static bool parse_binary(struct parse *p, struct fetch *f, struct span name)
{
    bool is_size = span_eq_nocase_str(name, "BINARY.SIZE");
    bool sets_seen = span_eq_nocase_str(name, "BINARY");
    struct section section = SECTION_INIT;

    if ((!is_size && !sets_seen && !span_eq_nocase_str(name, "BINARY.PEEK")) ||
        !parse_binary_section(p, &section) || (is_size && section.partial)) {
        section_done(&section);
        return false;
    }
    fetch_add(f, is_size ? &fetch_binary_size : &fetch_section_of_part)->section = section;
    f->sets_seen |= sets_seen;
    f->has_binary = true;
    return true;
}

/* "PREVIEW" with its modifier " (LAZY)" (RFC 8970 section 3.1) */
static bool parse_lazy(struct parse *p)
{
    struct span save = p->in;

    if (parse_sp(p) && parse_char(p, '(')) {
        if (parse_word(p, "LAZY") && parse_char(p, ')'))
            return true;
    }
    p->in = save;
    return false;
}

static bool parse_item(struct parse *p, struct fetch *f)
{
    struct span name;

    if (f->len == f->max_items || !parse_name(p, &name))
        return false;
    if (p->in.len > 0 && p->in.ptr[0] == '[')
        return span_starts_nocase(name, (struct span)SPAN("BINARY")) ? parse_binary(p, f, name) :
                                                                       parse_body_section(p, f, name);
    if (span_eq_nocase_str(name, "PREVIEW") && parse_lazy(p)) {
        fetch_add(f, &fetch_lazy_preview);
        return true;
    }
    return add_named(f, name);
}

static bool parse_macro(struct parse *p, struct fetch *f)
{
    for (size_t i = 0; i < ARRAY_LEN(macros); i++) {
        if (parse_word(p, macros[i].name)) {
            struct span items = span_of(macros[i].items), name;

            while (span_word(&items, " ", &name))
                add_named(f, name);
            return true;
        }
    }
    return false;
}

/* One of CHANGEDSINCE and VANISHED (RFC 7162), PARTIAL (RFC 9394) */
static bool parse_modifier(struct parse *p, struct fetch *f)
{
    if (parse_word(p, "VANISHED")) {
        f->vanished = true;
        return true;
    }
    if (parse_word(p, "PARTIAL"))
        return f->partial.from == 0 && parse_sp(p) && parse_partial(p, &f->partial);
    f->has_changed_since = parse_word(p, "CHANGEDSINCE");
    return f->has_changed_since && parse_sp(p) && parse_number(p, INT64_MAX, &f->changed_since);
}

/* fetch-modifiers = SP "(" fetch-modifier *(SP fetch-modifier) ")" (RFC 4466 section 2.4) */
static bool parse_modifiers(struct parse *p, struct fetch *f)
{
    if (parse_end(p))
        return true;
    if (!parse_sp(p) || !parse_char(p, '('))
        return false;
    do
        if (!parse_modifier(p, f))
            return false;
    while (parse_sp(p));
    if (!parse_char(p, ')') || !parse_end(p) || (f->vanished && !f->has_changed_since))
        return false;
    if (f->has_changed_since && !f->has_modseq)
        add_named(f, span_of("MODSEQ"));
    return true;
}

bool fetch_parse(struct parse *p, struct fetch *f)
{
    if (!parse_sp(p))
        return false;
    if (parse_char(p, '(')) {
        do
            if (!parse_macro(p, f) && !parse_item(p, f))
                return false;
        while (parse_sp(p));
        if (!parse_char(p, ')'))
            return false;
    } else if (!parse_macro(p, f) && !parse_item(p, f)) {
        return false;
    }
    return parse_modifiers(p, f);
}
