/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.h - all messages by id: a hash table whose links cost eight bytes a message
 *
 * The key is the message's own id; nothing but the chain is stored. The slots can be visited in
 * pieces, with other work in between: while a visit is under way the table does not grow, so that a message that is
 * there all the time is seen exactly once.
 */
#ifndef QMGR_INDEX_H
#define QMGR_INDEX_H

#include "base/mem.h"
#include "base/span.h"

struct message;

struct index {
    struct message **slots;
    size_t n_slots, len;
    unsigned visits; /* under way */
};

void index_done(struct index *ix); /* releases the slots, not the messages */

/* NULL if there is none. */
struct message *index_get(const struct index *ix, struct span id);
/* m->id is in no other message of the index. */
void index_put(struct index *ix, struct message *m);
void index_remove(struct index *ix, struct message *m);

/* The first message of a slot; the others follow by m->next. Slots are 0 ... n_slots - 1. */
static inline struct message *index_slot(const struct index *ix, size_t slot)
{
    return ix->slots[slot];
}

static inline void index_begin_visit(struct index *ix)
{
    ix->visits++;
}

static inline void index_end_visit(struct index *ix)
{
    ix->visits--;
}

#endif
