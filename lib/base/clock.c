/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.c - the clocks (answered by the vDSO, without a system call)
 *
 * Runs in: everything.
 */
#include "base/clock.h"

#include <time.h>

static struct timespec now(clockid_t id)
{
    struct timespec ts = {0};

    clock_gettime(id, &ts); /* cannot fail for these clocks */
    return ts;
}

uint64_t clock_ms(void)
{
    struct timespec ts = now(CLOCK_MONOTONIC);

    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

uint64_t clock_us(void)
{
    struct timespec ts = now(CLOCK_MONOTONIC);

    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

int64_t clock_real_us(void)
{
    struct timespec ts = now(CLOCK_REALTIME);

    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_real(void)
{
    return now(CLOCK_REALTIME).tv_sec;
}

int64_t clock_booted(void)
{
    return clock_real() - now(CLOCK_BOOTTIME).tv_sec;
}

uint64_t clock_deadline_ms(int64_t ms)
{
    uint64_t deadline;

    if (ms <= 0 || __builtin_add_overflow(clock_ms(), (uint64_t)ms, &deadline))
        return CLOCK_NEVER;
    return deadline;
}
