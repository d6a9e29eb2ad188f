/* SPDX-License-Identifier: Apache-2.0 */
/*
 * switch_x86_64.c - stack switch by the System V ABI: six registers and the stack pointer
 *
 * The control words of the floating point units are callee-saved as well, but
 * nothing here changes them.
 *
 * Runs in: every process with fibers.
 */
#include "io/switch.h"

#if defined(__x86_64__)

#include <stdint.h>

__asm__(".text\n"
        ".p2align 4\n"
        ".globl context_switch\n"
        ".type context_switch, @function\n"
        "context_switch:\n"
        "    .cfi_startproc\n"
        "    endbr64\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq (%rsi), %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        "    .cfi_endproc\n"
        ".size context_switch, . - context_switch\n");

void context_init(struct context *c, void *stack, size_t size, void (*entry)(void))
{
    uintptr_t *top = (uintptr_t *)(((uintptr_t)stack + size) & ~(uintptr_t)15);

    *--top = 0;                /* entry's return address: where a backtrace ends */
    *--top = (uintptr_t)entry; /* context_switch returns there, the stack aligned as after a call */
    for (int i = 0; i < 6; i++)
        *--top = 0;
    c->sp = top;
}

#else
typedef int io_switch_other_processor;
#endif
