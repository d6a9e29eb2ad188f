/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fiber.c - start, suspend, wake and cancel
 *
 * A fiber has 64 KiB of stack (frames are limited to 4 KiB by the compiler),
 * with its own struct at the top, so that a sleeping one costs a page or two.
 * Waking only moves a fiber to the ready list; it runs from the loop, never
 * from inside another fiber, so that the order of events is that of the loop.
 *
 * Runs in: every process with sessions.
 */
#include "io/fiber.h"

#include <assert.h>
#include <errno.h>

#include "base/clock.h"
#include "io/internal.h"
#include "io/sanitizer.h"

/* to_loop - leave the running fiber; comes back when the loop resumes it */
static void to_loop(struct loop *l, struct fiber *f)
{
    /* NULL tells AddressSanitizer that this stack is finished with */
    san_switch_begin(f->state == FIBER_DONE ? NULL : &f->fake_stack, l->stack_bottom,
                     l->stack_size);
    context_switch(&f->context, &l->context);
    san_switch_end(f->fake_stack, &l->stack_bottom, &l->stack_size);
}

/* fiber_main - the first frame of each fiber */
static void fiber_main(void)
{
    struct loop *l = loop_self();
    struct fiber *f = l->current;

    san_switch_end(NULL, &l->stack_bottom, &l->stack_size);
    f->fn(f->arg);
    f->state = FIBER_DONE;
    to_loop(l, f);
    __builtin_unreachable();
}

struct fiber *fiber_start(void (*fn)(void *arg), void *arg)
{
    struct loop *l = loop_self();
    char *stack = stack_get();

    assert(stack); /* out of memory: sessions are limited, see style 5 */
    struct fiber *f =
        (struct fiber *)(stack + IO_STACK_BYTES - ((sizeof(struct fiber) + 63) & ~(size_t)63));
    *f = (struct fiber){.fn = fn, .arg = arg, .stack = stack, .state = FIBER_READY};
    f->ran_at = l->now;
    f->valgrind_id = (unsigned)VG_STACK_REGISTER(stack, IO_STACK_BYTES);
    context_init(&f->context, stack, (size_t)((char *)f - stack), fiber_main);
    list_push_back(&l->ready, &f->link);
    list_push_back(&l->fibers, &f->all);
    l->n_fibers++;
    return f;
}

void fiber_forget(struct fiber *f)
{
    VG_STACK_DEREGISTER(f->valgrind_id);
    stack_put(f->stack);
}

void fiber_resume(struct loop *l, struct fiber *f)
{
    l->current = f;
    f->state = FIBER_RUNNING;
    f->trimmed = false;
    san_switch_begin(&l->fake_stack, f->stack, IO_STACK_BYTES);
    context_switch(&l->context, &f->context);
    san_switch_end(l->fake_stack, NULL, NULL);
    l->current = NULL;
    if (f->state == FIBER_DONE) {
        list_remove(&f->all);
        l->n_fibers--;
        fiber_forget(f);
    }
}

int fiber_suspend(struct loop *l, uint64_t deadline)
{
    struct fiber *f = l->current;

    if (f->idle && l->draining)
        f->cancelled = true;
    if (f->cancelled && !f->uncancellable)
        return -ECANCELED;
    if (deadline != CLOCK_NEVER)
        heap_put(&l->timers, &f->timer, deadline);
    f->state = FIBER_WAITING;
    f->ran_at = l->now;
    list_remove(&f->all);
    list_push_back(&l->fibers, &f->all);
    to_loop(l, f);
    return f->result;
}

void fiber_wake(struct loop *l, struct fiber *f, int result)
{
    if (f->state != FIBER_WAITING)
        return;
    heap_remove(&l->timers, &f->timer);
    list_remove(&f->link);
    f->result = result;
    f->state = FIBER_READY;
    list_push_back(&l->ready, &f->link);
}

struct fiber *fiber_self(void)
{
    return loop_self()->current;
}

void fiber_cancel(struct fiber *f)
{
    f->cancelled = true;
    if (!f->uncancellable)
        fiber_wake(loop_self(), f, -ECANCELED);
}

bool fiber_cancelled(void)
{
    struct fiber *f = fiber_self();

    return f && f->cancelled;
}

void fiber_set_idle(bool idle)
{
    struct fiber *f = fiber_self();

    if (f)
        f->idle = idle;
}

void fiber_cancel_idle(void)
{
    struct loop *l = loop_self();
    struct fiber *f;

    l->draining = true;
    LIST_FOREACH (f, &l->fibers, struct fiber, all)
        if (f->idle && f->state == FIBER_WAITING)
            fiber_cancel(f);
}

size_t fiber_count(void)
{
    return loop_self()->n_fibers;
}

int fiber_sleep_until(uint64_t deadline)
{
    struct loop *l = loop_self();

    if (!l->current) {
        poll_wait_blocking(-1, 0, deadline);
        return 0;
    }
    int r = fiber_suspend(l, deadline);
    return r == -ETIMEDOUT ? 0 : r;
}

int fiber_yield(void)
{
    struct loop *l = loop_self();
    struct fiber *f = l->current;

    if (!f)
        return 0;
    f->state = FIBER_READY;
    f->result = 0;
    list_push_back(&l->ready, &f->link);
    to_loop(l, f);
    return f->cancelled ? -ECANCELED : 0;
}
