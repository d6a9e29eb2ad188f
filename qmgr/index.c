/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.c - all messages by id
 *
 * Runs in: qmgr. The hash is keyed, since local users choose ids of files in maildrop/.
 */
#include "qmgr/index.h"

#include <stdlib.h>

#include "qmgr/message.h"

#define FIRST_SLOTS 64

void index_done(struct index *ix)
{
    free(ix->slots);
    *ix = (struct index){ 0 };
}

static struct message **slot_of(const struct index *ix, const char *id)
{
    return &ix->slots[span_hash(span_of(id)) & (ix->n_slots - 1)];
}

struct message *index_get(const struct index *ix, struct span id)
{
    if (ix->len == 0)
        return NULL;
    struct message *m = ix->slots[span_hash(id) & (ix->n_slots - 1)];

    while (m && !span_eq_str(id, m->id))
        m = m->next;
    return m;
}

static void grow(struct index *ix)
{
    struct index bigger = { .n_slots = ix->n_slots ? ix->n_slots * 2 : FIRST_SLOTS, .len = ix->len };

    bigger.slots = mem_new_n(struct message *, bigger.n_slots);
    for (size_t i = 0; i < ix->n_slots; i++) {
        for (struct message *m = ix->slots[i], *next; m; m = next) {
            struct message **slot = slot_of(&bigger, m->id);

            next = m->next;
            m->next = *slot;
            *slot = m;
        }
    }
    free(ix->slots);
    *ix = bigger;
}

void index_put(struct index *ix, struct message *m)
{
    if (ix->n_slots == 0 || (ix->len >= ix->n_slots && ix->visits == 0))
        grow(ix);
    struct message **slot = slot_of(ix, m->id);

    m->next = *slot;
    *slot = m;
    ix->len++;
}

void index_remove(struct index *ix, struct message *m)
{
    struct message **p = slot_of(ix, m->id);

    while (*p != m)
        p = &(*p)->next;
    *p = m->next;
    ix->len--;
}
