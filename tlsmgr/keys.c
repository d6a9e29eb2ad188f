/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys.c - keys of session tickets are made, take turns and are forgotten
 *
 * Nothing is done by a timer: a key that is due is made when somebody asks.
 *
 * Runs in: tlsmgr. Keys are in no file and in no log.
 */
#include "tlsmgr/keys.h"

#include <string.h>

#include "base/rand.h"

enum { CURRENT, PREVIOUS };

static void forget(struct ring *ring, int which)
{
    explicit_bzero(ring->keys[which], TICKET_KEY_BYTES);
    ring->made[which] = false;
}

void ring_turn(struct ring *ring, uint64_t now_ms)
{
    uint64_t age = now_ms - ring->made_ms;

    if (ring->period_ms == 0 || (ring->made[CURRENT] && age < ring->period_ms))
        return;
    forget(ring, PREVIOUS);
    if (ring->made[CURRENT] && age < 2 * ring->period_ms) {
        memcpy(ring->keys[PREVIOUS], ring->keys[CURRENT], TICKET_KEY_BYTES);
        ring->made[PREVIOUS] = true;
    }
    rand_bytes(ring->keys[CURRENT], TICKET_KEY_BYTES);
    ring->made[CURRENT] = true;
    ring->made_ms = now_ms;
}

static void add(const struct ring *ring, int which, struct str *ret)
{
    if (ring->made[which])
        str_add(ret, span_make(ring->keys[which], TICKET_KEY_BYTES));
}

void ring_answer(struct ring *ring, uint64_t now_ms, struct ticket_keys *ret)
{
    ring_turn(ring, now_ms);
    add(ring, CURRENT, &ret->current);
    add(ring, PREVIOUS, &ret->previous);
    ret->valid_ms = ring->period_ms == 0 ? 0 : ring->made_ms + ring->period_ms - now_ms;
}
