/* SPDX-License-Identifier: Apache-2.0 */
/*
 * switch_ucontext.c - stack switch for processors without a file of their own
 *
 * Runs in: every process with fibers.
 */
#include "io/switch.h"

#if !defined(__x86_64__) && !defined(__aarch64__)

void context_init(struct context *c, void *stack, size_t size, void (*entry)(void))
{
    getcontext(&c->uc);
    c->uc.uc_stack.ss_sp = stack;
    c->uc.uc_stack.ss_size = size;
    c->uc.uc_link = NULL;
    makecontext(&c->uc, entry, 0);
}

void context_switch(struct context *from, struct context *to)
{
    swapcontext(&from->uc, &to->uc);
}

#else
typedef int io_switch_by_assembly;
#endif
