/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shuffle.h - a test aid: the orders of events that a machine allows but seldom chooses
 *
 * Only in a build with IO_SHUFFLE (preset debug), and there only when the
 * environment has POSTERN_TEST_SHUFFLE=NUMBER; master hands it to the servers. Then
 *
 *     ready fibers run in any order, and some a turn or more later
 *     of the events that the kernel has, only some are fetched at a time
 *     due deadlines and finished offloads are seen later, also before events that came first
 *     a wait that could return at once lets the others run before
 *     reads and writes of streams are short, or find nothing at first
 *
 * Nothing of it promises what fiber.h and stream.h do not: whatever breaks was
 * held together by chance. The number chooses the order, together with the
 * program's name, as far as the world outside allows it to come again. A
 * process that dies says the number.
 */
#ifndef IO_SHUFFLE_H
#define IO_SHUFFLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "io/fiber.h"

#define SHUFFLE_VARIABLE "POSTERN_TEST_SHUFFLE"

#ifdef IO_SHUFFLE

bool shuffle_chance(unsigned one_in);               /* true in one of so many calls */
size_t shuffle_part(size_t n);                      /* n, or any smaller number but 0 */
struct list *shuffle_first(struct list *l);         /* which of those in l is the next one; l is not empty */
MAY_WAIT void shuffle_yield(void);
bool shuffle_later(struct poll_fd *p, unsigned events);     /* true: as if the next attempt were too early; a wait ends at once */

#else

static inline bool shuffle_chance(unsigned one_in)
{
    (void)one_in;
    return false;
}

static inline size_t shuffle_part(size_t n)
{
    return n;
}

static inline struct list *shuffle_first(struct list *l)
{
    return l->next;
}

static inline void shuffle_yield(void)
{
}

static inline bool shuffle_later(struct poll_fd *p, unsigned events)
{
    (void)p;
    (void)events;
    return false;
}

#endif
#endif
