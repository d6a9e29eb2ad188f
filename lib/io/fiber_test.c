/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fiber_test.c - fibers, their waits, and the loop under them
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/own.h"
#include "base/str.h"
#include "io/internal.h"

/* What happened, in order: each fiber writes letters. */
static struct str trace = STR_INIT;

static int reset_trace(void **state)
{
    (void)state;
    str_free(&trace);
    str_cstr(&trace);
    return 0;
}

static void run(void)
{
    assert_int_equal(loop_run(), 0);
    assert_int_equal(fiber_count(), 0);
}

static void three_letters(void *arg)
{
    for (int i = 0; i < 3; i++) {
        str_add_char(&trace, *(char *)arg);
        fiber_yield();
    }
}

static void test_fibers_that_yield_take_turns_in_order(void **state)
{
    (void)state;
    fiber_start(three_letters, "a");
    fiber_start(three_letters, "b");
    fiber_start(three_letters, "c");
    run();
    assert_string_equal(trace.data, "abcabcabc");
}

/* Before the fibers of a test were started: their order is that of their deadlines, however late they run. */
static uint64_t begun;

static void sleeper(void *arg)
{
    int n = *(char *)arg - '0';

    assert_int_equal(fiber_sleep_until(begun + (uint64_t)n * 10), 0);
    str_add_char(&trace, (char)('0' + n));
}

static void test_sleepers_wake_by_deadline(void **state)
{
    (void)state;
    begun = clock_ms();
    fiber_start(sleeper, "5");
    fiber_start(sleeper, "1");
    fiber_start(sleeper, "3");
    run();
    assert_string_equal(trace.data, "135");
    assert_true(clock_ms() - begun >= 50);
}

static struct waitq queue;

static void in_queue(void *arg)
{
    int r = waitq_wait(&queue, arg ? begun + 10 : CLOCK_NEVER);

    str_addf(&trace, "%s", r == 0 ? "w" : r == -ETIMEDOUT ? "t" : "c");
}

static void wake_some(void *arg)
{
    fiber_sleep_until(begun + 30);
    fiber_cancel(arg);
    assert_int_equal(waitq_wake(&queue, 1), 1);
    fiber_yield();
    assert_int_equal(waitq_wake(&queue, SIZE_MAX), 2);
    assert_int_equal(waitq_wake(&queue, SIZE_MAX), 0);
}

static void test_a_queue_wakes_in_order_and_forgets_who_left(void **state)
{
    (void)state;
    begun = clock_ms();
    waitq_init(&queue);
    struct fiber *first = fiber_start(in_queue, NULL);
    fiber_start(in_queue, "leaves after 10 ms");
    for (int i = 0; i < 3; i++)
        fiber_start(in_queue, NULL);
    fiber_start(wake_some, first);
    run();
    assert_string_equal(trace.data, "tcwww");
}

static struct gate gate;
static int most, inside;

static void through_gate(void *arg)
{
    assert_int_equal(gate_enter(&gate, CLOCK_NEVER), 0);
    inside++;
    most = inside > most ? inside : most;
    str_add_char(&trace, *(char *)arg);
    fiber_sleep_until(clock_ms() + 5);
    inside--;
    gate_leave(&gate);
    if (*(char *)arg == 'a') { /* comes back at once, and must not overtake */
        assert_int_equal(gate_enter(&gate, CLOCK_NEVER), 0);
        str_add_char(&trace, 'A');
        gate_leave(&gate);
    }
}

static void test_a_gate_lets_no_more_in_than_its_limit_and_nobody_overtakes(void **state)
{
    static char names[] = "abcdef";

    (void)state;
    gate_init(&gate, 2);
    for (size_t i = 0; i < 6; i++)
        fiber_start(through_gate, &names[i]);
    run();
    assert_string_equal(trace.data, "abcdefA");
    assert_int_equal(most, 2);
    assert_int_equal(gate.inside, 0);
}

static void waits_for_ever(void *arg)
{
    (void)arg;
    assert_int_equal(fiber_sleep_until(CLOCK_NEVER), -ECANCELED);
    assert_true(fiber_cancelled());
    assert_int_equal(fiber_sleep_until(CLOCK_NEVER), -ECANCELED);
    assert_int_equal(fiber_yield(), -ECANCELED);
    str_add_char(&trace, 'x');
}

