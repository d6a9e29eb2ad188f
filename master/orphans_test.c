/* SPDX-License-Identifier: Apache-2.0 */
/* orphans_test.c - real processes: a parent that dies, and its children */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>

#include "base/mem.h"
#include "master/master.h"

enum { CHILDREN = 3 };

static struct master m = { .stop_pipe = { -1, -1 } };

/* A child that leads a group and forks some that live until the suite stops; it is dead when this returns. */
static pid_t start_parent(size_t children)
{
    pid_t parent = fork();
    char c;

    if (parent == 0) {
        setpgid(0, 0);
        for (size_t i = 0; i < children; i++)
            if (fork() == 0) {
                close(m.stop_pipe[1]);
                _exit(read(m.stop_pipe[0], &c, 1) == 0 ? 0 : 1);
            }
        _exit(0);
    }
    setpgid(parent, parent);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    return parent;
}

static void reap_until_left(size_t groups)
{
    while (m.n_orphans > groups) {
        siginfo_t info;

        waitid(P_ALL, 0, &info, WEXITED | WNOWAIT);
        orphans_reap(&m);
    }
}

static int prepare(void **state)
{
    (void)state;
    return orphans_prepare(&m);
}

static void test_a_parent_without_children_leaves_nothing(void **state)
{
    (void)state;
    orphans_adopt(&m, start_parent(0), "imapd");
    assert_int_equal(m.n_orphans, 0);
}

static void test_orphans_of_several_parents_are_waited_for_each_by_its_group(void **state)
{
    (void)state;
    pid_t killed = start_parent(CHILDREN), ending = start_parent(CHILDREN);
    orphans_adopt(&m, killed, "imapd");
    orphans_adopt(&m, ending, "pop3d");
    assert_int_equal(m.n_orphans, 2);
    orphans_reap(&m);
    assert_int_equal(m.n_orphans, 2);
    assert_int_equal(kill(-killed, SIGKILL), 0);
    reap_until_left(1);
    assert_int_equal(m.orphans[0].group, ending);
    assert_string_equal(m.orphans[0].path, "pop3d");
    orphans_kill(&m);
    reap_until_left(0);
}

static void test_they_end_when_the_suite_stops(void **state)
{
    (void)state;
    orphans_adopt(&m, start_parent(CHILDREN), "imapd");
    assert_int_equal(m.n_orphans, 1);
    orphans_stop(&m);
    orphans_stop(&m);
    reap_until_left(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_parent_without_children_leaves_nothing),
        cmocka_unit_test(test_orphans_of_several_parents_are_waited_for_each_by_its_group),
        cmocka_unit_test(test_they_end_when_the_suite_stops),
    };
    alarm(60);
    return cmocka_run_group_tests(tests, prepare, NULL);
}
