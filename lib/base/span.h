/* SPDX-License-Identifier: Apache-2.0 */
/*
 * span.h - borrowed bytes with their length
 *
 * Someone else's bytes; may hold NUL; never assumed to be terminated. A span
 * of length 0 may have a NULL pointer. Comparisons named "_nocase" fold ASCII
 * only: the locale is no part of a mail protocol.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const char *ptr;
    size_t len;
};

/* The span of a string literal; usable as an initialiser. */
#define SPAN(literal) { "" literal, sizeof(literal) - 1 }
#define SPAN_NULL     ((struct span){ NULL, 0 })

/* For printf's %.*s; cut at INT_MAX. Only for text known to be printable: else str_add_escaped. */
#define SPAN_ARG(s) (int)(s).len, (s).ptr ? (s).ptr : ""
#define SPAN_FMT    "%.*s"

static inline struct span span_of(const char *s)
{
    return (struct span){ s, s ? strlen(s) : 0 };
}

static inline struct span span_make(const void *ptr, size_t len)
{
    return (struct span){ ptr, len };
}

/* The part of s from byte `from` on (empty when past the end), and its first `n` bytes. */
struct span span_from(struct span s, size_t from);
struct span span_first(struct span s, size_t n);

bool span_eq(struct span a, struct span b);
bool span_eq_str(struct span a, const char *b);
bool span_eq_nocase(struct span a, struct span b);
bool span_eq_nocase_str(struct span a, const char *b);
bool span_starts(struct span s, struct span prefix);
bool span_starts_nocase(struct span s, struct span prefix);
bool span_ends_nocase(struct span s, struct span suffix);

/* <0, 0, >0 as memcmp, a shorter prefix first; for qsort and bsearch. */
int span_cmp(struct span a, struct span b);
int span_cmp_nocase(struct span a, struct span b);

/* Index of the first / last c, or -1. */
ptrdiff_t span_chr(struct span s, char c);
ptrdiff_t span_rchr(struct span s, char c);

/* Index of needle's first occurrence, or -1; an empty needle is found at 0. */
ptrdiff_t span_find(struct span s, struct span needle);
ptrdiff_t span_find_nocase(struct span s, struct span needle);

/*
 * Take the part before the first `sep` off the front of *s, and the separator
 * with it. Without a separator the whole of *s is taken and *s becomes empty.
 */
struct span span_cut(struct span *s, char sep);

/* The same with any character of `seps` (NUL-terminated) as a separator. */
struct span span_cut_any(struct span *s, const char *seps);

/*
 * Take the next word: skip leading characters of `seps`, then cut before the
 * next one. Returns false when no word is left. `{ ... }` is one word, braces
 * removed, when seps hold blank or comma (the list syntax of main.cf).
 */
bool span_word(struct span *s, const char *seps, struct span *ret);

/* Is the word in a list separated by blanks or commas? Case does not count. */
bool span_list_has(struct span list, const char *word);

/* Skip / trim blanks: space, tab (and CR, LF for _trim). */
struct span span_skip_ws(struct span s);
struct span span_trim(struct span s);

/* If s starts with c (or the literal, case folded), take it off and return true. */
bool span_take(struct span *s, char c);
bool span_take_nocase(struct span *s, const char *literal);

/* An unsigned decimal number: digits only, at least one, nothing else. 0, -EINVAL, or -ERANGE above max. */
int span_u64(struct span s, uint64_t max, uint64_t *ret);
int span_u32(struct span s, uint32_t max, uint32_t *ret);

/* Decimal with an optional leading '-'. */
int span_i64(struct span s, int64_t *ret);

/* How many characters to put in, leave out or change (the first 64 count): 0 for equal names. */
size_t span_distance(struct span a, struct span b);

/* Hash for lookup tables in memory (keyed at process start, so peers cannot aim for collisions). */
uint64_t span_hash(struct span s);
uint64_t span_hash_nocase(struct span s);

#endif
