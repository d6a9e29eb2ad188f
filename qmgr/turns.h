/* SPDX-License-Identifier: Apache-2.0 */
/*
 * turns.h - whose turn it is: five bands by priority
 *
 * Within a band each comes in turn; of two bands that both have somebody waiting the higher one
 * gets four turns for one of the lower, so that none waits for ever. Who waits is a list element of the caller's.
 */
#ifndef QMGR_TURNS_H
#define QMGR_TURNS_H

#include "base/list.h"

#define TURNS_BANDS        5
#define SCHED_PRIORITY_MAX 9 /* RFC 6710: -9 ... 9, 0 is ordinary */

struct turns {
    struct turns_band {
        struct list waiting;
        uint64_t paid; /* for turns; the band that has paid least is next */
    } bands[TURNS_BANDS];
    uint64_t now; /* what the band that was next had paid: a band that was empty pays from there */
};

void turns_init(struct turns *t); /* t is zeroed */

/* The band of a priority, -9 ... 9. */
unsigned turns_band(int priority);

/* Wait in a band, behind those that are there; who is in no list. */
void turns_enter(struct turns *t, struct list *who, unsigned band);
/* Wait no more; harmless when it does not. */
void turns_leave(struct list *who);

/* The highest band in which somebody waits; TURNS_BANDS: none. */
unsigned turns_best(const struct turns *t);
/* Whose turn it is, taken out; NULL: nobody waits. */
struct list *turns_take(struct turns *t);

#endif
