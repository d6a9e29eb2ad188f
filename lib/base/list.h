/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.h - doubly linked list, its links inside the elements
 *
 * A head is a `struct list` that points to itself when empty. An element is in
 * at most one list per link. All operations take constant time but list_len.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

struct list {
    struct list *prev, *next;
};

#define LIST_INIT(name) { &(name), &(name) }

static inline void list_init(struct list *l)
{
    l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_insert_before(struct list *pos, struct list *item)
{
    item->prev = pos->prev;
    item->next = pos;
    pos->prev->next = item;
    pos->prev = item;
}

static inline void list_push_back(struct list *head, struct list *item)
{
    list_insert_before(head, item);
}

static inline void list_push_front(struct list *head, struct list *item)
{
    list_insert_before(head->next, item);
}

/* Take item out; it is left pointing to itself, so removing twice is harmless. */
static inline void list_remove(struct list *item)
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
    item->prev = item->next = item;
}

#define LIST_ENTRY(link, type, member) CONTAINER_OF(link, type, member)

#define LIST_FIRST(head, type, member)                                                             \
    (list_empty(head) ? NULL : LIST_ENTRY((head)->next, type, member))

/* The current element may be removed (and freed) in the body. */
#define LIST_FOREACH(var, head, type, member)                                                      \
    for (struct list *_l_##var = (head)->next, *_n_##var = _l_##var->next;                         \
         _l_##var != (head) && ((var) = LIST_ENTRY(_l_##var, type, member), true);                 \
         _l_##var = _n_##var, _n_##var = _l_##var->next)

#endif
