/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash.c - chained hash table, a power of two of slots, at most one element a slot on average
 *
 * Runs in: everything. The hash is keyed (span_hash.c).
 */
#include "base/hash.h"

#include <stdlib.h>

enum { HASH_FIRST = 16 };

void hash_done(struct hash *h)
{
    free(h->slots);
    *h = HASH_INIT;
}

/* slot_of - where the chain of this hash begins */
static struct hash_node **slot_of(const struct hash *h, uint64_t hash)
{
    return &h->slots[hash & (h->n_slots - 1)];
}

struct hash_node *hash_get(const struct hash *h, struct span key)
{
    if (h->len == 0)
        return NULL;
    uint64_t hash = span_hash(key);
    for (struct hash_node *n = *slot_of(h, hash); n; n = n->next)
        if (n->hash == hash && span_eq(n->key, key))
            return n;
    return NULL;
}

/* grow - twice the slots, every node to its new chain */
static void grow(struct hash *h)
{
    struct hash bigger = {.n_slots = h->n_slots ? h->n_slots * 2 : HASH_FIRST, .len = h->len};

    bigger.slots = mem_new_n(struct hash_node *, bigger.n_slots);
    for (size_t i = 0; i < h->n_slots; i++) {
        for (struct hash_node *n = h->slots[i], *next; n; n = next) {
            struct hash_node **slot = slot_of(&bigger, n->hash);

            next = n->next;
            n->next = *slot;
            *slot = n;
        }
    }
    free(h->slots);
    *h = bigger;
}

void hash_put(struct hash *h, struct hash_node *node)
{
    if (h->len >= h->n_slots)
        grow(h);
    node->hash = span_hash(node->key);
    struct hash_node **slot = slot_of(h, node->hash);
    node->next = *slot;
    *slot = node;
    h->len++;
}

void hash_remove(struct hash *h, struct hash_node *node)
{
    for (struct hash_node **p = slot_of(h, node->hash); *p; p = &(*p)->next) {
        if (*p == node) {
            *p = node->next;
            node->next = NULL;
            h->len--;
            return;
        }
    }
}

struct hash_node *hash_next(const struct hash *h, const struct hash_node *after)
{
    size_t i = 0;

    if (after) {
        if (after->next)
            return after->next;
        i = (after->hash & (h->n_slots - 1)) + 1;
    }
    for (; i < h->n_slots; i++)
        if (h->slots[i])
            return h->slots[i];
    return NULL;
}
