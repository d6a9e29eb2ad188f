/* SPDX-License-Identifier: Apache-2.0 */
/*
 * id.c - queue ids: the long form that log readers of Postfix know
 *
 *     seconds (base 52, 6 digits) microseconds (base 52, 4 digits) 'z' process (base 51, 4 digits)
 * salt (1 digit)
 *
 * No vowels, so that no words appear; digits ascend as their characters do, so that names sort by
 * time. Base 51 lacks 'z', therefore the last 'z' separates. Postfix puts the inode behind the 'z';
 * an id must be known before there is a file, so here stands the process, which takes no
 * microsecond twice. The salt differs from process to process, for the case that the clock is set
 * back and a process number comes again.
 *
 * Runs in: cleanup, postdrop (new ids); all that take an id from outside.
 */
#include "queue/queue.h"

#include <errno.h>
#include <stdatomic.h>

#include "base/chars.h"
#include "base/clock.h"
#include "base/rand.h"

static const char digits[] = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";

enum { BASE_TIME = 52, BASE_UNIQUE = 51, SEC_DIGITS = 6, USEC_DIGITS = 4, PID_DIGITS = 4 };

/* Exactly `width` digits, leading zeros; more significant ones are dropped. */
static char *put_number(char *p, uint64_t n, unsigned base, int width)
{
    for (int i = width - 1; i >= 0; i--) {
        p[i] = digits[n % base];
        n /= base;
    }
    return p + width;
}

/* The time of day, but never the same microsecond twice in this process. */
static int64_t unique_us(void)
{
    static _Atomic int64_t last;
    int64_t before = atomic_load(&last), now;

    do {
        now = clock_real_us();
        if (now <= before)
            now = before + 1;
    } while (!atomic_compare_exchange_weak(&last, &before, now));
    return now;
}

static unsigned process_salt(pid_t pid)
{
    static _Atomic int64_t known; /* pid and salt, so that a forked child draws its own */
    int64_t k = atomic_load(&known);

    if (k / BASE_UNIQUE != pid) {
        k = (int64_t)pid * BASE_UNIQUE + (int64_t)rand_below(BASE_UNIQUE);
        atomic_store(&known, k);
    }
    return (unsigned)(k % BASE_UNIQUE);
}

void queue_id_new(char ret[static QUEUE_ID_MAX + 1])
{
    int64_t us = unique_us();
    pid_t pid = getpid();
    char *p = ret;

    p = put_number(p, (uint64_t)(us / 1000000), BASE_TIME, SEC_DIGITS);
    p = put_number(p, (uint64_t)(us % 1000000), BASE_TIME, USEC_DIGITS);
    *p++ = 'z';
    p = put_number(p, (uint64_t)pid, BASE_UNIQUE, PID_DIGITS);
    p = put_number(p, process_salt(pid), BASE_UNIQUE, 1);
    *p = '\0';
}

bool queue_id_valid(struct span id)
{
    if (id.len == 0 || id.len > QUEUE_ID_MAX)
        return false;
    for (size_t i = 0; i < id.len; i++)
        if (!char_is(id.ptr[i], CHAR_ALNUM))
            return false;
    return true;
}

static int get_number(struct span s, uint64_t max, uint64_t *ret)
{
    uint64_t n = 0;

    for (size_t i = 0; i < s.len; i++) {
        const char *d = s.ptr[i] ? strchr(digits, s.ptr[i]) : NULL;

        if (!d || n > max / BASE_TIME)
            return -EINVAL;
        n = n * BASE_TIME + (uint64_t)(d - digits);
    }
    if (n > max)
        return -EINVAL;
    *ret = n;
    return 0;
}

int queue_id_time(struct span id, int64_t *ret_us)
{
    ptrdiff_t z = span_rchr(id, 'z');
    uint64_t sec, usec;

    if (!queue_id_valid(id) || z < SEC_DIGITS + USEC_DIGITS)
        return -EINVAL;
    struct span time = span_first(id, (size_t)z);
    size_t n_sec = time.len - USEC_DIGITS;

    if (get_number(span_first(time, n_sec), INT64_MAX / 1000000 - 1, &sec) < 0 ||
        get_number(span_from(time, n_sec), 999999, &usec) < 0)
        return -EINVAL;
    *ret_us = (int64_t)(sec * 1000000 + usec);
    return 0;
}
