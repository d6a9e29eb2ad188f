/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keepalive.c - when a client in IDLE is next sent a line that keeps its connection open
 *
 * Runs in: imapd-login. Pure.
 */
#include "login/keepalive.h"

#include "base/clock.h"

uint64_t keepalive_next(uint64_t now_ms, uint64_t interval_ms, uint64_t client)
{
    if (interval_ms == 0)
        return CLOCK_NEVER;
    uint64_t phase = client % interval_ms, at = now_ms % interval_ms;

    return now_ms + (at < phase ? phase - at : interval_ms - (at - phase));
}
