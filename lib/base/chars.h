/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chars.h - character classes from one table; never <ctype.h>, whose answers depend on the locale
 */
#ifndef BASE_CHARS_H
#define BASE_CHARS_H

#include <stdbool.h>
#include <stdint.h>

enum char_class {
    CHAR_DIGIT  = 1 << 0,
    CHAR_UPPER  = 1 << 1,
    CHAR_LOWER  = 1 << 2,
    CHAR_XDIGIT = 1 << 3,
    CHAR_BLANK  = 1 << 4, /* space, tab */
    CHAR_CTL    = 1 << 5, /* 0-31, 127 */
    CHAR_ATEXT  = 1 << 6, /* RFC 5322 section 3.2.3, ASCII only */
    CHAR_HIGH   = 1 << 7, /* 128-255 */
};
extern const uint8_t char_table[256];

static inline bool char_is(char c, unsigned classes)
{
    return char_table[(unsigned char)c] & classes;
}

static inline char char_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static inline char char_upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

/* The value of a hexadecimal digit, -1 for all else. */
static inline int char_hex(char c)
{
    if (!char_is(c, CHAR_XDIGIT))
        return -1;
    return c <= '9' ? c - '0' : char_lower(c) - 'a' + 10;
}

#define CHAR_ALPHA (CHAR_UPPER | CHAR_LOWER)
#define CHAR_ALNUM (CHAR_ALPHA | CHAR_DIGIT)

#endif
