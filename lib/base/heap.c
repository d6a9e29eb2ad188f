/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heap.c - binary heap of nodes that know their place
 *
 * Runs in: everything.
 */
#include "base/heap.h"

#include <stdlib.h>

#include "base/mem.h"

void heap_done(struct heap *h)
{
    free(h->nodes);
    *h = (struct heap){0};
}

static void place(struct heap *h, size_t i, struct heap_node *n)
{
    h->nodes[i] = n;
    n->pos = i + 1;
}

/* sift_up - n belongs at i or above */
static void sift_up(struct heap *h, size_t i, struct heap_node *n)
{
    while (i > 0 && h->nodes[(i - 1) / 2]->key > n->key) {
        place(h, i, h->nodes[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    place(h, i, n);
}

/* sift_down - n belongs at i or below */
static void sift_down(struct heap *h, size_t i, struct heap_node *n)
{
    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= h->len)
            break;
        if (child + 1 < h->len && h->nodes[child + 1]->key < h->nodes[child]->key)
            child++;
        if (h->nodes[child]->key >= n->key)
            break;
        place(h, i, h->nodes[child]);
        i = child;
    }
    place(h, i, n);
}

/* settle - put n at the free place i, then where it belongs */
static void settle(struct heap *h, size_t i, struct heap_node *n)
{
    if (i > 0 && h->nodes[(i - 1) / 2]->key > n->key)
        sift_up(h, i, n);
    else
        sift_down(h, i, n);
}

void heap_put(struct heap *h, struct heap_node *n, uint64_t key)
{
    n->key = key;
    if (n->pos != 0) {
        settle(h, n->pos - 1, n);
        return;
    }
    MEM_GROW(h->nodes, h->len, h->cap);
    sift_up(h, h->len++, n);
}

void heap_remove(struct heap *h, struct heap_node *n)
{
    if (n->pos == 0)
        return;
    size_t i = n->pos - 1;
    struct heap_node *last = h->nodes[--h->len];
    n->pos = 0;
    if (last != n)
        settle(h, i, last);
}

struct heap_node *heap_min(const struct heap *h)
{
    return h->len > 0 ? h->nodes[0] : NULL;
}
