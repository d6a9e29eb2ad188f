/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dict.c - pairs in memory, in the order in which they came
 *
 * What texthash, inline and passwd-file answer from, and what postmap collects
 * before it writes. Each pair is one allocation.
 *
 * Runs in: whatever opens tables. Keys and values have been bounded by the parser.
 */
#include "table/dict.h"

#include "base/mem.h"

void dict_done(struct dict *d)
{
    for (size_t i = 0; i < d->len; i++)
        free(d->entries[i]);
    free(d->entries);
    hash_done(&d->index);
    *d = DICT_INIT;
}

static struct dict_entry *entry_new(struct span key, struct span value)
{
    struct dict_entry *e = mem_calloc(1, sizeof *e + key.len + value.len);

    if (key.len > 0)
        memcpy(e->bytes, key.ptr, key.len);
    if (value.len > 0)
        memcpy(e->bytes + key.len, value.ptr, value.len);
    e->node.key = span_make(e->bytes, key.len);
    e->value = span_make(e->bytes + key.len, value.len);
    return e;
}

const struct dict_entry *dict_get(const struct dict *d, struct span key)
{
    return HASH_ENTRY(hash_get(&d->index, key), struct dict_entry, node);
}

bool dict_add(struct dict *d, struct span key, struct span value)
{
    if (hash_get(&d->index, key))
        return false;
    struct dict_entry *e = entry_new(key, value);

    MEM_GROW(d->entries, d->len, d->cap);
    e->position = d->len;
    d->entries[d->len++] = e;
    hash_put(&d->index, &e->node);
    d->bytes += key.len + value.len;
    return true;
}

void dict_set(struct dict *d, struct span key, struct span value)
{
    struct hash_node *old = hash_get(&d->index, key);

    if (!old) {
        dict_add(d, key, value);
        return;
    }
    struct dict_entry *was = HASH_ENTRY(old, struct dict_entry, node);
    struct dict_entry *e = entry_new(key, value);

    hash_remove(&d->index, old);
    hash_put(&d->index, &e->node);
    e->position = was->position;
    d->entries[e->position] = e;
    d->bytes = d->bytes - was->value.len + value.len;
    free(was);
}

bool dict_remove(struct dict *d, struct span key)
{
    struct hash_node *node = hash_get(&d->index, key);

    if (!node)
        return false;
    struct dict_entry *e = HASH_ENTRY(node, struct dict_entry, node);

    hash_remove(&d->index, node);
    d->len--;
    for (size_t i = e->position; i < d->len; i++) {
        d->entries[i] = d->entries[i + 1];
        d->entries[i]->position = i;
    }
    d->bytes -= e->node.key.len + e->value.len;
    free(e);
    return true;
}

static int by_key(const void *a, const void *b)
{
    const struct dict_entry *const *x = a, *const *y = b;

    return span_cmp((*x)->node.key, (*y)->node.key);
}

const struct dict_entry **dict_sorted(const struct dict *d)
{
    const struct dict_entry **all = mem_calloc(d->len + 1, sizeof *all);

    for (size_t i = 0; i < d->len; i++)
        all[i] = d->entries[i];
    qsort(all, d->len, sizeof *all, by_key);
    return all;
}
