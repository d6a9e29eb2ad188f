/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys.h - two keys that take turns
 *
 *     made          + period               + 2 periods
 *       |-- current ---|----- previous -------|  forgotten
 *
 * The current key makes tickets and opens them, the previous one only opens them: a ticket lives for one to two
 * periods, and a stolen key opens no session that is older or younger.
 */
#ifndef TLSMGR_KEYS_H
#define TLSMGR_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/msg_tls.h"

struct ring {
    uint64_t period_ms;         /* 0: no keys at all */
    bool made[2];               /* is there a current, a previous one */
    uint64_t made_ms;           /* when the current one was made, by clock_ms() */
    char keys[2][TICKET_KEY_BYTES];
};

/* Make, and forget, what is due at now_ms. */
void ring_turn(struct ring *ring, uint64_t now_ms);

/* The keys as they are at now_ms. ret's texts must be empty, and are freed by the caller with secret_free. */
void ring_answer(struct ring *ring, uint64_t now_ms, struct ticket_keys *ret);

#endif
