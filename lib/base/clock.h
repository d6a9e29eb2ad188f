/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - two clocks: one that only goes forward for deadlines, one of the calendar for people
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define CLOCK_NEVER UINT64_MAX

uint64_t clock_ms(void);      /* CLOCK_MONOTONIC in milliseconds; deadlines are given in this */
uint64_t clock_us(void);      /* CLOCK_MONOTONIC in microseconds, for measured delays */
int64_t clock_real_us(void);  /* microseconds since 1970-01-01 UTC */
int64_t clock_real(void);     /* seconds since 1970-01-01 UTC */
int64_t clock_booted(void);   /* when the machine was started, as clock_real() counts */

/* now + ms, CLOCK_NEVER for ms <= 0 */
uint64_t clock_deadline_ms(int64_t ms);

#endif
