/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retry.h - when to try again, and when to give up
 *
 * The time between attempts doubles: min_backoff after the first, 2 * min_backoff after the second, never
 * more than max_backoff. A recipient is given up when its message is older than the lifetime, was tried
 * max_attempts times, or was told to expire. Pure; seconds.
 */
#ifndef QMGR_RETRY_H
#define QMGR_RETRY_H

#include <stdbool.h>
#include <stdint.h>

struct retry_policy {
    int64_t min_backoff, max_backoff;
    int64_t lifetime;        /* maximal_queue_lifetime; 0: one attempt */
    int64_t bounce_lifetime; /* the same for messages with the null sender */
    int64_t max_attempts;    /* 0: no limit */
    int64_t fault_backoff;   /* longest wait after faults of our own (transport_retry_time) */
};

/* Seconds to wait after `attempts` attempts (at least one). */
int64_t retry_delay(const struct retry_policy *p, uint32_t attempts);

/* Seconds to wait after the nth fault of our own in a row (a dead delivery agent, a table that does not
 * answer): 1, 2, 4 ... fault_backoff. */
int64_t retry_fault_delay(const struct retry_policy *p, uint32_t nth);

enum retry_verdict { RETRY_AGAIN, RETRY_TOO_OLD, RETRY_TOO_OFTEN, RETRY_FORCED };

struct retry_facts {
    int64_t age;
    uint32_t attempts; /* of this recipient */
    bool null_sender, force_expire;
};
enum retry_verdict retry_judge(const struct retry_policy *p, const struct retry_facts *f);

#endif
