/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.c - texts that many messages share, kept once and counted
 *
 * Runs in: qmgr. Pure.
 */
#include "qmgr/names.h"

#include <stdlib.h>

struct name {
    struct hash_node node;
    uint32_t number, refs;
    char text[];
};

void names_done(struct names *n)
{
    for (size_t i = 0; i < n->len; i++)
        free(n->items[i]);
    free(n->items);
    free(n->spare);
    hash_done(&n->by_text);
    *n = NAMES_INIT;
}

static uint32_t take_number(struct names *n)
{
    if (n->n_spare > 0)
        return n->spare[--n->n_spare];
    if (n->len == 0) { /* 0 stays unused */
        MEM_GROW(n->items, n->len, n->cap);
        n->items[n->len++] = NULL;
    }
    MEM_GROW(n->items, n->len, n->cap);
    return (uint32_t)n->len++;
}

uint32_t names_get(struct names *n, struct span text)
{
    struct name *name = HASH_ENTRY(hash_get(&n->by_text, text), struct name, node);

    if (name) {
        name->refs++;
        return name->number;
    }
    name = mem_calloc(1, sizeof *name + text.len + 1);
    memcpy(name->text, text.ptr, text.len);
    name->number = take_number(n);
    name->refs = 1;
    name->node.key = span_make(name->text, text.len);
    hash_put(&n->by_text, &name->node);
    n->items[name->number] = name;
    return name->number;
}

uint32_t names_find(const struct names *n, struct span text)
{
    const struct name *name = HASH_ENTRY(hash_get(&n->by_text, text), struct name, node);

    return name ? name->number : 0;
}

void names_put(struct names *n, uint32_t number)
{
    struct name *name = number > 0 ? n->items[number] : NULL;

    if (!name || --name->refs > 0)
        return;
    hash_remove(&n->by_text, &name->node);
    n->items[number] = NULL;
    MEM_GROW(n->spare, n->n_spare, n->cap_spare);
    n->spare[n->n_spare++] = number;
    free(name);
}

struct span names_text(const struct names *n, uint32_t number)
{
    return number > 0 ? n->items[number]->node.key : SPAN_NULL;
}
