/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chars.c - the table of character classes
 *
 * Runs in: everything.
 */
#include "base/chars.h"

#define D CHAR_DIGIT | CHAR_XDIGIT | CHAR_ATEXT
#define U CHAR_UPPER | CHAR_ATEXT
#define L CHAR_LOWER | CHAR_ATEXT
#define A CHAR_ATEXT

const uint8_t char_table[256] = {
    [0 ... 8] = CHAR_CTL,
    ['\t'] = CHAR_CTL | CHAR_BLANK,
    [10 ... 31] = CHAR_CTL,
    [' '] = CHAR_BLANK,
    ['0' ... '9'] = D,
    ['A' ... 'F'] = U | CHAR_XDIGIT,
    ['G' ... 'Z'] = U,
    ['a' ... 'f'] = L | CHAR_XDIGIT,
    ['g' ... 'z'] = L,
    ['!'] = A, ['#'] = A, ['$'] = A, ['%'] = A, ['&'] = A, ['\''] = A, ['*'] = A,
    ['+'] = A, ['-'] = A, ['/'] = A, ['='] = A, ['?'] = A, ['^'] = A, ['_'] = A,
    ['`'] = A, ['{'] = A, ['|'] = A, ['}'] = A, ['~'] = A,
    [127] = CHAR_CTL,
    [128 ... 255] = CHAR_HIGH,
};