static void cancel_it(void *arg)
{
    fiber_yield();
    fiber_cancel(arg);
}

static void test_a_cancel_ends_this_and_all_later_waits(void **state)
{
    (void)state;
    fiber_start(cancel_it, fiber_start(waits_for_ever, NULL));
    fiber_cancel(fiber_start(waits_for_ever, NULL)); /* even before it ran */
    run();
    assert_string_equal(trace.data, "xx");
}

static bool other_done;

static void finishes_later(void *arg)
{
    (void)arg;
    fiber_yield();
    other_done = true;
}

static void waits_for_other(void *arg)
{
    (void)arg;
    while (!other_done)
        assert_int_equal(fiber_yield(), -ECANCELED);
    str_add_char(&trace, 'o');
}

static void test_a_cancelled_fiber_that_yields_lets_the_others_run(void **state)
{
    (void)state;
    fiber_cancel(fiber_start(waits_for_other, NULL));
    fiber_start(finishes_later, NULL);
    run();
    assert_string_equal(trace.data, "o");
}

struct own_thing {
    struct waitq unused;
    bool used;
};

static void uses(void *arg)
{
    struct own_thing *t = arg;

    fiber_yield();
    fiber_yield();
    t->used = false;
    str_add_char(&trace, 'u');
    waitq_wake(&t->unused, 1);
}

static void owns(void *arg)
{
    struct own_thing t = { .used = true };

    (void)arg;
    waitq_init(&t.unused);
    fiber_start(uses, &t);
    while (t.used)
        waitq_wait_through(&t.unused);
    str_add_char(&trace, 'o');
    assert_int_equal(fiber_yield(), -ECANCELED);
}

static void test_also_a_cancelled_fiber_waits_for_who_uses_what_is_its_own(void **state)
{
    (void)state;
    fiber_cancel(fiber_start(owns, NULL));              /* before */
    run();
    fiber_start(cancel_it, fiber_start(owns, NULL));    /* while it waits */
    run();
    assert_string_equal(trace.data, "uouo");
}

static int idle_pipe[2];

/* served - a fiber that waits idle for a byte, then works */
static void served(void *arg)
{
    char c;

    (void)arg;
    for (;;) {
        fiber_set_idle(true);
        int r = fiber_wait_fd(idle_pipe[0], EPOLLIN, CLOCK_NEVER);
        fiber_set_idle(false);
        if (r == -ECANCELED)
            break;
        assert_int_equal(read(idle_pipe[0], &c, 1), 1);
        assert_int_equal(fiber_yield(), 0); /* work is not disturbed */
        str_add_char(&trace, c);
    }
    str_add_char(&trace, '.');
}

static void drain(void *arg)
{
    (void)arg;
    fiber_sleep_until(clock_ms() + 10);
    assert_int_equal(write(idle_pipe[1], "r", 1), 1);
    fiber_yield();
    fiber_cancel_idle();
}

static void test_draining_ends_who_is_idle_and_lets_work_end(void **state)
{
    (void)state;
    assert_int_equal(pipe2(idle_pipe, O_CLOEXEC), 0);
    fiber_start(served, NULL);
    fiber_start(drain, NULL);
    run();
    /* The request came before or after the cancel, as the loop had it; either way the fiber ended.
     */
    assert_true(strcmp(trace.data, ".") == 0 || strcmp(trace.data, "r.") == 0);
    loop_self()->draining = false;
    close(idle_pipe[0]);
    close(idle_pipe[1]);
}

static int pair[2];

static void wants_to_read(void *arg)
{
    char c;

    (void)arg;
    assert_int_equal(fiber_wait_fd(pair[0], EPOLLIN, clock_ms() + 10), -ETIMEDOUT);
    assert_int_equal(fiber_wait_fd(pair[0], EPOLLIN, CLOCK_NEVER), EPOLLIN);
    assert_int_equal(read(pair[0], &c, 1), 1);
    str_add_char(&trace, 'r');
}

static void wants_to_write(void *arg)
{
    (void)arg;
    assert_int_equal(fiber_wait_fd(pair[0], EPOLLOUT, CLOCK_NEVER), EPOLLOUT);
    str_add_char(&trace, 'w');
    fiber_sleep_until(clock_ms() + 30);
    assert_int_equal(write(pair[1], "x", 1), 1);
}

