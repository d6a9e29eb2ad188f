/* SPDX-License-Identifier: Apache-2.0 */
/*
 * room.h - a place for a new mailbox session, if need be that of one that is idle (ipc/msg_place.h)
 */
#ifndef ANVIL_ROOM_H
#define ANVIL_ROOM_H

#include "anvil/places.h"
#include "ipc/msg_place.h"

/* A front's connection. Whoever uses it over a wait counts among its users. */
struct talk {
    struct ipc *ipc;
    struct front front;
    struct list asks;           /* questions that it has not answered yet */
    uint64_t asked;             /* how many there were: their numbers */
    bool gone;
    size_t users;
    struct waitq unused;
};

void talk_init(struct talk *t, struct places *places, struct ipc *ipc);
/* The connection has ended: its places are free, its questions without an answer. Waits for its users. */
MAY_WAIT void talk_done(struct talk *t);

/* What fronts say. */
void room_take(struct places *p, struct talk *t, const struct place_take *m);
void room_keep(struct places *p, struct talk *t, const struct place_keep *m);
void room_idlest(struct talk *t, const struct place_idlest *m);
void room_closed(struct talk *t, const struct place_closed *m);

#endif
