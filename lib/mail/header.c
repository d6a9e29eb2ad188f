/* SPDX-License-Identifier: Apache-2.0 */
/*
 * header.c - the header section of a message, field by field
 *
 * RFC 5322 section 2.2. Broken mail is normal: lines end with CRLF or LF, blanks may
 * stand before the colon, and the section ends where the fields end, whether
 * or not an empty line follows.
 *
 * Runs in: cleanup, bounce, imapd, local (input is hostile). Logs nothing.
 */
#include "mail/header.h"

#include <errno.h>

#include "base/chars.h"

/* Length of the line at the front of in, its line end included */
static size_t line_len(struct span in)
{
    ptrdiff_t lf = span_chr(in, '\n');

    return lf < 0 ? in.len : (size_t)lf + 1;
}

/* line without its CRLF or LF */
static struct span chomp(struct span line)
{
    if (line.len > 0 && line.ptr[line.len - 1] == '\n')
        line.len--;
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    return line;
}

/* Length of the field name at the front of line (without blanks before the colon), and where the value
 * begins; 0: this is no field */
static size_t name_len(struct span line, size_t *ret_value)
{
    size_t n = 0;

    while (n < line.len && line.ptr[n] > ' ' && line.ptr[n] < 127 && line.ptr[n] != ':')
        n++;

    size_t colon = n;

    while (colon < line.len && char_is(line.ptr[colon], CHAR_BLANK))
        colon++;
    if (n == 0 || colon == line.len || line.ptr[colon] != ':')
        return 0;
    *ret_value = colon + 1;
    return n;
}

int header_next(struct span *in, size_t max, struct header_field *ret)
{
    size_t len = line_len(*in);
    struct span first = chomp(span_first(*in, len));
    size_t value = 0;
    size_t name = name_len(first, &value);

    if (name == 0) {
        if (first.len == 0)
            *in = span_from(*in, len);
        return 0;
    }
    while (len < in->len && char_is(in->ptr[len], CHAR_BLANK))
        len += line_len(span_from(*in, len));

    ret->raw = span_first(*in, len);
    *in = span_from(*in, len);

    struct span kept = span_first(chomp(ret->raw), max);

    ret->name = span_first(kept, name);
    ret->value = span_from(kept, value);
    return ret->raw.len > max ? -EMSGSIZE : 1;
}

bool header_find(struct span header, const char *name, struct span *ret_value)
{
    struct header_field f;

    while (header_next(&header, SIZE_MAX, &f) != 0) {
        if (!span_eq_nocase_str(f.name, name))
            continue;
        *ret_value = f.value;
        return true;
    }
    return false;
}

void header_unfold(struct span value, struct str *ret)
{
    while (value.len > 0) {
        struct span line = span_first(value, line_len(value));
        struct span text = chomp(line);

        for (size_t i = 0; i < text.len; i++)
            str_add_char(ret, char_is(text.ptr[i], CHAR_CTL) ? ' ' : text.ptr[i]);
        value = span_from(value, line.len);
    }
}
