/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mem.c - allocation that succeeds or ends the process
 *
 * Runs in: everything.
 */
#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

/* out_of_memory - says so without allocating, and aborts */
static _Noreturn void out_of_memory(void)
{
    static const char text[] = "fatal: out of memory\n";
    ssize_t ignored = write(STDERR_FILENO, text, sizeof text - 1);

    (void)ignored;
    abort();
}

void *mem_calloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);

    if (!p)
        out_of_memory();
    return p;
}

void *mem_realloc(void *p, size_t n, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(n, size, &bytes))
        out_of_memory();
    void *q = realloc(p, bytes ? bytes : 1);
    if (!q)
        out_of_memory();
    return q;
}

char *mem_strdup(const char *s)
{
    return mem_dup_span(span_of(s));
}

char *mem_dup_span(struct span s)
{
    char *p = mem_realloc(NULL, s.len + 1, 1);

    if (s.len > 0)
        memcpy(p, s.ptr, s.len);
    p[s.len] = '\0';
    return p;
}
