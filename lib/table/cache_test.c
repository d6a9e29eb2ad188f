/* SPDX-License-Identifier: Apache-2.0 */
#include "table/cache.h"

#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/loop.h"
#include "table/test_files.h"

static struct cache *open_cache(const char *name, int expected)
{
    _cleanup_(str_free) struct str path = STR_INIT, err = STR_INIT;
    struct cache *c = NULL;
    int r = cache_open(in_test_dir(&path, "", name), &c, &err);

    if (r != expected)
        fail_msg("%s: %d, %s", name, r, str_cstr(&err));
    return c;
}

static void put(struct cache *c, const char *key, const char *value, int64_t seconds)
{
    cache_put(c, span_of(key), span_of(value), clock_real() + seconds);
}

static const char *get(struct cache *c, const char *key, struct str *value)
{
    return shown(cache_get(c, span_of(key), value, NULL), value);
}

static void test_what_was_put_is_seen_at_once_and_after_a_restart(void **state)
{
    _cleanup_(str_free) struct str v = STR_INIT;
    struct cache *c = open_cache("restart", 0);
    int64_t expires = 0;

    (void)state;
    put(c, "a", "one", 100);
    put(c, "b", "", 100);
    assert_string_equal(get(c, "a", &v), "one");
    assert_int_equal(cache_pending(c), 2);
    assert_int_equal(cache_flush(c), 0);
    assert_int_equal(cache_pending(c), 0);
    assert_string_equal(get(c, "a", &v), "one");
    put(c, "a", "two", 100);
    assert_string_equal(get(c, "a", &v), "two");
    cache_free(c); /* flushes */

    c = open_cache("restart", 0);
    assert_int_equal(cache_get(c, span_of("a"), &v, &expires), 1);
    assert_string_equal(str_cstr(&v), "two");
    assert_in_range(expires, clock_real() + 90, clock_real() + 100);
    assert_string_equal(get(c, "b", &v), "");
    assert_string_equal(get(c, "c", &v), "-");
    cache_free(c);
}

static void test_what_was_deleted_is_gone_before_and_after_the_flush(void **state)
{
    _cleanup_(str_free) struct str v = STR_INIT;
    struct cache *c = open_cache("delete", 0);

    (void)state;
    put(c, "a", "one", 100);
    cache_flush(c);
    cache_delete(c, span_of("a"));
    cache_delete(c, span_of("never there"));
    assert_string_equal(get(c, "a", &v), "-");
    assert_int_equal(cache_flush(c), 0);
    assert_string_equal(get(c, "a", &v), "-");
    put(c, "a", "again", 100);
    assert_string_equal(get(c, "a", &v), "again");
    cache_free(c);
}

static void test_an_expired_entry_is_not_found_and_a_sweep_removes_it_in_bounded_steps(void **state)
{
    _cleanup_(str_free) struct str v = STR_INIT, key = STR_INIT;
    struct cache *c = open_cache("sweep", 0);
    bool round = false;
    int removed = 0, calls = 0;

    (void)state;
    for (int i = 0; i < 100; i++) {
        str_reset(&key);
        str_addf(&key, "key %d", i);
        put(c, str_cstr(&key), "x", i % 2 == 0 ? -1 : 100);
    }
    assert_string_equal(get(c, "key 4", &v), "-");
    assert_int_equal(cache_flush(c), 0);
    assert_string_equal(get(c, "key 4", &v), "-");
    while (!round && calls++ < 100) {
        int r = cache_sweep(c, 10, &round);

        assert_in_range(r, 0, 10);
        removed += r;
    }
    assert_int_equal(removed, 50);
    assert_in_range(calls, 10, 12);
    assert_string_equal(get(c, "key 5", &v), "x");
    assert_int_equal(cache_sweep(c, 1000, &round), 0);
    assert_true(round);
    cache_free(c);
}

static void test_keys_and_values_over_their_limits_are_not_remembered(void **state)
{
    _cleanup_(str_free) struct str v = STR_INIT;
    struct cache *c = open_cache("limits", 0);
    char big[CACHE_VALUE_MAX + 1];
    static const struct {
        size_t key, value;
        int found;
    } cases[] = {
        { 1, 0, 1 },
        { 0, 1, 0 },
        { CACHE_KEY_MAX, CACHE_VALUE_MAX, 1 },
        { CACHE_KEY_MAX + 1, 1, 0 },
        { 5, CACHE_VALUE_MAX + 1, 0 },
    };

    (void)state;
    memset(big, 'x', sizeof big);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cache_put(c, span_make(big, cases[i].key), span_make(big, cases[i].value), clock_real() + 9);
        assert_int_equal(cache_flush(c), 0);
        if (cache_get(c, span_make(big, cases[i].key), &v, NULL) != cases[i].found)
            fail_msg("row %zu", i);
    }
    cache_put(c, span_make("\0cache", 6), span_of("mine"), clock_real() + 9);
    assert_int_equal(cache_flush(c), 0);
    cache_free(c);
    cache_free(open_cache("limits", 0));
}

