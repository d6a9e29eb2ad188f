/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash.h - hash table in memory, its links inside the elements
 *
 * An element holds a `struct hash_node`; node.key borrows bytes that must live
 * (usually in the element) as long as it is in the table. Keys compare exactly.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/mem.h"
#include "base/span.h"

struct hash_node {
    struct span key;
    uint64_t hash;
    struct hash_node *next;
};

struct hash {
    struct hash_node **slots;
    size_t n_slots, len;
};

#define HASH_INIT ((struct hash){ NULL, 0, 0 })

void hash_done(struct hash *h); /* releases the slots, not the elements */

/* The node with this key, or NULL. */
struct hash_node *hash_get(const struct hash *h, struct span key);

/* Put a node in; node->key is set already, and no node of that key is in the table. */
void hash_put(struct hash *h, struct hash_node *node);

/* Take a node out that is in the table. */
void hash_remove(struct hash *h, struct hash_node *node);

/* Visit all, in no order: start with NULL; the returned node may be removed before the next call
 * only if its successor was fetched first. Returns NULL at the end. */
struct hash_node *hash_next(const struct hash *h, const struct hash_node *after);

#define HASH_ENTRY(node, type, member)                                                             \
    ({                                                                                             \
        struct hash_node *_hn = (node);                                                            \
        _hn ? CONTAINER_OF(_hn, type, member) : NULL;                                              \
    })

#endif
