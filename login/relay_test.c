/* SPDX-License-Identifier: Apache-2.0 */
/* relay_test.c - the end of a relay, whoever comes to it first */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/loop.h"
#include "login/held.h"

enum { OURS, THEIRS };

struct scene {
    int client[2], session[2], signal[2];
    struct stream *stream;          /* the client's */
    struct relay *relay;
    struct fiber *ending;
    bool ended;
};

static void end_relay(void *arg)
{
    struct scene *s = arg;

    relay_end(s->relay);
    s->ended = true;
}

static void cancel_at_signal(void *arg)
{
    struct scene *s = arg;

    assert_true(fiber_wait_fd(s->signal[OURS], EPOLLIN, CLOCK_NEVER) > 0);
    fiber_cancel(s->ending);
}

static void set_up(struct scene *s)
{
    *s = (struct scene){ .ended = false };
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s->client), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s->session), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s->signal), 0);
    s->stream = stream_new(s->client[OURS]);
    s->relay = relay_start(s->stream, NULL, stream_new(s->session[OURS]));
    s->ending = fiber_start(end_relay, s);
}

static void tear_down(struct scene *s)
{
    assert_int_equal(loop_run(), 0);
    assert_int_equal(fiber_count(), 0);
    assert_true(s->ended);
    stream_free(s->stream);
    close(s->client[THEIRS]);
    close(s->signal[OURS]);
}

static void close_signal_and_session(void *arg)
{
    struct scene *s = arg;

    fiber_start(cancel_at_signal, s);
    for (int i = 0; i < 3; i++)     /* all others wait by then */
        fiber_yield();
    close(s->signal[THEIRS]);
    close(s->session[THEIRS]);
}

static void test_a_session_may_end_in_the_moment_in_which_its_front_is_told_to(void **state)
{
    struct scene s;

    (void)state;
    set_up(&s);
    fiber_start(close_signal_and_session, &s);
    tear_down(&s);
}

static void close_signal(void *arg)
{
    struct scene *s = arg;

    fiber_start(cancel_at_signal, s);
    close(s->signal[THEIRS]);
}

static void test_a_front_that_is_told_to_end_does_not_wait_for_its_session(void **state)
{
    struct scene s;

    (void)state;
    set_up(&s);
    fiber_start(close_signal, &s);
    tear_down(&s);
    close(s.session[THEIRS]);
}

static void say_last_words(void *arg)
{
    struct scene *s = arg;

    assert_int_equal(write(s->session[THEIRS], "* BYE\r\n", 7), 7);
    close(s->session[THEIRS]);
}

static void test_a_session_s_last_words_reach_the_client(void **state)
{
    char got[16];
    struct scene s;

    (void)state;
    set_up(&s);
    fiber_start(say_last_words, &s);
    assert_int_equal(loop_run(), 0);
    assert_int_equal(recv(s.client[THEIRS], got, sizeof got, MSG_DONTWAIT), 7);
    close(s.signal[THEIRS]);
    tear_down(&s);
}

enum { SAID = 60000 };

/* The session reads all that is there: how much that was */
static size_t read_all(const struct scene *s)
{
    static char bytes[SAID];
    size_t sum = 0;
    ssize_t n;

    while ((n = recv(s->session[THEIRS], bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        sum += (size_t)n;
    return sum;
}

static void hold_when_read(void *arg)
{
    struct scene *s = arg;
    size_t got = 0;
    char c;

    while (got < SAID) {
        assert_true(fiber_wait_fd(s->session[THEIRS], EPOLLIN, CLOCK_NEVER) > 0);
        got += read_all(s);
        relay_hold(s->relay);
        bool silent = recv(s->session[THEIRS], &c, 1, MSG_PEEK | MSG_DONTWAIT) < 0;
        for (int i = 0; i < 30; i++)
            fiber_yield();
        if (silent)
            assert_int_equal(recv(s->session[THEIRS], &c, 1, MSG_PEEK | MSG_DONTWAIT), -1);
        relay_go_on(s->relay);
    }
    close(s->session[THEIRS]);
}

static void test_a_session_that_has_read_all_finds_the_rest_before_it_can_go(void **state)
{
    static const char said[SAID];
    int small = 4096;
    struct scene s;

    (void)state;
    set_up(&s);
    assert_int_equal(setsockopt(s.session[OURS], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    assert_int_equal(write(s.client[THEIRS], said, SAID), SAID);
    fiber_start(hold_when_read, &s);
    close(s.signal[THEIRS]);
    tear_down(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_session_may_end_in_the_moment_in_which_its_front_is_told_to),
        cmocka_unit_test(test_a_front_that_is_told_to_end_does_not_wait_for_its_session),
        cmocka_unit_test(test_a_session_that_has_read_all_finds_the_rest_before_it_can_go),
        cmocka_unit_test(test_a_session_s_last_words_reach_the_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
