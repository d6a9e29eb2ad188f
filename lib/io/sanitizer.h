/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sanitizer.h - tell AddressSanitizer and valgrind about our stacks; nothing in a normal build
 *
 * Without it AddressSanitizer takes a switch for a smashed stack, and the leak
 * search misses pointers that only a sleeping fiber holds.
 */
#ifndef IO_SANITIZER_H
#define IO_SANITIZER_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define IO_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IO_ASAN 1
#endif
#endif

#ifdef IO_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#define IO_STACK_BYTES (256 * 1024)

static inline void san_switch_begin(void **save, const void *bottom, size_t size)
{
    __sanitizer_start_switch_fiber(save, bottom, size);
}
static inline void san_switch_end(void *saved, const void **from_bottom, size_t *from_size)
{
    __sanitizer_finish_switch_fiber(saved, from_bottom, from_size);
}
static inline void san_stack_new(void *stack, size_t size)
{
    __lsan_register_root_region(stack, size);
}
static inline void san_stack_reuse(void *stack, size_t size)
{
    __asan_unpoison_memory_region(stack, size);
}
static inline void san_stack_free(void *stack, size_t size)
{
    __asan_unpoison_memory_region(stack, size);
    __lsan_unregister_root_region(stack, size);
}
#else
#define IO_STACK_BYTES                       (64 * 1024)
#define san_switch_begin(save, bottom, size) ((void)(save), (void)(bottom), (void)(size))
#define san_switch_end(saved, bottom, size)  ((void)(saved), (void)(bottom), (void)(size))
#define san_stack_new(stack, size)           ((void)(stack), (void)(size))
#define san_stack_reuse(stack, size)         ((void)(stack), (void)(size))
#define san_stack_free(stack, size)          ((void)(stack), (void)(size))
#endif

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define VG_STACK_REGISTER(stack, size) VALGRIND_STACK_REGISTER(stack, (char *)(stack) + (size))
#define VG_STACK_DEREGISTER(id)        VALGRIND_STACK_DEREGISTER(id)
#else
#define VG_STACK_REGISTER(stack, size) 0U
#define VG_STACK_DEREGISTER(id)        ((void)(id))
#endif

#endif