static void test_a_file_that_is_no_whole_cache_is_set_aside(void **state)
{
    _cleanup_(str_free) struct str v = STR_INIT, path = STR_INIT;
    struct stat st;

    (void)state;
    write_test_file("text", span_of("this is a text, and no cache at all; it is longer than that ........."));
    struct cache *c = open_cache("text", 1);
    assert_string_equal(get(c, "a", &v), "-");
    put(c, "a", "one", 100);
    cache_free(c);
    assert_int_equal(stat(in_test_dir(&path, "", "text.damaged"), &st), 0);
    c = open_cache("text", 0);
    assert_string_equal(get(c, "a", &v), "one");
    cache_free(c);

    c = open_cache("short", 0);
    for (char key[] = "a"; *key <= 'z'; ++*key)
        cache_put(c, span_of(key), span_make(test_dir, sizeof test_dir), clock_real() + 100);
    cache_free(c);
    assert_int_equal(truncate(in_test_dir(&path, "", "short"), 8192), 0);
    cache_free(open_cache("short", 1));
    cache_free(open_cache("short", 0));
}

/* May die of the page it looks at, if the next process can go on */
static void look_in_child(void)
{
    _cleanup_(str_free) struct str v = STR_INIT, path = STR_INIT, err = STR_INIT;
    struct cache *c = NULL;

    if (cache_open(in_test_dir(&path, "", "page"), &c, &err) < 0)
        _exit(1);
    get(c, "q", &v);
    put(c, "zz", "more", 100);
    cache_flush(c);
    _exit(0);
}

static void test_a_damaged_page_costs_at_most_one_crash(void **state)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    static const char garbage[4096 * 4] = { [0 ... sizeof garbage - 1] = '\xee' };
    struct cache *c = open_cache("page", 0);
    int status, crashes = 0;

    (void)state;
    for (char key[] = "a"; *key <= 'z'; ++*key)
        cache_put(c, span_of(key), span_make(garbage, 200), clock_real() + 100);
    cache_free(c);
    int fd = open(in_test_dir(&path, "", "page"), O_WRONLY);
    struct stat st;
    fstat(fd, &st);
    for (off_t at = 2 * 4096; at < st.st_size; at += 4096)
        assert_int_equal(pwrite(fd, garbage, 4096, at), 4096);
    close(fd);
    for (int i = 0; i < 3; i++) {
        fflush(NULL);
        pid_t pid = fork();

        if (pid == 0)
            look_in_child();
        waitpid(pid, &status, 0);
        crashes += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    }
    assert_in_range(crashes, 0, 1);
}

static void test_two_processes_may_have_one_cache_open(void **state)
{
    _cleanup_(str_free) struct str v = STR_INIT;
    struct cache *c = open_cache("two", 0);

    (void)state;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        _cleanup_(str_free) struct str path = STR_INIT, err = STR_INIT;
        struct cache *other = NULL; /* what the parent has open is not for use over a fork */

        if (cache_open(in_test_dir(&path, "", "two"), &other, &err) != 0)
            _exit(1);
        put(other, "from the child", "hello", 100);
        _exit(cache_flush(other) == 0 ? 0 : 1);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    assert_string_equal(get(c, "from the child", &v), "hello");
    put(c, "from the parent", "hello", 100);
    assert_int_equal(cache_flush(c), 0);
    cache_free(c);
}

static void put_while_another_flushes(void *arg)
{
    _cleanup_(str_free) struct str v = STR_INIT;
    struct cache *c = arg;

    assert_string_equal(get(c, "first", &v), "1"); /* on its way to disk, or there */
    put(c, "second", "2", 100);
    cache_delete(c, span_of("first"));
    assert_string_equal(get(c, "first", &v), "-");
    assert_int_equal(cache_flush(c), 0);
    assert_string_equal(get(c, "second", &v), "2");
    assert_string_equal(get(c, "first", &v), "-");
}

static void flush(void *arg)
{
    assert_int_equal(cache_flush(arg), 0);
}

static void test_a_flush_holds_nobody_up(void **state)
{
    _cleanup_(str_free) struct str v = STR_INIT;
    struct cache *c = open_cache("fibers", 0);

    (void)state;
    put(c, "first", "1", 100);
    fiber_start(flush, c);
    fiber_start(put_while_another_flushes, c);
    assert_int_equal(loop_run(), 0);
    assert_int_equal(cache_pending(c), 0);
    assert_string_equal(get(c, "second", &v), "2");
    cache_free(c);
}

static void test_a_directory_that_is_missing_is_an_error_with_a_reason(void **state)
{
    _cleanup_(str_free) struct str path = STR_INIT, err = STR_INIT;
    struct cache *c = NULL;

    (void)state;
    assert_int_equal(cache_open(in_test_dir(&path, "", "none/such"), &c, &err), -ENOENT);
    assert_non_null(strstr(str_cstr(&err), "none/such: No such file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_put_is_seen_at_once_and_after_a_restart),
        cmocka_unit_test(test_what_was_deleted_is_gone_before_and_after_the_flush),
        cmocka_unit_test(test_an_expired_entry_is_not_found_and_a_sweep_removes_it_in_bounded_steps),
        cmocka_unit_test(test_keys_and_values_over_their_limits_are_not_remembered),
        cmocka_unit_test(test_a_file_that_is_no_whole_cache_is_set_aside),
        cmocka_unit_test(test_a_damaged_page_costs_at_most_one_crash),
        cmocka_unit_test(test_two_processes_may_have_one_cache_open),
        cmocka_unit_test(test_a_flush_holds_nobody_up),
        cmocka_unit_test(test_a_directory_that_is_missing_is_an_error_with_a_reason),
    };

    return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
