/* SPDX-License-Identifier: Apache-2.0 */
/*
 * str.h - bytes we own: grow on demand, always terminated
 *
 * Pass `struct str *` to functions that build text. Declare with
 * `_cleanup_(str_free) struct str s = STR_INIT;`. data is never NULL after the
 * first add or after str_cstr(). May hold NUL bytes; len counts them.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdarg.h>

#include "base/own.h"
#include "base/span.h"

struct str {
    char *data;
    size_t len, cap;
};

#define STR_INIT ((struct str){ NULL, 0, 0 })

void str_free(struct str *s);                       /* releases the memory; s is STR_INIT afterwards */
void str_reset(struct str *s);                      /* empty, keeps the memory */
void str_truncate(struct str *s, size_t len);       /* len at most s->len */
void str_reserve(struct str *s, size_t more);       /* room for `more` bytes beyond len, and the NUL */
void str_advance(struct str *s, size_t n);          /* n bytes were put into the reserved room */

void str_add(struct str *s, struct span bytes);
void str_add_str(struct str *s, const char *text);
void str_add_char(struct str *s, char c);
void str_add_u64(struct str *s, uint64_t n);
void str_addf(struct str *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void str_vaddf(struct str *s, const char *fmt, va_list ap);
void str_set(struct str *s, struct span bytes);     /* reset and add; bytes may lie within s */

/* ASCII letters to lower case. */
void str_add_lower(struct str *s, struct span bytes);

/*
 * For logs and replies: bytes that are not printable ASCII become '?', as
 * Postfix does; the result is cut at max bytes. UTF-8 that is well-formed and
 * printable is kept when utf8_ok is STR_UTF8.
 */
enum str_escape { STR_ASCII, STR_UTF8 };
void str_add_escaped(struct str *s, struct span bytes, size_t max, enum str_escape utf8_ok);

/* JSON string, with its quotes (RFC 8259 section 7); invalid UTF-8 becomes U+FFFD. */
void str_add_json(struct str *s, struct span bytes);

/* Hexadecimal, lower case; and Base64 (RFC 4648 section 4, padded, no line breaks). */
void str_add_hex(struct str *s, struct span bytes);
void str_add_base64(struct str *s, struct span bytes);

/* Decode Base64: strict, padding required, no blanks. 0 or -EINVAL (s is then as before). */
int str_add_unbase64(struct str *s, struct span text);

struct span str_span(const struct str *s);
const char *str_cstr(struct str *s);                /* terminated; valid until s changes */
char *str_take(struct str *s);                      /* the memory becomes the caller's (free()); never NULL */

#endif
