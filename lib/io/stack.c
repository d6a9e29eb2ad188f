/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stack.c - memory for fibers' stacks: a guard page below each, reused last in, first out
 *
 * The first few of the pool stay warm (their pages in memory); the pages of
 * those behind are given back, and what exceeds the pool is unmapped.
 *
 * Runs in: every process with fibers. One pool a thread.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "io/internal.h"
#include "io/sanitizer.h"

enum { POOL_WARM = 16, POOL_MAX = 256, GUARD_BYTES = 16 * 1024 };

static _Thread_local struct {
    char *stacks[POOL_MAX];
    size_t len;
} pool;

char *stack_get(void)
{
    if (pool.len > 0)
        return pool.stacks[--pool.len];
    char *base = mmap(NULL, GUARD_BYTES + IO_STACK_BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    if (mprotect(base, GUARD_BYTES, PROT_NONE) < 0) {
        munmap(base, GUARD_BYTES + IO_STACK_BYTES);
        return NULL;
    }
    san_stack_new(base + GUARD_BYTES, IO_STACK_BYTES);
    return base + GUARD_BYTES;
}

void stack_put(char *stack)
{
    if (pool.len == POOL_MAX) {
        san_stack_free(stack, IO_STACK_BYTES);
        munmap(stack - GUARD_BYTES, GUARD_BYTES + IO_STACK_BYTES);
        return;
    }
    san_stack_reuse(stack, IO_STACK_BYTES);
    if (pool.len >= POOL_WARM)
        madvise(stack, IO_STACK_BYTES, MADV_DONTNEED);
    pool.stacks[pool.len++] = stack;
}

void fiber_trim(struct fiber *f)
{
    f->trimmed = true;
#if defined(__x86_64__) || defined(__aarch64__)
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t used = ((uintptr_t)f->context.sp - 128) & ~(page - 1); /* 128: the ABI's red zone */

    if (used > (uintptr_t)f->stack)
        madvise(f->stack, used - (uintptr_t)f->stack, MADV_DONTNEED);
#endif
}
