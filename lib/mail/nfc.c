/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nfc.c - Normalization Form C (Unicode Standard Annex 15), recognised
 *
 * The facts are rows of nfc.def, which tools/make-nfc prints; Hangul composes by arithmetic (Unicode Standard
 * section 3.12). ASCII takes no look-up.
 *
 * Runs in: imapd (text is hostile). Logs nothing.
 */
#include "mail/nfc.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"

static const struct range {
    uint32_t first, last;
} never[] = {
#define NFC_NEVER(first, last) { first, last },
#define NFC_PAIR(a, b)
#include "mail/nfc.def"
#undef NFC_NEVER
#undef NFC_PAIR
};

static const struct pair {
    uint32_t a, b;
} pairs[] = {
#define NFC_NEVER(first, last)
#define NFC_PAIR(a, b) { a, b },
#include "mail/nfc.def"
#undef NFC_NEVER
#undef NFC_PAIR
};

enum { L_FIRST = 0x1100, L_LAST = 0x1112, V_FIRST = 0x1161, V_LAST = 0x1175, T_FIRST = 0x11A8, T_LAST = 0x11C2 };
enum { SYLLABLE_FIRST = 0xAC00, SYLLABLE_LAST = 0xD7A3, T_COUNT = 28 };

static int compare_range(const void *key, const void *item)
{
    uint32_t cp = *(const uint32_t *)key;
    const struct range *r = item;

    return cp < r->first ? -1 : cp > r->last;
}

static int compare_pair(const void *key, const void *item)
{
    const struct pair *x = key, *y = item;

    if (x->a != y->a)
        return x->a < y->a ? -1 : 1;
    return x->b < y->b ? -1 : x->b > y->b;
}

static bool is_never(uint32_t cp)
{
    return bsearch(&cp, never, ARRAY_LEN(never), sizeof never[0], compare_range);
}

static bool composes_hangul(uint32_t a, uint32_t b)
{
    if (a >= L_FIRST && a <= L_LAST)
        return b >= V_FIRST && b <= V_LAST;
    return a >= SYLLABLE_FIRST && a <= SYLLABLE_LAST && (a - SYLLABLE_FIRST) % T_COUNT == 0 && b >= T_FIRST && b <= T_LAST;
}

static bool composes(uint32_t a, uint32_t b)
{
    const struct pair key = { a, b };

    return composes_hangul(a, b) || bsearch(&key, pairs, ARRAY_LEN(pairs), sizeof pairs[0], compare_pair);
}

bool nfc_is_normal(struct span text)
{
    uint32_t before = 0, cp;

    while (text.len > 0) {
        size_t n = utf8_decode(text, &cp);

        if (n == 0)
            return false;
        if (cp >= 0x80 && (is_never(cp) || composes(before, cp)))
            return false;
        before = cp;
        text = span_from(text, n);
    }
    return true;
}