static void test_two_fibers_wait_for_the_two_directions_of_a_descriptor(void **state)
{
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    fiber_start(wants_to_read, NULL);
    fiber_start(wants_to_write, NULL);
    run();
    assert_string_equal(trace.data, "wr");
    close(pair[0]);
    close(pair[1]);
}

/* Level-triggered: what is left unread is reported again. */
static void reads_bit_by_bit(void *arg)
{
    char c;

    (void)arg;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fiber_wait_fd(pair[0], EPOLLIN, clock_ms() + 20000), EPOLLIN);
        assert_int_equal(read(pair[0], &c, 1), 1);
    }
}

static void test_waiting_for_a_ready_descriptor_returns_at_once(void **state)
{
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(write(pair[1], "abc", 3), 3);
    fiber_start(reads_bit_by_bit, NULL);
    run();
    assert_int_equal(fiber_wait_fd(pair[0], EPOLLOUT, CLOCK_NEVER),
                     EPOLLOUT); /* outside, as well */
    assert_int_equal(fiber_wait_fd(pair[0], EPOLLIN, clock_ms() + 5), -ETIMEDOUT);
    close(pair[0]);
    close(pair[1]);
}

/* One of many: passes a byte on to the next. */
struct link {
    int in, out;
};

static void pass_on(void *arg)
{
    struct link *l = arg;
    struct poll_fd *p = poll_fd_new(l->in);
    char c = 0;

    for (int round = 0; round < 3; round++) {
        while (read(l->in, &c, 1) < 0) {
            assert_int_equal(errno, EAGAIN);
            assert_int_equal(poll_fd_wait(p, EPOLLIN, CLOCK_NEVER), EPOLLIN);
        }
        c++;
        assert_int_equal(write(l->out, &c, 1), 1);
    }
    poll_fd_free(p);
}

static void test_thousands_of_fibers_pass_bytes_along_a_ring(void **state)
{
    enum { N = 3000 };
    static struct link links[N];
    struct rlimit limit = {0};
    int first_in, last_out, fds[2];

    (void)state;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < 2 * N + 100)
        skip();
    assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    first_in = fds[1];
    last_out = fds[0];
    for (size_t i = 0; i < N; i++) {
        links[i].in = last_out;
        assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
        links[i].out = fds[1];
        last_out = fds[0];
        fiber_start(pass_on, &links[i]);
    }
    assert_int_equal(write(first_in, "\1\2\3", 3), 3);
    run();
    unsigned char out[4];
    assert_int_equal(read(last_out, out, sizeof out), 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(out[i], (unsigned char)(N + 1 + i));
    close(first_in);
    close(last_out);
    for (size_t i = 0; i < N; i++) {
        close(links[i].in == last_out ? -1 : links[i].in);
        close(links[i].out);
    }
}

/* eat - use much of the stack */
__attribute__((noinline)) static unsigned eat(unsigned depth)
{
    volatile char frame[1024];

    memset((char *)frame, (int)depth, sizeof frame);
    unsigned sum = depth > 0 ? eat(depth - 1) : 0;
    return sum + (unsigned char)frame[depth % sizeof frame];
}

static void keeps_locals(void *arg)
{
    unsigned locals[256];

    for (unsigned i = 0; i < 256; i++)
        locals[i] = i * 7;
    eat(30);
    assert_int_equal(fiber_sleep_until(begun + 20), 0);
    for (unsigned i = 0; i < 256; i++)
        assert_int_equal(locals[i], i * 7);
    eat(30);
    *(bool *)arg = true;
}

static void trims(void *arg)
{
    unsigned char resident;
    struct fiber *f = arg;

    fiber_sleep_until(begun + 5);
    char *page = f->stack + 40 * 1024; /* used by eat(), not now */
    page = (char *)((uintptr_t)page & ~(uintptr_t)4095);
    fiber_trim(f);
    assert_int_equal(mincore(page, 1, &resident), 0);
#ifndef __SANITIZE_ADDRESS__ /* its stacks are larger: the page is another */
    assert_int_equal(resident & 1, 0);
#endif
}

static void test_a_trimmed_stack_keeps_what_is_in_use(void **state)
{
    bool done = false;

    (void)state;
    begun = clock_ms();
    fiber_start(trims, fiber_start(keeps_locals, &done));
    run();
    assert_true(done);
}

