/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source.c - one logical line of a table source
 *
 * The syntax is that of postmap(1) and aliases(5).
 *
 * Runs in: postmap, postalias, and whatever reads a texthash table.
 */
#include "table/source.h"

#include <stdbool.h>

#include "base/chars.h"
#include "table/type.h"

static const char *check_sizes(struct span key, struct span value)
{
    if (key.len > TABLE_KEY_MAX)
        return "key longer than 4096 bytes";
    if (value.len > TABLE_VALUE_MAX)
        return "value longer than 1048576 bytes";
    if (key.len > 0 && memchr(key.ptr, '\0', key.len))
        return "NUL byte in the key";
    if (value.len > 0 && memchr(value.ptr, '\0', value.len))
        return "NUL byte in the value";
    return NULL;
}

/* Index of the first byte of `stop` outside of quotes, or the length; -1 when a quote is left open.
 */
static ptrdiff_t find_unquoted(struct span s, const char *stop)
{
    bool quoted = false;
    size_t i;

    for (i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (c == '\\' && i + 1 < s.len)
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && c != '\0' && strchr(stop, c))
            break;
    }
    return quoted ? -1 : (ptrdiff_t)i;
}

const char *source_map_line(struct span line, struct span *ret_key, struct span *ret_value)
{
    ptrdiff_t end = find_unquoted(line, " \t");

    if (end < 0)
        return "unbalanced '\"'";
    struct span key = span_first(line, (size_t)end);
    struct span value = span_trim(span_from(line, (size_t)end));

    if (key.len == 0 || value.len == 0)
        return "expected format: key whitespace value";
    const char *wrong = check_sizes(key, value);

    if (wrong)
        return wrong;
    *ret_key = key;
    *ret_value = value;
    return NULL;
}

/* The name without quotes and without blanks around. False when it is empty or odd. */
static bool alias_name(struct span text, struct str *ret)
{
    bool quoted = false;

    text = span_trim(text);
    str_reset(ret);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (c == '"') {
            quoted = !quoted;
            continue;
        }
        if (c == '\\' && i + 1 < text.len)
            c = text.ptr[++i];
        else if (!quoted && char_is(c, CHAR_BLANK | CHAR_CTL))
            return false;
        str_add_char(ret, c);
    }
    return ret->len > 0;
}

/* Take a comment "( ... )" off the front of *s; nested ones count. False when it has no end. */
static bool skip_comment(struct span *s)
{
    size_t depth = 0;

    for (size_t i = 0; i < s->len; i++) {
        if (s->ptr[i] == '\\')
            i++;
        else if (s->ptr[i] == '(')
            depth++;
        else if (s->ptr[i] == ')' && --depth == 0) {
            *s = span_from(*s, i + 1);
            return true;
        }
    }
    return false;
}

/* Copy up to the next comma outside of quotes; blanks outside of quotes become one. */
static bool copy_value(struct span *s, struct str *ret)
{
    bool quoted = false, blank = false;
    size_t start = ret->len;

    while (s->len > 0) {
        char c = s->ptr[0];

        if (!quoted && c == '(') {
            if (!skip_comment(s))
                return false;
            continue;
        }
        *s = span_from(*s, 1);
        if (!quoted && c == ',')
            return true;
        if (!quoted && char_is(c, CHAR_BLANK | CHAR_CTL)) {
            blank = true;
            continue;
        }
        if (blank && ret->len > start)
            str_add_char(ret, ' ');
        blank = false;
        str_add_char(ret, c);
        if (c == '"')
            quoted = !quoted;
        if (c == '\\' && s->len > 0) {
            str_add_char(ret, s->ptr[0]);
            *s = span_from(*s, 1);
        }
    }
    return !quoted;
}

const char *source_alias_line(struct span line, struct str *ret_key, struct str *ret_value)
{
    ptrdiff_t colon = find_unquoted(line, ":");

    if (colon < 0)
        return "unbalanced '\"'";
    if ((size_t)colon == line.len || !alias_name(span_first(line, (size_t)colon), ret_key))
        return "expected format: name: value, value";
    if (memchr(ret_key->data, '@', ret_key->len))
        return "the name of an alias must not hold '@': it is a local name";

    struct span rest = span_from(line, (size_t)colon + 1);

    str_reset(ret_value);
    while (rest.len > 0) {
        size_t before = ret_value->len;

        if (before > 0)
            str_add_str(ret_value, ", ");
        size_t start = ret_value->len;

        if (!copy_value(&rest, ret_value))
            return "unbalanced '\"' or '('";
        if (ret_value->len == start)
            str_truncate(ret_value, before); /* nothing between two commas */
    }
    if (ret_value->len == 0)
        return "expected format: name: value, value";
    return check_sizes(str_span(ret_key), str_span(ret_value));
}
