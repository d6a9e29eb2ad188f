/* SPDX-License-Identifier: Apache-2.0 */
/*
 * switch_aarch64.c - stack switch by the AAPCS64: x19-x30, d8-d15 and the stack pointer
 *
 * Runs in: every process with fibers.
 */
#include "io/switch.h"

#if defined(__aarch64__)

#include <stdint.h>

enum { SAVED_WORDS = 20, SAVED_LR = 11 };

__asm__(".text\n"
        ".p2align 4\n"
        ".globl context_switch\n"
        ".type context_switch, %function\n"
        "context_switch:\n"
        "    sub sp, sp, #160\n"
        "    stp x19, x20, [sp, #0]\n"
        "    stp x21, x22, [sp, #16]\n"
        "    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n"
        "    stp x27, x28, [sp, #64]\n"
        "    stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n"
        "    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    mov x9, sp\n"
        "    str x9, [x0]\n"
        "    ldr x9, [x1]\n"
        "    mov sp, x9\n"
        "    ldp x19, x20, [sp, #0]\n"
        "    ldp x21, x22, [sp, #16]\n"
        "    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n"
        "    ldp x27, x28, [sp, #64]\n"
        "    ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n"
        "    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #160\n"
        "    ret\n"
        ".size context_switch, . - context_switch\n");

void context_init(struct context *c, void *stack, size_t size, void (*entry)(void))
{
    uintptr_t *top = (uintptr_t *)(((uintptr_t)stack + size) & ~(uintptr_t)15);

    top -= SAVED_WORDS;
    for (int i = 0; i < SAVED_WORDS; i++)
        top[i] = 0;
    top[SAVED_LR] = (uintptr_t)entry;
    c->sp = top;
}

#else
typedef int io_switch_other_processor;
#endif
