/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backoff.h - how long a service is left alone whose processes fail at start
 */
#ifndef MASTER_BACKOFF_H
#define MASTER_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

enum {
    BACKOFF_FIRST_MS = 1000,
    BACKOFF_MAX_MS = 60 * 1000,
    EARLY_DEATH_MS = 1000,      /* a process that crashes sooner counts as failed at start */
};

struct backoff {
    int64_t delay_ms;           /* 0: the last start was good */
    uint64_t until;             /* clock_ms() time before which nothing is started */
};

void backoff_failed(struct backoff *b, uint64_t now);   /* doubles the delay, up to the limit */
void backoff_succeeded(struct backoff *b);
bool backoff_holds(const struct backoff *b, uint64_t now);

/* How a process ended: was its start at fault? killed: by SIGKILL, so it was somebody's will. */
struct ending {
    bool was_ready;             /* it had said so */
    bool normal;                /* exit status 0 */
    bool killed;
    int64_t lived_ms;
};
bool ending_is_bad_start(const struct ending *e);

#endif
