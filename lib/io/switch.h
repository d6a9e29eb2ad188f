/* SPDX-License-Identifier: Apache-2.0 */
/*
 * switch.h - change from one stack to another
 *
 * One file a processor: switch_x86_64.c, switch_aarch64.c; all others use the
 * slower ucontext(3), which also saves the signal mask by a system call. For
 * internal use by fiber.c.
 */
#ifndef IO_SWITCH_H
#define IO_SWITCH_H

#include <stddef.h>

#if defined(__x86_64__) || defined(__aarch64__)
struct context {
    void *sp; /* the saved registers lie there */
};
#else
#include <ucontext.h>
struct context {
    ucontext_t uc;
};
#endif

/* Prepare c so that the first switch to it calls entry() on this stack; entry never returns. */
void context_init(struct context *c, void *stack, size_t size, void (*entry)(void));

/* Save the running context in *from and go on with *to. */
void context_switch(struct context *from, struct context *to);

#endif