static int blocking(void *arg)
{
    usleep(20 * 1000);
    return ++*(int *)arg;
}

static void offloads(void *arg)
{
    int r = offload(blocking, arg);

    assert_int_equal(r, *(int *)arg);
    str_add_char(&trace, 'o');
}

static atomic_int calls_now, calls_most, calls_expected;
static atomic_bool loop_went_on;

/* A call that waits for as many others as are expected beside it, and for the loop; not for ever. */
static int meets(void *arg)
{
    int now = atomic_fetch_add(&calls_now, 1) + 1, seen = atomic_load(&calls_most);

    while (now > seen && !atomic_compare_exchange_weak(&calls_most, &seen, now))
        continue;
    for (int i = 0; i < 20000 && (calls_most < calls_expected || !loop_went_on); i++)
        usleep(1000);
    atomic_fetch_sub(&calls_now, 1);
    return ++*(int *)arg;
}

static void offloads_to_meet(void *arg)
{
    int r = offload(meets, arg);

    assert_int_equal(r, *(int *)arg);
    str_add_char(&trace, 'o');
}

static void goes_on(void *arg)
{
    three_letters(arg);
    loop_went_on = true;
}

static void expect_calls(int n, bool loop_too)
{
    calls_most = 0;
    calls_expected = n;
    loop_went_on = !loop_too;
}

static void test_no_more_helpers_run_than_allowed(void **state)
{
    int numbers[6] = {0};

    (void)state;
    offload_limit(2);
    expect_calls(2, false);
    for (size_t i = 0; i < 6; i++)
        fiber_start(offloads_to_meet, &numbers[i]);
    run();
    assert_int_equal(calls_most, 2);
    for (int i = 0; i < 6; i++)
        assert_int_equal(numbers[i], 1);
    offload_limit(16);
}

static void test_offloaded_calls_run_beside_each_other_and_the_loop(void **state)
{
    int numbers[8] = {0, 1, 2, 3, 4, 5, 6, 7};

    (void)state;
    expect_calls(8, true);
    for (size_t i = 0; i < 8; i++)
        fiber_start(offloads_to_meet, &numbers[i]);
    fiber_start(goes_on, "l");
    run();
    assert_string_equal(trace.data, "llloooooooo");
    assert_int_equal(calls_most, 8);
    for (int i = 0; i < 8; i++)
        assert_int_equal(numbers[i], i + 1);
}

static void test_an_offloaded_call_is_waited_for_although_cancelled(void **state)
{
    int number = 1;

    (void)state;
    fiber_start(cancel_it, fiber_start(offloads, &number));
    run();
    assert_string_equal(trace.data, "o");
    assert_int_equal(number, 2);
}

static void test_outside_a_fiber_calls_run_directly(void **state)
{
    int number = 1;

    (void)state;
    begun = clock_ms();
    assert_null(fiber_self());
    assert_int_equal(offload(blocking, &number), 2);
    assert_int_equal(fiber_sleep_until(clock_ms() + 10), 0);
    assert_int_equal(fiber_yield(), 0);
    assert_true(clock_ms() - begun >= 30);
}

static void child_work(void *arg)
{
    int number = 41;

    assert_int_equal(offload(blocking, &number), 42);
    assert_int_equal(write(*(int *)arg, "ok", 2), 2);
}

static void forks(void *arg)
{
    int fds[2], status;
    char answer[3] = "";

    (void)arg;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        loop_after_fork();
        fiber_start(child_work, &fds[1]);
        loop_run();
        _exit(fiber_count() == 0 ? 0 : 1);
    }
    assert_int_equal(fiber_wait_fd(fds[0], EPOLLIN, clock_ms() + 20000), EPOLLIN);
    assert_int_equal(read(fds[0], answer, 2), 2);
    assert_string_equal(answer, "ok");
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(fds[0]);
    close(fds[1]);
}

static void test_a_child_starts_with_a_loop_of_its_own(void **state)
{
    int number = 1;

    (void)state;
    fiber_start(offloads, &number); /* helpers exist in the parent */
    fiber_start(forks, NULL);
    run();
    assert_string_equal(trace.data, "o");
}

static struct poll_fd *callback;

