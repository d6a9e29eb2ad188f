/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mime_field.c - the fields that describe a part: tokens, types, parameters, transfer encodings
 *
 * RFC 2045 sections 5.1 and 6, read leniently: comments (RFC 822 style,
 * nested) and white space anywhere between tokens, parameters without quotes
 * that need them, missing semicolons at the end. Nothing here fails.
 *
 * Runs in: imapd (input is hostile). Logs nothing.
 */
#include "base/chars.h"
#include "mail/header.h"
#include "mail/mime.h"

/* What is beyond this in one field is not looked at. */
#define FIELD_MAX 102400

bool mime_field_next(struct span *header, struct header_field *ret)
{
    while (header->len > 0) {
        size_t before = header->len;

        if (header_next(header, FIELD_MAX, ret) != 0)
            return true;
        if (header->len == before)
            span_cut(header, '\n');
    }
    return false;
}

bool mime_field_find(struct span header, const char *name, struct span *ret_value)
{
    struct span want = span_of(name);
    struct header_field f;

    while (mime_field_next(&header, &f)) {
        if (span_eq_nocase(f.name, want)) {
            *ret_value = f.value;
            return true;
        }
    }
    return false;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The characters that end a token: RFC 2045 section 5.1 tspecials, white space, controls. */
static bool is_token_char(char c)
{
    static const struct span tspecials = SPAN("()<>@,;:\\\"/[]?=");

    return !is_space(c) && !char_is(c, CHAR_CTL) && span_chr(tspecials, c) < 0;
}

/* Take a comment, which may hold others, off the front; a missing ')' ends it at the end. */
static void skip_comment(struct span *in)
{
    size_t depth = 0, i = 0;

    for (; i < in->len; i++) {
        if (in->ptr[i] == '\\')
            i++;
        else if (in->ptr[i] == '(')
            depth++;
        else if (in->ptr[i] == ')' && --depth == 0)
            break;
    }
    *in = span_from(*in, i + 1);
}

/* CFWS */
static void skip_cfws(struct span *in)
{
    while (in->len > 0) {
        if (is_space(in->ptr[0]))
            *in = span_from(*in, 1);
        else if (in->ptr[0] == '(')
            skip_comment(in);
        else
            return;
    }
}

struct span mime_token(struct span *value)
{
    size_t n = 0;

    skip_cfws(value);
    while (n < value->len && is_token_char(value->ptr[n]))
        n++;

    struct span token = span_first(*value, n);

    *value = span_from(*value, n);
    skip_cfws(value);
    return token;
}

bool mime_type(struct span *value, struct span *ret_type, struct span *ret_subtype)
{
    struct span in = *value;
    struct span type = mime_token(&in);

    if (type.len == 0 || !span_take(&in, '/'))
        return false;

    struct span subtype = mime_token(&in);

    if (subtype.len == 0)
        return false;
    *value = in;
    *ret_type = type;
    *ret_subtype = subtype;
    return true;
}

/* A quoted string whose opening quote is taken; a missing closing quote ends it at the end. */
static void quoted_value(struct span *in, struct str *value)
{
    size_t i = 0;

    for (; i < in->len && in->ptr[i] != '"'; i++) {
        if (in->ptr[i] == '\\' && i + 1 < in->len)
            i++;
        else if (in->ptr[i] == '\r' || in->ptr[i] == '\n')
            continue; /* folded */
        str_add_char(value, in->ptr[i]);
    }
    *in = span_from(*in, i + 1);
}

/* A value without quotes: up to ';' or a comment, its blanks kept inside and trimmed at the end. */
static void bare_value(struct span *in, struct str *value)
{
    size_t i = 0;

    for (; i < in->len && in->ptr[i] != ';'; i++) {
        char c = in->ptr[i];

        if (c == '(' && i > 0 && is_space(in->ptr[i - 1]))
            break;
        if (c != '\r' && c != '\n')
            str_add_char(value, c);
    }
    while (value->len > 0 && is_space(value->data[value->len - 1]))
        str_truncate(value, value->len - 1);
    *in = span_from(*in, i);
}

bool mime_param(struct span *in, struct span *ret_name, struct str *value)
{
    while (in->len > 0) {
        /* What stands before the semicolon belongs to nothing. */
        ptrdiff_t semicolon = span_chr(*in, ';');

        if (semicolon < 0)
            break;
        *in = span_from(*in, (size_t)semicolon + 1);

        struct span name = mime_token(in);

        if (name.len == 0 || !span_take(in, '='))
            continue;
        skip_cfws(in);
        str_reset(value);
        if (span_take(in, '"'))
            quoted_value(in, value);
        else
            bare_value(in, value);
        *ret_name = name;
        return true;
    }
    *in = SPAN_NULL;
    return false;
}

bool mime_param_find(struct span in, const char *name, struct str *value)
{
    struct span got;

    while (mime_param(&in, &got, value))
        if (span_eq_nocase_str(got, name))
            return true;
    str_reset(value);
    return false;
}

enum mime_encoding mime_encoding(const struct mime_part *part)
{
    static const struct {
        const char *name;
        enum mime_encoding encoding;
    } names[] = {
        { "7bit", MIME_IDENTITY }, { "8bit", MIME_IDENTITY }, { "binary", MIME_IDENTITY },
        { "base64", MIME_BASE64 }, { "quoted-printable", MIME_QUOTED_PRINTABLE },
    };
    struct span value;

    if (!mime_field_find(part->header, "Content-Transfer-Encoding", &value))
        return MIME_IDENTITY;

    struct span token = mime_token(&value);

    if (token.len == 0)
        return MIME_IDENTITY;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (span_eq_nocase_str(token, names[i].name))
            return names[i].encoding;
    return MIME_UNKNOWN;
}
