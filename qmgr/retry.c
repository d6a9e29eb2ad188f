/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retry.c - when to try again, and when to give up
 *
 * Runs in: qmgr. Pure.
 */
#include "qmgr/retry.h"

/* first * 2^(nth - 1), at most `most` */
static int64_t doubled(int64_t first, int64_t most, uint32_t nth)
{
    int64_t delay = first;

    for (uint32_t i = 1; i < nth && delay < most; i++)
        delay *= 2;
    return delay < most ? delay : most;
}

int64_t retry_delay(const struct retry_policy *p, uint32_t attempts)
{
    return doubled(p->min_backoff,
                   p->max_backoff > p->min_backoff ? p->max_backoff : p->min_backoff, attempts);
}

int64_t retry_fault_delay(const struct retry_policy *p, uint32_t nth)
{
    return doubled(1, p->fault_backoff, nth);
}

enum retry_verdict retry_judge(const struct retry_policy *p, const struct retry_facts *f)
{
    if (f->force_expire)
        return RETRY_FORCED;
    if (f->age >= (f->null_sender ? p->bounce_lifetime : p->lifetime))
        return RETRY_TOO_OLD;
    if (p->max_attempts > 0 && f->attempts >= p->max_attempts)
        return RETRY_TOO_OFTEN;
    return RETRY_AGAIN;
}
