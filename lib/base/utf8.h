/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utf8.h - UTF-8 as RFC 3629 allows it: shortest form, no surrogates, at most U+10FFFF
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/span.h"

/* Decode the first character of s. Returns how many bytes it takes (1-4), or 0 when s is empty or
 * does not begin with a well-formed sequence. */
size_t utf8_decode(struct span s, uint32_t *ret);

/* Append-size of a code point, written to buf: 1-4 bytes; cp is valid. */
size_t utf8_encode(uint32_t cp, char buf[static 4]);

/* All of s is well-formed. */
bool utf8_valid(struct span s);

/* No control, no line or paragraph separator, nothing that turns the direction of the text around.
 */
bool utf8_printable(uint32_t cp);

#endif
