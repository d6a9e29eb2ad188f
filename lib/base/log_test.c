/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_test.c - the form of lines, when they are written, and that none is written twice
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/own.h"
#include "base/span.h"
#include "base/str.h"

static char name[] = "/tmp/log_test.XXXXXX";
static int fd, saved_stderr;

static int to_file(void **state)
{
    (void)state;
    snprintf(name, sizeof name, "/tmp/log_test.XXXXXX");
    fd = mkostemp(name, O_APPEND);
    log_to_fd("postern/test", fd);
    return fd < 0;
}

static int remove_file(void **state)
{
    (void)state;
    log_flush();
    unlink(name);
    return close(fd);
}

/* written - what the file holds by now */
static struct str written(void)
{
    struct str s = STR_INIT;
    char buf[2048];
    ssize_t n;
    off_t at = 0;

    while ((n = pread(fd, buf, sizeof buf, at)) > 0) {
        str_add(&s, span_make(buf, (size_t)n));
        at += n;
    }
    str_cstr(&s);
    return s;
}

static void test_lines_wait_for_the_flush_and_warnings_do_not(void **state)
{
    (void)state;
    log_info("first");
    _cleanup_(str_free) struct str none = written();
    assert_string_equal(none.data, "");
    log_flush();
    _cleanup_(str_free) struct str one = written();
    assert_true(span_ends_nocase(str_span(&one), (struct span)SPAN(": first\n")));
    log_info("second");
    log_warn("bad");
    _cleanup_(str_free) struct str three = written();
    assert_non_null(strstr(three.data, ": second\n"));
    assert_true(span_ends_nocase(str_span(&three), (struct span)SPAN(": warning: bad\n")));
    log_warn("one of many");
    _cleanup_(str_free) struct str still = written();
    assert_true(span_ends_nocase(str_span(&still), (struct span)SPAN(": warning: bad\n")));
    log_error("worse");
    _cleanup_(str_free) struct str five = written();
    assert_non_null(strstr(five.data, ": warning: one of many\n"));
    assert_true(span_ends_nocase(str_span(&five), (struct span)SPAN(": error: worse\n")));
}

static void test_a_line_has_stamp_host_tag_and_pid(void **state)
{
    char month[4], host[65], rest[100], want[100];
    int day, hour, minute, second;

    (void)state;
    log_info("4cK9vQ1zRm: removed");
    log_flush();
    _cleanup_(str_free) struct str s = written();
    assert_int_equal(sscanf(s.data, "%3s %2d %2d:%2d:%2d %64s %99[^\n]", month, &day, &hour,
                            &minute, &second, host, rest),
                     7);
    assert_null(strchr(host, '.'));
    assert_int_equal(s.data[15], ' ');
    snprintf(want, sizeof want, "postern/test[%d]: 4cK9vQ1zRm: removed", (int)getpid());
    assert_string_equal(rest, want);
    assert_string_equal(log_tag(), "postern/test");
}

static void test_control_characters_and_length_cannot_forge_a_line(void **state)
{
    static char much[9000];

    (void)state;
    memset(much, 'x', sizeof much - 1);
    log_info("a\r\nNov 22 00:00:00 host postern/smtpd[1]: forged\x1b");
    log_info("%s", much);
    log_flush();
    _cleanup_(str_free) struct str s = written();
    assert_non_null(strstr(s.data, ": a??Nov 22 00:00:00 host postern/smtpd[1]: forged?\n"));
    size_t lines = 0;
    for (size_t i = 0; i < s.len; i++)
        lines += s.data[i] == '\n';
    assert_int_equal(lines, 2);
    assert_true(s.len < 5000);
}

static void test_debug_lines_are_shown_when_asked_for(void **state)
{
    (void)state;
    log_debug("hidden");
    log_set_verbose(1);
    log_debug("shown");
    log_set_verbose(0);
    log_flush();
    _cleanup_(str_free) struct str s = written();
    assert_null(strstr(s.data, "hidden"));
    assert_non_null(strstr(s.data, "]: shown\n"));
}

static void test_an_errno_is_named_and_returned(void **state)
{
    (void)state;
    assert_int_equal(log_warn_errno(-ENOENT, "open %s", "x"), -ENOENT);
    assert_int_equal(log_error_errno(-EIO, "read"), -EIO);
    _cleanup_(str_free) struct str s = written();
    assert_non_null(strstr(s.data, "warning: open x: No such file or directory\n"));
    assert_non_null(strstr(s.data, "error: read: Input/output error\n"));
}

static void test_a_forked_child_does_not_write_its_parents_lines(void **state)
{
    int status;

    (void)state;
    log_info("parent");
    pid_t pid = fork();
    if (pid == 0) {
        log_info("child");
        log_flush();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    log_flush();
    _cleanup_(str_free) struct str s = written();
    char want[64];
    snprintf(want, sizeof want, "[%d]: child\n", (int)pid);
    assert_non_null(strstr(s.data, want));
    char *first = strstr(s.data, "parent");
    assert_non_null(first);
    assert_null(strstr(first + 1, "parent"));
}

static void test_a_burst_is_written_before_it_grows_large(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++)
        log_info("line %d of a burst", i);
    _cleanup_(str_free) struct str some = written();
    assert_true(some.len > 10000);
    assert_int_equal(some.data[some.len - 1], '\n'); /* whole lines */
    log_flush();
    _cleanup_(str_free) struct str all = written();
    assert_non_null(strstr(all.data, "line 999 of"));
}

static void test_tools_write_to_stderr_at_once(void **state)
{
    (void)state;
    saved_stderr = dup(STDERR_FILENO);
    dup2(fd, STDERR_FILENO);
    log_to_stderr("postmap");
    log_info("plain");
    log_warn("careful");
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    _cleanup_(str_free) struct str s = written();
    assert_string_equal(s.data, "postmap: plain\npostmap: warning: careful\n");
}

static void test_fatal_says_so_and_exits_with_1(void **state)
{
    int status;

    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fd, STDERR_FILENO);
        log_to_stderr("postmap");
        log_fatal("no such file: %s", "x");
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    _cleanup_(str_free) struct str s = written();
    assert_string_equal(s.data, "postmap: fatal: no such file: x\n");
}

#define LOG_TEST(t) cmocka_unit_test_setup_teardown(t, to_file, remove_file)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(test_lines_wait_for_the_flush_and_warnings_do_not),
        LOG_TEST(test_a_line_has_stamp_host_tag_and_pid),
        LOG_TEST(test_control_characters_and_length_cannot_forge_a_line),
        LOG_TEST(test_debug_lines_are_shown_when_asked_for),
        LOG_TEST(test_an_errno_is_named_and_returned),
        LOG_TEST(test_a_forked_child_does_not_write_its_parents_lines),
        LOG_TEST(test_a_burst_is_written_before_it_grows_large),
        LOG_TEST(test_tools_write_to_stderr_at_once),
        LOG_TEST(test_fatal_says_so_and_exits_with_1),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
