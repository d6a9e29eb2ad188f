/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utf8.c - UTF-8 of RFC 3629
 *
 * Runs in: everything; the input is hostile.
 */
#include "base/utf8.h"

size_t utf8_decode(struct span s, uint32_t *ret)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

    if (s.len == 0)
        return 0;
    unsigned char c = (unsigned char)s.ptr[0];
    size_t n = c < 0x80             ? 1
               : (c & 0xe0) == 0xc0 ? 2
               : (c & 0xf0) == 0xe0 ? 3
               : (c & 0xf8) == 0xf0 ? 4
                                    : 0;
    if (n == 0 || s.len < n)
        return 0;
    uint32_t cp = n == 1 ? c : c & (0x7fU >> n);
    for (size_t i = 1; i < n; i++) {
        unsigned char next = (unsigned char)s.ptr[i];

        if ((next & 0xc0) != 0x80)
            return 0;
        cp = cp << 6 | (next & 0x3f);
    }
    if (cp < least[n] || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
        return 0;
    *ret = cp;
    return n;
}

size_t utf8_encode(uint32_t cp, char buf[static 4])
{
    size_t n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};

    for (size_t i = n - 1; i > 0; i--) {
        buf[i] = (char)(0x80 | (cp & 0x3f));
        cp >>= 6;
    }
    buf[0] = (char)(lead[n] | cp);
    return n;
}

bool utf8_valid(struct span s)
{
    uint32_t cp;

    while (s.len > 0) {
        size_t n = utf8_decode(s, &cp);

        if (n == 0)
            return false;
        s = span_from(s, n);
    }
    return true;
}

bool utf8_printable(uint32_t cp)
{
    if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0))
        return false;
    if (cp == 0x200e || cp == 0x200f || (cp >= 0x2028 && cp <= 0x202e) ||
        (cp >= 0x2066 && cp <= 0x2069))
        return false;
    return cp != 0xfeff;
}
