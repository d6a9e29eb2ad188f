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

#define PIECE 65536

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

/* The form of the UTF-8 at the front of text, which is cut off. */
static void add_valid(struct str *ret, struct span *text)
{
    while (text->len > 0) {
        uint32_t cp;
        size_t n = 1;

        if (!char_is(text->ptr[0], CHAR_HIGH)) {
            str_add_char(ret, char_upper(text->ptr[0]));
        } else {
            n = utf8_decode(*text, &cp);
            if (n == 0)
                return;
            add_mapped(ret, span_first(*text, n), cp);
        }
        *text = span_from(*text, n);
    }
}

void casemap_add(struct str *ret, struct span text)
{
    size_t start = ret->len;
    struct span rest = text;

    str_reserve(ret, text.len);
    add_valid(ret, &rest);
    if (rest.len == 0)
        return;
    str_truncate(ret, start);
    str_add(ret, text);
}

/* Of a long text a part that ends with a character. */
static struct span whole_characters(struct span text)
{
    struct span piece = span_first(text, PIECE);

    for (int i = 0; i < 3 && piece.len < text.len && piece.len > 1 && (text.ptr[piece.len] & 0xC0) == 0x80; i++)
        piece.len--;
    return piece;
}

void casemap_add_mixed(struct str *ret, struct span text, struct pace *pace)
{
    str_reserve(ret, text.len);
    while (text.len > 0) {
        struct span piece = whole_characters(text);

        if (!pace_on(pace, piece.len))
            return;
        text = span_from(text, piece.len);
        while (piece.len > 0) {
            add_valid(ret, &piece);
            if (piece.len > 0)
                str_add_char(ret, piece.ptr[0]);
            piece = span_from(piece, 1);
        }
    }
}
