/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mem.h - memory that is never NULL
 *
 * Running out of memory is fatal (the process aborts and master restarts it);
 * safe because every input has been bounded before it is stored.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

#include "base/span.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

/* n zeroed objects of size bytes each; the product is checked. Free with free(). */
void *mem_calloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));

/* Grow or shrink p (may be NULL) to n objects of size bytes; what is new is not zeroed. */
void *mem_realloc(void *p, size_t n, size_t size) __attribute__((returns_nonnull));

/* A NUL-terminated copy of s. Free with free(). */
char *mem_strdup(const char *s) __attribute__((malloc, returns_nonnull));
char *mem_dup_span(struct span s) __attribute__((malloc, returns_nonnull));

#define mem_new(type)      ((type *)mem_calloc(1, sizeof(type)))
#define mem_new_n(type, n) ((type *)mem_calloc((n), sizeof(type)))

/* Make room for one more element in the array `items` that holds `len` of `cap` (both size_t). */
#define MEM_GROW(items, len, cap)                                                                  \
    do {                                                                                           \
        if ((len) == (cap)) {                                                                      \
            (cap) = (cap) ? (cap) * 2 : 8;                                                         \
            (items) = mem_realloc((items), (cap), sizeof *(items));                                \
        }                                                                                          \
    } while (0)

#endif
