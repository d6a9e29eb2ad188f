/* SPDX-License-Identifier: Apache-2.0 */
/*
 * window.h - how many deliveries at once a destination gets
 *
 * Up to the limit the window moves as Postfix's does: each delivery that the destination answered adds the positive
 * feedback, each that could not reach it takes away the negative one and counts 1/window of a cohort; when so many
 * cohorts as the failed_cohort_limit says have failed in a row the destination is to be suspended. A feedback is a number, or a number divided
 * by the window or by its square root.
 *
 * A ceiling above the limit lets the window grow on, but only while that plainly helps and hurts nobody:
 *
 *   - all of the window is in use, and a delivery takes so long that waiting, not work, sets the pace;
 *   - the destination has not put anybody off (a 4xx reply, a connection refused) for WINDOW_WARY_MS;
 *   - deliveries take no more than twice as long as they did within the limit.
 *
 * When the destination puts somebody off it falls back to the limit at once; when deliveries become slower it
 * shrinks towards it, and having arrived there stays for WINDOW_WARY_MS. So a receiver that has room is used, and one that is near its limits sees what Postfix would
 * send it.
 *
 * Pure code. Times are milliseconds.
 */
#ifndef QMGR_WINDOW_H
#define QMGR_WINDOW_H

#include "base/span.h"

#define WINDOW_WARY_MS 600000

enum feedback_divisor { FEEDBACK_BY_NOTHING, FEEDBACK_BY_WINDOW, FEEDBACK_BY_SQRT };

struct feedback {
    uint32_t milli;
    enum feedback_divisor by;
};

/* "1", "0.5", "1/8", "2/concurrency", "1/sqrt_concurrency": at most 1. 0 or -EINVAL. */
int feedback_parse(struct span text, struct feedback *ret);

struct window_limits {
    uint32_t initial;       /* of a destination without a history, at least 1 */
    uint32_t limit;         /* 0: none */
    uint32_t ceiling;       /* no more than limit: none beyond it */
    struct feedback positive, negative;
    uint32_t cohorts_milli; /* 0: never suspended for failures */
};

struct window {
    uint32_t size;
    uint32_t gain, loss;    /* thousandths of a step */
    uint32_t cohorts;       /* failures in a row, in thousandths of a cohort */
    uint64_t wary_until;
    uint32_t calm_ms, recent_ms; /* time of a delivery, averaged: within the limit, and of late; 0: unknown */
};

void window_init(struct window *w, const struct window_limits *l);
/* A delivery that was one of `busy` (itself included) has been answered after took_ms. */
void window_answered(struct window *w, const struct window_limits *l, uint32_t busy, uint64_t took_ms,
                     uint64_t now);
/* It was answered, but some recipient was put off. */
void window_reluctant(struct window *w, const struct window_limits *l, uint64_t now);
/* The destination could not be reached. True: a failed_cohort_limit of cohorts have. */
bool window_failed(struct window *w, const struct window_limits *l, uint64_t now);
/* After a suspension: one delivery probes it. */
void window_probe(struct window *w);

#endif
