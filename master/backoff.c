/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backoff.c - how long a service is left alone whose processes fail at start
 *
 * A process that has served and then dies is replaced at the next demand at once: its
 * service works. One that dies before it was ready, or crashes within its first
 * second, would do so again: the delay doubles from one second to a minute.
 *
 * Runs in: master.
 */
#include "master/backoff.h"

void backoff_failed(struct backoff *b, uint64_t now)
{
    b->delay_ms = b->delay_ms == 0 ? BACKOFF_FIRST_MS : b->delay_ms * 2;
    if (b->delay_ms > BACKOFF_MAX_MS)
        b->delay_ms = BACKOFF_MAX_MS;
    b->until = now + (uint64_t)b->delay_ms;
}

void backoff_succeeded(struct backoff *b)
{
    *b = (struct backoff){ 0, 0 };
}

bool backoff_holds(const struct backoff *b, uint64_t now)
{
    return now < b->until;
}

bool ending_is_bad_start(const struct ending *e)
{
    if (e->killed)
        return false;
    if (!e->was_ready)
        return true;
    return !e->normal && e->lived_ms < EARLY_DEATH_MS;
}
