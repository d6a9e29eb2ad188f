/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pace.h - long work on memory that asks now and then whether somebody still waits for it
 *
 * Who has a pace hands it down; NULL: nobody asks. What works on bytes calls pace_on() with how many it has done, and ends
 * early when the answer is no; what it gives then is incomplete. Whoever has begun looks at `error` in the end.
 */
#ifndef BASE_PACE_H
#define BASE_PACE_H

#include <stdbool.h>
#include <stddef.h>

struct pace {
    int (*ask)(void *arg);  /* 0: go on; negative: stop for this reason */
    void *arg;
    size_t left;            /* work until the next question */
    int error;              /* the first reason; it stays */
};

/* Bytes, roughly, between two questions: some tenths of a millisecond, or some milliseconds where each byte is dear */
#define PACE_WORK ((size_t)128 * 1024)

/* Ask. True: go on. */
bool pace_ask(struct pace *p);

/* So much work was done, or is to be done now. True: go on. */
static inline bool pace_on(struct pace *p, size_t work)
{
    if (!p)
        return true;
    if (work >= p->left)
        return pace_ask(p);
    p->left -= work;
    return p->error == 0;
}

/* 0, or the reason why work was stopped */
static inline int pace_error(const struct pace *p)
{
    return p ? p->error : 0;
}

#endif