static void called(void *arg, unsigned events)
{
    char c;

    assert_true(events & EPOLLIN);
    assert_int_equal(read(pair[0], &c, 1), 1);
    str_add_char(&trace, c);
    waitq_wake(arg, SIZE_MAX);
    if (c == 'b') { /* it may free itself */
        poll_fd_free(callback);
        callback = NULL;
    }
}

static void waits_for_callback(void *arg)
{
    assert_int_equal(waitq_wait(arg, clock_ms() + 20000), 0);
    assert_int_equal(write(pair[1], "b", 1), 1);
    assert_int_equal(waitq_wait(arg, clock_ms() + 20000), 0);
}

static void test_a_callback_wakes_fibers_and_may_end_itself(void **state)
{
    (void)state;
    waitq_init(&queue);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    callback = poll_fd_new_callback(pair[0], called, &queue);
    assert_int_equal(poll_fd_watch(callback, EPOLLIN), 0);
    assert_int_equal(write(pair[1], "a", 1), 1);
    fiber_start(waits_for_callback, &queue);
    run();
    assert_string_equal(trace.data, "ab");
    assert_null(callback);
    close(pair[0]);
    close(pair[1]);
}

static void stops(void *arg)
{
    (void)arg;
    loop_stop();
    fiber_yield();
    str_add_char(&trace, 's');
}

static void note_sleep(void)
{
    if (trace.len < 100)
        str_add_char(&trace, 'z');
}

static void test_the_loop_stops_and_goes_on_and_tells_before_it_sleeps(void **state)
{
    (void)state;
    begun = clock_ms() + 200; /* the loop gets to sleep, also on a busy machine */
    fiber_start(stops, NULL);
    fiber_start(sleeper, "1");
    assert_int_equal(loop_run(), 0);
    assert_int_equal(fiber_count(), 2);
    assert_string_equal(trace.data, "");
    loop_before_sleep(note_sleep);
    run();
    loop_before_sleep(NULL);
    assert_int_equal(span_find(str_span(&trace), (struct span)SPAN("sz")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_fibers_that_yield_take_turns_in_order, reset_trace),
        cmocka_unit_test_setup(test_sleepers_wake_by_deadline, reset_trace),
        cmocka_unit_test_setup(test_a_queue_wakes_in_order_and_forgets_who_left, reset_trace),
        cmocka_unit_test_setup(test_a_gate_lets_no_more_in_than_its_limit_and_nobody_overtakes,
                               reset_trace),
        cmocka_unit_test_setup(test_a_cancel_ends_this_and_all_later_waits, reset_trace),
        cmocka_unit_test_setup(test_a_cancelled_fiber_that_yields_lets_the_others_run, reset_trace),
        cmocka_unit_test_setup(test_also_a_cancelled_fiber_waits_for_who_uses_what_is_its_own, reset_trace),
        cmocka_unit_test_setup(test_draining_ends_who_is_idle_and_lets_work_end, reset_trace),
        cmocka_unit_test_setup(test_two_fibers_wait_for_the_two_directions_of_a_descriptor,
                               reset_trace),
        cmocka_unit_test_setup(test_waiting_for_a_ready_descriptor_returns_at_once, reset_trace),
        cmocka_unit_test_setup(test_thousands_of_fibers_pass_bytes_along_a_ring, reset_trace),
        cmocka_unit_test_setup(test_a_trimmed_stack_keeps_what_is_in_use, reset_trace),
        cmocka_unit_test_setup(test_no_more_helpers_run_than_allowed, reset_trace),
        cmocka_unit_test_setup(test_offloaded_calls_run_beside_each_other_and_the_loop,
                               reset_trace),
        cmocka_unit_test_setup(test_an_offloaded_call_is_waited_for_although_cancelled,
                               reset_trace),
        cmocka_unit_test_setup(test_outside_a_fiber_calls_run_directly, reset_trace),
        cmocka_unit_test_setup(test_a_child_starts_with_a_loop_of_its_own, reset_trace),
        cmocka_unit_test_setup(test_a_callback_wakes_fibers_and_may_end_itself, reset_trace),
        cmocka_unit_test_setup(test_the_loop_stops_and_goes_on_and_tells_before_it_sleeps,
                               reset_trace),
    };
    int r = cmocka_run_group_tests(tests, NULL, NULL);

    str_free(&trace);
    return r;
}
