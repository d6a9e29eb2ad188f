/* SPDX-License-Identifier: Apache-2.0 */
/*
 * str.c - growing strings
 *
 * Runs in: everything. Sizes are bounded by the callers' limits.
 */
#include "base/str.h"

#include <assert.h>
#include <stdio.h>

#include "base/chars.h"
#include "base/mem.h"

enum { STR_FIRST = 64 };

void str_free(struct str *s)
{
    free(s->data);
    *s = STR_INIT;
}

void str_reset(struct str *s)
{
    str_truncate(s, 0);
}

void str_advance(struct str *s, size_t n)
{
    assert(s->cap > n && s->len <= s->cap - n - 1);
    s->len += n;
    s->data[s->len] = '\0';
}

void str_truncate(struct str *s, size_t len)
{
    assert(len <= s->len);
    s->len = len;
    if (s->data)
        s->data[len] = '\0';
}

void str_reserve(struct str *s, size_t more)
{
    size_t need;

    if (s->data && more < s->cap - s->len)
        return;
    if (__builtin_add_overflow(s->len, more, &need) || __builtin_add_overflow(need, 1, &need))
        need = SIZE_MAX; /* fails below, as out of memory */
    size_t cap = s->cap < SIZE_MAX / 2 ? s->cap * 2 : SIZE_MAX;
    if (cap < STR_FIRST)
        cap = STR_FIRST;
    if (cap < need)
        cap = need;
    s->data = mem_realloc(s->data, cap, 1);
    s->cap = cap;
    s->data[s->len] = '\0';
}

void str_add(struct str *s, struct span bytes)
{
    str_reserve(s, bytes.len);
    if (bytes.len > 0)
        memcpy(s->data + s->len, bytes.ptr, bytes.len);
    s->len += bytes.len;
    s->data[s->len] = '\0';
}

void str_add_str(struct str *s, const char *text)
{
    str_add(s, span_of(text));
}

void str_add_char(struct str *s, char c)
{
    str_reserve(s, 1);
    s->data[s->len++] = c;
    s->data[s->len] = '\0';
}

void str_add_u64(struct str *s, uint64_t n)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    str_add(s, span_make(digits + at, sizeof digits - at));
}

void str_addf(struct str *s, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    str_vaddf(s, fmt, ap);
    va_end(ap);
}

void str_vaddf(struct str *s, const char *fmt, va_list ap)
{
    va_list again;

    str_reserve(s, STR_FIRST);
    va_copy(again, ap);
    size_t room = s->cap - s->len;
    int n = vsnprintf(s->data + s->len, room, fmt, ap);
    assert(n >= 0);
    if ((size_t)n >= room) {
        str_reserve(s, (size_t)n);
        n = vsnprintf(s->data + s->len, s->cap - s->len, fmt, again);
        assert(n >= 0);
    }
    va_end(again);
    s->len += (size_t)n;
}

void str_set(struct str *s, struct span bytes)
{
    uintptr_t at = (uintptr_t)bytes.ptr, own = (uintptr_t)s->data;

    if (s->data && at >= own && at <= own + s->len) {
        memmove(s->data, bytes.ptr, bytes.len); /* within s: it cannot need more room */
        str_truncate(s, bytes.len);
        return;
    }
    str_reset(s);
    str_add(s, bytes);
}

void str_add_lower(struct str *s, struct span bytes)
{
    str_reserve(s, bytes.len);
    for (size_t i = 0; i < bytes.len; i++)
        s->data[s->len + i] = char_lower(bytes.ptr[i]);
    s->len += bytes.len;
    s->data[s->len] = '\0';
}

struct span str_span(const struct str *s)
{
    return (struct span){s->data, s->len};
}

const char *str_cstr(struct str *s)
{
    str_reserve(s, 0);
    return s->data;
}

char *str_take(struct str *s)
{
    str_reserve(s, 0);
    char *data = s->data;
    *s = STR_INIT;
    return data;
}
