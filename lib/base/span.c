/* SPDX-License-Identifier: Apache-2.0 */
/*
 * span.c - cut, compare and read borrowed bytes
 *
 * Runs in: everything; the bytes are hostile, so every function is bounded by
 * the length and linear in it (span_find: in the product with the needle's,
 * which is ours).
 */
#include "base/span.h"

#include <errno.h>

#include "base/chars.h"

struct span span_from(struct span s, size_t from)
{
    if (from >= s.len)
        return (struct span){s.ptr ? s.ptr + s.len : NULL, 0};
    return (struct span){s.ptr + from, s.len - from};
}

struct span span_first(struct span s, size_t n)
{
    return (struct span){s.ptr, n < s.len ? n : s.len};
}

/* eq_nocase - n bytes compared with ASCII letters folded */
static bool eq_nocase(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (char_lower(a[i]) != char_lower(b[i]))
            return false;
    return true;
}

bool span_eq(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool span_eq_str(struct span a, const char *b)
{
    return span_eq(a, span_of(b));
}

bool span_eq_nocase(struct span a, struct span b)
{
    return a.len == b.len && eq_nocase(a.ptr, b.ptr, a.len);
}

bool span_eq_nocase_str(struct span a, const char *b)
{
    return span_eq_nocase(a, span_of(b));
}

bool span_starts(struct span s, struct span prefix)
{
    return s.len >= prefix.len && span_eq(span_first(s, prefix.len), prefix);
}

bool span_starts_nocase(struct span s, struct span prefix)
{
    return s.len >= prefix.len && eq_nocase(s.ptr, prefix.ptr, prefix.len);
}

bool span_ends_nocase(struct span s, struct span suffix)
{
    return s.len >= suffix.len && span_eq_nocase(span_from(s, s.len - suffix.len), suffix);
}

/* by_len - the shorter first, when the common part is equal */
static int by_len(struct span a, struct span b)
{
    return a.len < b.len ? -1 : a.len > b.len;
}

int span_cmp(struct span a, struct span b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n > 0 ? memcmp(a.ptr, b.ptr, n) : 0;

    return c != 0 ? c : by_len(a, b);
}

int span_cmp_nocase(struct span a, struct span b)
{
    size_t n = a.len < b.len ? a.len : b.len;

    for (size_t i = 0; i < n; i++) {
        unsigned char ca = (unsigned char)char_lower(a.ptr[i]);
        unsigned char cb = (unsigned char)char_lower(b.ptr[i]);

        if (ca != cb)
            return ca < cb ? -1 : 1;
    }
    return by_len(a, b);
}

ptrdiff_t span_chr(struct span s, char c)
{
    const char *p = s.len > 0 ? memchr(s.ptr, c, s.len) : NULL;

    return p ? p - s.ptr : -1;
}

ptrdiff_t span_rchr(struct span s, char c)
{
    const char *p = s.len > 0 ? memrchr(s.ptr, c, s.len) : NULL;

    return p ? p - s.ptr : -1;
}

ptrdiff_t span_find(struct span s, struct span needle)
{
    if (needle.len == 0)
        return 0;
    const char *p = s.len > 0 ? memmem(s.ptr, s.len, needle.ptr, needle.len) : NULL;
    return p ? p - s.ptr : -1;
}

ptrdiff_t span_find_nocase(struct span s, struct span needle)
{
    for (size_t i = 0; i + needle.len <= s.len; i++)
        if (eq_nocase(s.ptr + i, needle.ptr, needle.len))
            return (ptrdiff_t)i;
    return needle.len == 0 ? 0 : -1;
}

/* cut_at - the first `at` bytes off the front of *s, and `skip` more */
static struct span cut_at(struct span *s, size_t at, size_t skip)
{
    struct span head = span_first(*s, at);

    *s = span_from(*s, at + skip);
    return head;
}

struct span span_cut(struct span *s, char sep)
{
    ptrdiff_t at = span_chr(*s, sep);

    return at < 0 ? cut_at(s, s->len, 0) : cut_at(s, (size_t)at, 1);
}

/* is_any - c is one of seps; NUL is none */
static bool is_any(char c, const char *seps)
{
    return c != '\0' && strchr(seps, c);
}

/* len_until - how many bytes stand before the first of seps */
static size_t len_until(struct span s, const char *seps)
{
    size_t n = 0;

    while (n < s.len && !is_any(s.ptr[n], seps))
        n++;
    return n;
}

struct span span_cut_any(struct span *s, const char *seps)
{
    return cut_at(s, len_until(*s, seps), 1);
}

/* brace_end - index of the brace that closes the one at s.ptr[0], or -1 */
static ptrdiff_t brace_end(struct span s)
{
    size_t depth = 0;

    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '{')
            depth++;
        else if (s.ptr[i] == '}' && --depth == 0)
            return (ptrdiff_t)i;
    }
    return -1;
}

