/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heap.h - priority queue by a 64-bit key, smallest first; elements know their place
 *
 * For timers and retry times: an element is a `struct heap_node` inside the
 * caller's object and can be moved or removed at any time in O(log n).
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    uint64_t key;
    size_t pos; /* index + 1; 0: in no heap */
};

struct heap {
    struct heap_node **nodes;
    size_t len, cap;
};

void heap_done(struct heap *h);
void heap_put(struct heap *h, struct heap_node *n, uint64_t key); /* inserts, or moves it to the new key */
void heap_remove(struct heap *h, struct heap_node *n);            /* harmless when it is in no heap */
struct heap_node *heap_min(const struct heap *h);                 /* NULL when empty; stays in */

static inline bool heap_has(const struct heap_node *n)
{
    return n->pos != 0;
}

#endif
