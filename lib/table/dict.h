/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dict.h - pairs in memory, in the order in which they came
 */
#ifndef TABLE_DICT_H
#define TABLE_DICT_H

#include <stdbool.h>

#include "base/hash.h"
#include "base/own.h"
#include "base/span.h"

struct dict_entry {
    struct hash_node node;          /* node.key: the key */
    struct span value;
    size_t position;                /* in the dict's entries */
    char bytes[];                   /* key, value */
};

struct dict {
    struct hash index;
    struct dict_entry **entries;
    size_t len, cap;
    size_t bytes;                   /* of all keys and values */
};

#define DICT_INIT ((struct dict){ 0 })

void dict_done(struct dict *d);

/* Both are copied. False, and nothing changed, when the key is there already. */
bool dict_add(struct dict *d, struct span key, struct span value);
/* Add, or replace the value under the key. */
void dict_set(struct dict *d, struct span key, struct span value);
/* False: it was not there. */
bool dict_remove(struct dict *d, struct span key);

const struct dict_entry *dict_get(const struct dict *d, struct span key);

/* Entries sorted by key; an array of d->len pointers, to be released with free(). */
const struct dict_entry **dict_sorted(const struct dict *d);

#endif
