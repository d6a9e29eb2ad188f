/* SPDX-License-Identifier: Apache-2.0 */
/*
 * window.c - how many deliveries at once a destination gets
 *
 * Runs in: qmgr. Pure.
 */
#include "qmgr/window.h"

#include <errno.h>

#define STEP        1000u /* thousandths */
#define SLOW_MS     50    /* below, the limit is enough for hundreds of deliveries a second */
#define AVERAGED    8     /* a delivery counts so much of the average */
#define NUMBER_MAX  1000000

/* ---- feedback ---- */

/* A decimal number in thousandths: "1", "0.25" */
static int parse_milli(struct span text, uint64_t *ret)
{
    struct span fraction = text, whole = span_cut(&fraction, '.');
    uint64_t n, part = 0, unit = STEP;

    if (span_u64(whole, NUMBER_MAX, &n) < 0)
        return -EINVAL;
    if (whole.len < text.len && (fraction.len == 0 || span_u64(fraction, NUMBER_MAX, &part) < 0))
        return -EINVAL;
    for (size_t i = 0; i < fraction.len; i++)
        unit = i < 3 ? unit / 10 : unit;
    for (size_t i = 3; i < fraction.len; i++)
        part /= 10;
    *ret = n * STEP + part * unit;
    return 0;
}

int feedback_parse(struct span text, struct feedback *ret)
{
    struct span below = text, above = span_trim(span_cut(&below, '/'));
    struct feedback f = { .by = FEEDBACK_BY_NOTHING };
    uint64_t milli, divisor = STEP;

    below = span_trim(below);
    if (parse_milli(above, &milli) < 0)
        return -EINVAL;
    if (span_eq_str(below, "concurrency"))
        f.by = FEEDBACK_BY_WINDOW;
    else if (span_eq_str(below, "sqrt_concurrency"))
        f.by = FEEDBACK_BY_SQRT;
    else if (span_chr(text, '/') >= 0 && (parse_milli(below, &divisor) < 0 || divisor == 0))
        return -EINVAL;
    milli = milli * STEP / divisor;
    if (milli > STEP)
        return -EINVAL;
    f.milli = (uint32_t)milli;
    *ret = f;
    return 0;
}

/* The square root in thousandths. */
static uint64_t milli_sqrt(uint32_t n)
{
    uint64_t square = (uint64_t)n * STEP * STEP, root = square;

    for (uint64_t next = (root + 1) / 2; next < root; next = (root + square / root) / 2)
        root = next;
    return root > 0 ? root : 1;
}

static uint32_t feedback_amount(const struct feedback *f, uint32_t window)
{
    switch (f->by) {
    case FEEDBACK_BY_NOTHING:
        return f->milli;
    case FEEDBACK_BY_WINDOW:
        return f->milli / window;
    case FEEDBACK_BY_SQRT:
        return (uint32_t)((uint64_t)f->milli * STEP / milli_sqrt(window));
    }
    return 0;
}

/* ---- the window ---- */

void window_init(struct window *w, const struct window_limits *l)
{
    *w = (struct window){ .size = l->initial };
    if (l->limit > 0 && w->size > l->limit)
        w->size = l->limit;
}

static bool beyond_limit(const struct window *w, const struct window_limits *l)
{
    return l->limit > 0 && w->size > l->limit;
}

static uint32_t averaged(uint32_t average, uint64_t ms)
{
    if (ms > UINT32_MAX / 2)
        ms = UINT32_MAX / 2;
    if (average == 0)
        return (uint32_t)ms;
    return (uint32_t)(((uint64_t)average * (AVERAGED - 1) + ms + AVERAGED / 2) / AVERAGED);
}

/* How large may it be now? */
static uint32_t most(const struct window *w, const struct window_limits *l, uint64_t now)
{
    if (l->limit == 0)
        return UINT32_MAX;
    if (l->ceiling <= l->limit || now < w->wary_until || w->recent_ms < SLOW_MS ||
        w->recent_ms > 2 * (uint64_t)w->calm_ms)
        return l->limit;
    return l->ceiling;
}

void window_answered(struct window *w, const struct window_limits *l, uint32_t busy, uint64_t took_ms,
                     uint64_t now)
{
    w->cohorts = 0;
    w->loss = 0;
    w->recent_ms = averaged(w->recent_ms, took_ms);
    if (!beyond_limit(w, l))
        w->calm_ms = averaged(w->calm_ms, took_ms);
    else if (w->recent_ms > 3 * (uint64_t)w->calm_ms && --w->size == l->limit)
        w->wary_until = now + WINDOW_WARY_MS;
    if (w->size >= busy + l->initial) /* what is there is not used */
        return;
    w->gain += feedback_amount(&l->positive, w->size);
    for (; w->gain >= STEP; w->gain -= STEP)
        w->size += w->size < most(w, l, now);
}

static void fall_back(struct window *w, const struct window_limits *l, uint64_t now)
{
    w->wary_until = now + WINDOW_WARY_MS;
    w->gain = 0;
    if (beyond_limit(w, l))
        w->size = l->limit;
}

void window_reluctant(struct window *w, const struct window_limits *l, uint64_t now)
{
    w->cohorts = 0;
    fall_back(w, l, now);
}

bool window_failed(struct window *w, const struct window_limits *l, uint64_t now)
{
    fall_back(w, l, now);
    w->cohorts += STEP / w->size;
    w->loss += feedback_amount(&l->negative, w->size);
    for (; w->loss >= STEP; w->loss -= STEP)
        w->size -= w->size > 1;
    if (l->cohorts_milli == 0 || w->cohorts < l->cohorts_milli)
        return false;
    w->cohorts = 0;
    return true;
}

void window_probe(struct window *w)
{
    w->size = 1;
    w->gain = w->loss = 0;
}
