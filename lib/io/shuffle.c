/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shuffle.c - chance for the loop and the streams
 *
 * Runs in: every process of a debug build whose environment asks for it.
 */
#include "io/shuffle.h"

#ifdef IO_SHUFFLE

#include <errno.h>
#include <pthread.h>
#include <sanitizer/common_interface_defs.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/span.h"
#include "io/internal.h"

enum { LATER_IN = 4, SHORT_IN = 4 };

static struct {
    bool on;
    uint64_t seed;
    char words[128];            /* what a dying process says */
} shuffle;

static void say_seed(void)
{
    ssize_t n = write(STDERR_FILENO, shuffle.words, strlen(shuffle.words));

    (void)n;
}

static void at_abort(int number)
{
    say_seed();
    signal(number, SIG_DFL);    /* abort() raises it again */
}

static void read_environment(void)
{
    const char *text = getenv(SHUFFLE_VARIABLE);
    uint64_t seed;

    if (!text || span_u64(span_of(text), UINT64_MAX, &seed) < 0)
        return;
    shuffle.seed = seed;
    for (const char *c = program_invocation_short_name; *c; c++)
        shuffle.seed = shuffle.seed * 31 + (unsigned char)*c;
    snprintf(shuffle.words, sizeof shuffle.words, "%s died with %s=%s\n", program_invocation_short_name,
             SHUFFLE_VARIABLE, text);
    __sanitizer_set_death_callback(say_seed);
    signal(SIGABRT, at_abort);
    shuffle.on = true;
}

/* next_random - splitmix64; a thread, and a forked process, goes on by itself */
static uint64_t next_random(void)
{
    static _Thread_local uint64_t state;

    state += 0x9e3779b97f4a7c15;
    uint64_t x = state + shuffle.seed;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

bool shuffle_chance(unsigned one_in)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, read_environment);
    return shuffle.on && next_random() % one_in == 0;
}

size_t shuffle_part(size_t n)
{
    if (n < 2 || !shuffle_chance(SHORT_IN))
        return n;
    /* as often a few bytes as any number */
    return 1 + next_random() % (shuffle_chance(2) && n > 8 ? 8 : n);
}

struct list *shuffle_first(struct list *l)
{
    struct list *at = l->next;

    while (at->next != l && shuffle_chance(2))
        at = at->next;
    return at;
}

void shuffle_yield(void)
{
    while (fiber_self() && shuffle_chance(LATER_IN))
        fiber_yield();
}

bool shuffle_later(struct poll_fd *p, unsigned events)
{
    /* A cancelled one sends only what goes without a wait. */
    if (!fiber_self() || fiber_cancelled() || !shuffle_chance(8))
        return false;
    if (p)
        p->seen |= events;
    return true;
}

#endif
