/* SPDX-License-Identifier: Apache-2.0 */
/*
 * casemap.c - i;unicode-casemap (RFC 5051 section 2)
 *
 * The facts of each code point are rows of casemap.def, which tools/make-casemap prints; Hangul
 * syllables decompose by arithmetic (Unicode Standard section 3.12). ASCII, nearly all text, takes
 * no look-up.
 *
 * Runs in: imapd (text is hostile). Logs nothing.
 */
#include "mail/casemap.h"

#include "base/chars.h"
#include "base/mem.h"
#include "base/utf8.h"

static const struct row {
    uint32_t cp;
    const char *form;
} rows[] = {
#define CASEMAP(cp, form) { cp, form },
#include "mail/casemap.def"
#undef CASEMAP
};

enum { HANGUL_FIRST = 0xAC00, HANGUL_LAST = 0xD7A3, L_FIRST = 0x1100, V_FIRST = 0x1161, T_FIRST = 0x11A7 };
enum { V_COUNT = 21, T_COUNT = 28 };

static void add_code_point(struct str *ret, uint32_t cp)
{
    char bytes[4];

    str_add(ret, span_make(bytes, utf8_encode(cp, bytes)));
}

static void add_hangul(struct str *ret, uint32_t cp)
{
    uint32_t i = cp - HANGUL_FIRST;

    add_code_point(ret, L_FIRST + i / (V_COUNT * T_COUNT));
    add_code_point(ret, V_FIRST + i % (V_COUNT * T_COUNT) / T_COUNT);
    if (i % T_COUNT != 0)
        add_code_point(ret, T_FIRST + i % T_COUNT);
}

static const char *find(uint32_t cp)
{
    size_t low = 0, high = ARRAY_LEN(rows);

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (rows[mid].cp == cp)
            return rows[mid].form;
        if (rows[mid].cp < cp)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static void add_mapped(struct str *ret, struct span as_is, uint32_t cp)
{
    const char *form = find(cp);

    if (form)
        str_add_str(ret, form);
    else if (cp >= HANGUL_FIRST && cp <= HANGUL_LAST)
        add_hangul(ret, cp);
    else
        str_add(ret, as_is);
}

void casemap_add(struct str *ret, struct span text)
{
    size_t start = ret->len;
    struct span rest = text;

    str_reserve(ret, text.len);
    while (rest.len > 0) {
        uint32_t cp;
        size_t n;

        if (!char_is(rest.ptr[0], CHAR_HIGH)) {
            str_add_char(ret, char_upper(rest.ptr[0]));
            rest = span_from(rest, 1);
            continue;
        }
        n = utf8_decode(rest, &cp);
        if (n == 0) {
            str_truncate(ret, start);
            str_add(ret, text);
            return;
        }
        add_mapped(ret, span_first(rest, n), cp);
        rest = span_from(rest, n);
    }
}
