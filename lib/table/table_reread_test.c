/* SPDX-License-Identifier: Apache-2.0 */
/* table_reread_test.c - a table that changes again while its file is waited for */
#include "base/file.h"
#include "io/loop.h"
#include "table/table.h"
#include "table/test_files.h"

static int turns;               /* that the next one who opens a file waits until he has it */

static int open_slowly(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), wait = turns;

    turns = 0;
    while (wait-- > 0)
        fiber_yield();
    return fd;
}

static void look(void *arg)
{
    (void)arg;
    table_all_current();
}

static void change_twice(void *arg)
{
    turns = 50;
    write_test_file("map", span_of("a second\n"));
    fiber_start(look, arg);
    for (int i = 0; i < 10; i++)
        fiber_yield();
    write_test_file("map", span_of("a third one\n"));
    fiber_start(look, arg);
}

static void test_the_newest_version_stays_whoever_gets_his_last(void **state)
{
    _cleanup_(str_free) struct str name = STR_INIT, err = STR_INIT, value = STR_INIT;
    struct table *t = NULL;

    (void)state;
    write_test_file("map", span_of("a first\n"));
    assert_int_equal(table_open(span_of(in_test_dir(&name, "texthash:", "map")), &t, &err), 0);
    file_open_with(open_slowly);
    fiber_start(change_twice, NULL);
    assert_int_equal(loop_run(), 0);
    assert_int_equal(table_get(t, span_of("a"), &value), 1);
    assert_string_equal(value.data, "third one");
    table_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_newest_version_stays_whoever_gets_his_last, make_test_dir, remove_test_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
