/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search_text.c - text in headers and bodies, encodings and charsets undone
 *
 * Most bytes of a mailbox are looked at by search_contains() when somebody
 * searches bodies, so it leaps from one candidate to the next with memchr(), which the
 * C library has in vector instructions, and compares only there.
 *
 * Runs in: imapd (content is hostile). Logs nothing.
 */
#include "search_text.h"

#include "base/chars.h"
#include "mail/casemap.h"
#include "mail/charset.h"
#include "mail/header.h"

/* How many of n characters are the same from the front on */
static size_t same_nocase(const char *a, const char *b, size_t n)
{
    size_t i = 0;

    while (i < n && char_lower(a[i]) == char_lower(b[i]))
        i++;
    return i;
}

/* The first c at or after p, in this case only; end if none */
static const char *next_char(const char *p, const char *end, char c)
{
    const char *found = p < end ? memchr(p, c, (size_t)(end - p)) : NULL;

    return found ? found : end;
}

static bool has_high(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (char_is(text.ptr[i], CHAR_HIGH))
            return true;
    return false;
}

/* By i;unicode-casemap (RFC 5051): text beyond ASCII, which is rare, costs a copy of all. */
static bool contains_form(struct span bytes, struct span text, struct pace *pace)
{
    _cleanup_(str_free) struct str all = STR_INIT, part = STR_INIT;

    casemap_add_mixed(&all, bytes, pace);
    casemap_add_mixed(&part, text, NULL);
    return pace_error(pace) == 0 && span_find(str_span(&all), str_span(&part)) >= 0;
}

bool search_contains(struct span bytes, struct span text, struct pace *pace)
{
    if (text.len == 0)
        return true;
    if (has_high(text))
        return contains_form(bytes, text, pace);
    if (text.len > bytes.len)
        return false;

    const char *end = bytes.ptr + (bytes.len - text.len) + 1;
    char low = char_lower(text.ptr[0]), up = char_upper(text.ptr[0]);
    const char *l = next_char(bytes.ptr, end, low),
               *u = low == up ? end : next_char(bytes.ptr, end, up);

    while (l < end || u < end) {
        const char **first = l < u ? &l : &u;
        size_t same = same_nocase(*first, text.ptr, text.len);

        if (same == text.len)
            return true;
        if (!pace_on(pace, same + 1))
            return false;
        *first = next_char(*first + 1, end, first == &l ? low : up);
    }
    return false;
}

/* Without encoded words, folds and other characters that become blanks a field means what its bytes say. */
static bool is_plain(struct span value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] < ' ' || value.ptr[i] > '~')
            return false;
    return span_find(value, (struct span)SPAN("=?")) < 0;
}

/* Text without white space is in no field if it is nowhere in the header, wherever lines are folded. */
static bool is_nowhere(struct span header, struct span text, struct pace *pace)
{
    return span_chr(text, ' ') < 0 && span_chr(text, '\t') < 0 && !has_high(text) &&
           span_find(header, (struct span)SPAN("=?")) < 0 && !search_contains(header, text, pace);
}

static bool value_contains(struct span value, struct span text, struct pace *pace)
{
    if (is_plain(value))
        return search_contains(value, text, pace);

    _cleanup_(str_free) struct str decoded = STR_INIT;

    header_decode(value, &decoded);
    return search_contains(str_span(&decoded), text, pace);
}

bool search_header(struct span header, struct span field, struct span text, struct pace *pace)
{
    struct header_field f;

    if (is_nowhere(header, text, pace))
        return false;
    while (mime_field_next(&header, &f) && pace_on(pace, f.raw.len)) {
        if (field.ptr && !span_eq_nocase(f.name, field))
            continue;
        if (text.len == 0 || value_contains(span_trim(f.value), text, pace) ||
            (!field.ptr && search_contains(f.raw, text, pace)))
            return true;
    }
    return false;
}

/* The charset of a text part; false: none is needed, its bytes are UTF-8 or ASCII. */
static bool foreign_charset(const struct mime_part *p, struct str *ret)
{
    struct span params = p->content_type, type, subtype;

    if (params.len == 0 || !mime_type(&params, &type, &subtype) ||
        !mime_param_find(params, "charset", ret))
        return false;
    return ret->len > 0 && !charset_is_ours(str_span(ret));
}

static bool leaf_contains(const struct mime_part *p, struct span text, struct pace *pace)
{
    _cleanup_(str_free) struct str decoded = STR_INIT, charset = STR_INIT, utf8 = STR_INIT;
    enum mime_encoding encoding = mime_encoding(p);
    struct span bytes = p->body;

    if (encoding == MIME_BASE64 || encoding == MIME_QUOTED_PRINTABLE) { /* an unknown one is searched as it stands */
        mime_decode(p->body, encoding, pace, &decoded);
        bytes = str_span(&decoded);
    }
    if (foreign_charset(p, &charset) && charset_convert(bytes, str_span(&charset), pace, &utf8))
        bytes = str_span(&utf8);
    return search_contains(bytes, text, pace);
}

/* Text, and what reports of the mail system consist of (RFC 3464, RFC 5965) */
static bool is_readable(const struct mime_part *p)
{
    return span_eq_nocase_str(p->type, "text") || span_eq_nocase_str(p->type, "message");
}

bool search_body(const struct mime *m, struct span text, struct pace *pace)
{
    for (size_t i = 0; i < m->len && pace_on(pace, m->parts[i].header.len); i++) {
        const struct mime_part *p = &m->parts[i];
        bool inner = p->parent != MIME_NONE && m->parts[p->parent].kind == MIME_MESSAGE;

        if (inner && search_header(p->header, SPAN_NULL, text, pace))
            return true;
        if (p->kind == MIME_LEAF && is_readable(p) && leaf_contains(p, text, pace))
            return true;
    }
    return false;
}
