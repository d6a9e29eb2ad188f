/* SPDX-License-Identifier: Apache-2.0 */
/* run_test.c - however a command is ended, it ends, and with it the fibers that feed it and listen */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "io/loop.h"
#include "pipe/pipe.h"

enum { NOBODY = 65534, CONTENT = 200000, IN_TIME_MS = 60000 };

static struct {
    struct pipe_request q;
    char **argv;
    struct command_end end;
    bool ended;
} command;

static void run_command(void *arg)
{
    (void)arg;
    assert_int_equal(command_run(&command.q, command.argv, &command.end), 0);
    command.ended = true;
}

static void cancel_before(void *arg)
{
    fiber_cancel(arg);
}

static void cancel_at_once(void *arg)
{
    fiber_cancel(arg);
}

static void cancel_later(void *arg)
{
    fiber_sleep_until(clock_deadline_ms(50));
    fiber_cancel(arg);
}

static void run(const char *script, int64_t time_limit, void (*ends)(void *arg))
{
    static char shell[] = "/bin/sh", option[] = "-c";
    char file[] = "/tmp/pipe_run_test.XXXXXX";
    char *argv[] = { shell, option, (char *)script, NULL };
    static struct server sv;
    struct pipe_config config = { .uid = NOBODY, .gid = NOBODY, .time_limit = time_limit, .eol = STR_INIT };
    struct deliver_rcpt rcpt = { .address = STR_INIT };
    uint64_t begun = clock_ms();
    int fd = mkstemp(file);

    sv.single_user = geteuid() != 0;
    if (sv.single_user)
        config.uid = geteuid(), config.gid = getegid();
    assert_true(fd >= 0);
    unlink(file);
    assert_int_equal(ftruncate(fd, CONTENT), 0);
    str_add_char(&config.eol, '\n');
    command.q = (struct pipe_request){ .sv = &sv, .config = &config, .fd = fd, .rcpts = &rcpt, .d = { .content_size = CONTENT } };
    command.argv = argv;
    command.end = (struct command_end){ .output = STR_INIT };
    command.ended = false;
    struct fiber *f = fiber_start(run_command, NULL);
    if (ends == cancel_before)
        ends(f);
    else if (ends)
        fiber_start(ends, f);
    assert_int_equal(loop_run(), 0);
    assert_true(command.ended);
    assert_true(clock_ms() - begun < IN_TIME_MS);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);   /* no child is left */
    str_free(&command.end.output);
    str_free(&config.eol);
    close(fd);
}

static void test_a_command_ends_with_its_session_whenever_that_is_cancelled(void **state)
{
    static const char *const scripts[] = { "exec sleep 1000", "cat >/dev/null; sleep 1000", "exec yes", "yes & sleep 1000" };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
        run(scripts[i], 1000, cancel_before);
        assert_true(WIFSIGNALED(command.end.status));
        run(scripts[i], 1000, cancel_at_once);
        assert_true(WIFSIGNALED(command.end.status));
        run(scripts[i], 1000, cancel_later);
        assert_true(WIFSIGNALED(command.end.status));
        assert_false(command.end.timed_out);
    }
}

static void test_a_command_that_never_stops_talking_ends_with_its_time(void **state)
{
    (void)state;
    run("exec yes", 1, NULL);
    assert_true(WIFSIGNALED(command.end.status) && command.end.timed_out);
}

static void test_what_lives_on_with_the_output_open_is_not_waited_for(void **state)
{
    (void)state;
    run("(sleep 2; yes) & exit 7", 1000, NULL);
    assert_true(WIFEXITED(command.end.status));
    assert_int_equal(WEXITSTATUS(command.end.status), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_command_ends_with_its_session_whenever_that_is_cancelled),
        cmocka_unit_test(test_a_command_that_never_stops_talking_ends_with_its_time),
        cmocka_unit_test(test_what_lives_on_with_the_output_open_is_not_waited_for),
    };
    signal(SIGPIPE, SIG_IGN);   /* as daemons do */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