bool span_word(struct span *s, const char *seps, struct span *ret)
{
    while (s->len > 0 && is_any(s->ptr[0], seps))
        *s = span_from(*s, 1);
    if (s->len == 0)
        return false;
    if (s->ptr[0] == '{' && (strchr(seps, ' ') || strchr(seps, ','))) {
        ptrdiff_t end = brace_end(*s);

        if (end > 0) {
            *ret = span_from(cut_at(s, (size_t)end, 1), 1);
            return true;
        }
    }
    *ret = cut_at(s, len_until(*s, seps), 1);
    return true;
}

bool span_list_has(struct span list, const char *word)
{
    struct span item;

    while (span_word(&list, ", \t\r\n", &item))
        if (span_eq_nocase_str(item, word))
            return true;
    return false;
}

struct span span_skip_ws(struct span s)
{
    size_t n = 0;

    while (n < s.len && char_is(s.ptr[n], CHAR_BLANK))
        n++;
    return span_from(s, n);
}

/* is_space - what span_trim takes off */
static bool is_space(char c)
{
    return char_is(c, CHAR_BLANK) || c == '\r' || c == '\n';
}

struct span span_trim(struct span s)
{
    size_t n = 0;

    while (n < s.len && is_space(s.ptr[n]))
        n++;
    s = span_from(s, n);
    while (s.len > 0 && is_space(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

bool span_take(struct span *s, char c)
{
    if (s->len == 0 || s->ptr[0] != c)
        return false;
    *s = span_from(*s, 1);
    return true;
}

bool span_take_nocase(struct span *s, const char *literal)
{
    struct span prefix = span_of(literal);

    if (!span_starts_nocase(*s, prefix))
        return false;
    *s = span_from(*s, prefix.len);
    return true;
}

int span_u64(struct span s, uint64_t max, uint64_t *ret)
{
    uint64_t n = 0;

    if (s.len == 0)
        return -EINVAL;
    for (size_t i = 0; i < s.len; i++)
        if (!char_is(s.ptr[i], CHAR_DIGIT))
            return -EINVAL;
    for (size_t i = 0; i < s.len; i++) {
        uint64_t digit = (uint64_t)(s.ptr[i] - '0');

        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, digit, &n))
            return -ERANGE;
    }
    if (n > max)
        return -ERANGE;
    *ret = n;
    return 0;
}

int span_u32(struct span s, uint32_t max, uint32_t *ret)
{
    uint64_t n;
    int r = span_u64(s, max, &n);

    if (r < 0)
        return r;
    *ret = (uint32_t)n;
    return 0;
}

int span_i64(struct span s, int64_t *ret)
{
    bool negative = span_take(&s, '-');
    uint64_t n;
    int r = span_u64(s, (uint64_t)INT64_MAX + negative, &n);

    if (r < 0)
        return r;
    *ret = negative ? (int64_t)(0 - n) : (int64_t)n;
    return 0;
}
