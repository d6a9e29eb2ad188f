/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keepalive.h - when a client in IDLE is next sent a line that keeps its connection open
 */
#ifndef LOGIN_KEEPALIVE_H
#define LOGIN_KEEPALIVE_H

#include <stdint.h>

/*
 * Every client has moments of its own, interval_ms apart, which `client`, a hash, gives it: however many are parked
 * at once, they are sent their lines evenly spread over the interval; and the connections that one client has
 * get theirs together, so that a telephone is woken once. Returns the first moment after now, at most interval_ms away; CLOCK_NEVER
 * for an interval of 0.
 */
uint64_t keepalive_next(uint64_t now_ms, uint64_t interval_ms, uint64_t client);

#endif
