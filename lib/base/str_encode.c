/* SPDX-License-Identifier: Apache-2.0 */
/*
 * str_encode.c - escaped text, JSON, hexadecimal and Base64
 *
 * Runs in: everything; the input is hostile.
 */
#include <errno.h>

#include "base/chars.h"
#include "base/str.h"
#include "base/utf8.h"

/* printable_len - bytes of the printable character at the front of s, 0 if there is none */
static size_t printable_len(struct span s, enum str_escape utf8_ok)
{
    uint32_t cp;

    if (!char_is(s.ptr[0], CHAR_HIGH))
        return !char_is(s.ptr[0], CHAR_CTL);
    if (utf8_ok != STR_UTF8)
        return 0;
    size_t n = utf8_decode(s, &cp);
    return n > 0 && utf8_printable(cp) ? n : 0;
}

/* plain_len - how many printable ASCII characters s starts with */
static size_t plain_len(struct span s)
{
    size_t n = 0;

    while (n < s.len && !char_is(s.ptr[n], CHAR_HIGH | CHAR_CTL))
        n++;
    return n;
}

void str_add_escaped(struct str *s, struct span bytes, size_t max, enum str_escape utf8_ok)
{
    str_reserve(s, bytes.len < max ? bytes.len : max);
    while (bytes.len > 0) {
        size_t n = plain_len(span_first(bytes, max));

        if (n == 0)
            n = printable_len(bytes, utf8_ok);
        if ((n ? n : 1) > max)
            return;
        if (n > 0)
            str_add(s, span_first(bytes, n));
        else
            str_add_char(s, '?');
        n = n ? n : 1;
        max -= n;
        bytes = span_from(bytes, n);
    }
}

/* add_json_char - one character below 0x80 */
static void add_json_char(struct str *s, char c)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *special = c != '\0' ? strchr(from, c) : NULL;

    if (special) {
        str_add_char(s, '\\');
        str_add_char(s, to[special - from]);
    } else if (char_is(c, CHAR_CTL)) {
        str_addf(s, "\\u%04x", (unsigned)c);
    } else {
        str_add_char(s, c);
    }
}

/* unquoted_len - how many characters s starts with that JSON takes as they are */
static size_t unquoted_len(struct span s)
{
    size_t n = 0;

    while (n < s.len && !char_is(s.ptr[n], CHAR_HIGH | CHAR_CTL) && s.ptr[n] != '"' && s.ptr[n] != '\\')
        n++;
    return n;
}

void str_add_json(struct str *s, struct span bytes)
{
    uint32_t cp;

    str_reserve(s, bytes.len + 2);
    str_add_char(s, '"');
    while (bytes.len > 0) {
        size_t plain = unquoted_len(bytes);

        str_add(s, span_first(bytes, plain));
        bytes = span_from(bytes, plain);
        if (bytes.len == 0)
            break;
        size_t n = utf8_decode(bytes, &cp);

        if (n == 1)
            add_json_char(s, bytes.ptr[0]);
        else if (n > 1)
            str_add(s, span_first(bytes, n));
        else
            str_add_str(s, "\xef\xbf\xbd");
        bytes = span_from(bytes, n ? n : 1);
    }
    str_add_char(s, '"');
}

void str_add_hex(struct str *s, struct span bytes)
{
    static const char digits[] = "0123456789abcdef";

    str_reserve(s, bytes.len * 2);
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.ptr[i];

        str_add_char(s, digits[c >> 4]);
        str_add_char(s, digits[c & 15]);
    }
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void str_add_base64(struct str *s, struct span bytes)
{
    const unsigned char *p = (const unsigned char *)bytes.ptr;

    str_reserve(s, (bytes.len + 2) / 3 * 4);
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t n = bytes.len - i;
        uint32_t w =
            (uint32_t)p[i] << 16 | (n > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (n > 2 ? p[i + 2] : 0);

        str_add_char(s, base64_digits[w >> 18]);
        str_add_char(s, base64_digits[w >> 12 & 63]);
        str_add_char(s, n > 1 ? base64_digits[w >> 6 & 63] : '=');
        str_add_char(s, n > 2 ? base64_digits[w & 63] : '=');
    }
}

/* base64_value - 0 to 63, or -1 */
static int base64_value(char c)
{
    if (char_is(c, CHAR_UPPER))
        return c - 'A';
    if (char_is(c, CHAR_LOWER))
        return c - 'a' + 26;
    if (char_is(c, CHAR_DIGIT))
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* add_quad - decode four characters of which the last `pad` are '='; false if they are no Base64 */
static bool add_quad(struct str *s, const char *p, int pad)
{
    uint32_t w = 0;

    for (int i = 0; i < 4 - pad; i++) {
        int v = base64_value(p[i]);

        if (v < 0)
            return false;
        w |= (uint32_t)v << (18 - 6 * i);
    }
    if ((w & (pad == 2 ? 0xffffU : pad == 1 ? 0xffU : 0)) != 0)
        return false; /* bits that the encoder must leave zero: two texts for one value */
    for (int i = 0; i < 3 - pad; i++)
        str_add_char(s, (char)(w >> (16 - 8 * i)));
    return true;
}

int str_add_unbase64(struct str *s, struct span text)
{
    size_t before = s->len;
    int pad = 0;

    if (text.len % 4 != 0)
        return -EINVAL;
    if (text.len > 0 && text.ptr[text.len - 1] == '=')
        pad = text.ptr[text.len - 2] == '=' ? 2 : 1;
    str_reserve(s, text.len / 4 * 3);
    for (size_t i = 0; i < text.len; i += 4) {
        if (!add_quad(s, text.ptr + i, i + 4 == text.len ? pad : 0)) {
            str_truncate(s, before);
            return -EINVAL;
        }
    }
    return 0;
}
