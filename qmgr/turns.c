/* SPDX-License-Identifier: Apache-2.0 */
/*
 * turns.c - whose turn it is
 *
 * Runs in: qmgr. Pure; all operations take constant time.
 */
#include "qmgr/turns.h"

unsigned turns_band(int priority)
{
    return priority > 5 ? 0 : priority > 0 ? 1 : priority == 0 ? 2 : priority >= -5 ? 3 : 4;
}

void turns_init(struct turns *t)
{
    for (unsigned i = 0; i < TURNS_BANDS; i++)
        list_init(&t->bands[i].waiting);
}

void turns_enter(struct turns *t, struct list *who, unsigned band)
{
    struct turns_band *b = &t->bands[band];

    if (list_empty(&b->waiting) && b->paid < t->now)
        b->paid = t->now;
    list_push_back(&b->waiting, who);
}

void turns_leave(struct list *who)
{
    list_remove(who);
}

unsigned turns_best(const struct turns *t)
{
    unsigned i = 0;

    while (i < TURNS_BANDS && list_empty(&t->bands[i].waiting))
        i++;
    return i;
}

struct list *turns_take(struct turns *t)
{
    unsigned next = turns_best(t);

    if (next == TURNS_BANDS)
        return NULL;
    for (unsigned i = next + 1; i < TURNS_BANDS; i++)
        if (!list_empty(&t->bands[i].waiting) && t->bands[i].paid < t->bands[next].paid)
            next = i;
    struct turns_band *b = &t->bands[next];
    struct list *who = b->waiting.next;

    t->now = b->paid;
    b->paid += UINT64_C(1) << 2 * next;
    list_remove(who);
    return who;
}
