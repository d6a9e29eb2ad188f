/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rand.c - random bytes, fetched from the kernel some hundred at a time
 *
 * The buffer belongs to one thread of one process: a child of fork() forgets
 * what it inherited, or parent and child would hand out the same tickets. Bytes
 * are wiped when they are handed out.
 *
 * Runs in: everything.
 */
#include "base/rand.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>

static _Thread_local struct {
    unsigned char bytes[256];
    size_t left; /* unused ones, at the end */
} pool;

static void forget(void)
{
    explicit_bzero(&pool, sizeof pool);
}

/* forget_after_fork - before main(); the buffer is empty until then */
__attribute__((constructor)) static void forget_after_fork(void)
{
    int r = pthread_atfork(NULL, NULL, forget);

    assert(r == 0);
}

/* from_kernel - len bytes; getrandom can be interrupted, and cannot fail otherwise */
static void from_kernel(unsigned char *p, size_t len)
{
    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);

        assert(n > 0 || errno == EINTR);
        if (n > 0) {
            p += n;
            len -= (size_t)n;
        }
    }
}

void rand_bytes(void *buf, size_t len)
{
    if (len > sizeof pool.bytes) {
        from_kernel(buf, len);
        return;
    }
    if (len > pool.left) {
        from_kernel(pool.bytes, sizeof pool.bytes);
        pool.left = sizeof pool.bytes;
    }
    unsigned char *from = pool.bytes + sizeof pool.bytes - pool.left;
    memcpy(buf, from, len);
    explicit_bzero(from, len);
    pool.left -= len;
}

uint64_t rand_below(uint64_t n)
{
    uint64_t x, uneven = -n % n; /* 2^64 mod n: so many of the lowest would be drawn too often */

    do
        rand_bytes(&x, sizeof x);
    while (x < uneven);
    return x % n;
}
