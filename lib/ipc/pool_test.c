/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_test.c - kept connections, and servers that go away meanwhile
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/clock.h"
#include "io/socket.h"
#include "ipc/ipc.h"

struct place {
    char dir[32];
    int listen_fd;
};

/* A service "echo" in public/ of a directory of its own. */
static int set_up(void **state)
{
    static struct place p;
    _cleanup_(str_free) struct str path = STR_INIT;

    snprintf(p.dir, sizeof p.dir, "%s", "pool_test.XXXXXX");
    assert_non_null(mkdtemp(p.dir));
    str_addf(&path, "%s/public", p.dir);
    assert_int_equal(mkdir(str_cstr(&path), 0700), 0);
    str_add_str(&path, "/echo");
    p.listen_fd = socket_listen_unix(str_cstr(&path), 0600, 8);
    assert_true(p.listen_fd >= 0);
    unsetenv("POSTERN_SERVICES");
    ipc_set_directory(p.dir);
    *state = &p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    _cleanup_(str_free) struct str path = STR_INIT;

    close(p->listen_fd);
    str_addf(&path, "%s/public/echo", p->dir);
    unlink(str_cstr(&path));
    str_truncate(&path, strlen(p->dir) + strlen("/public"));
    rmdir(str_cstr(&path));
    rmdir(p->dir);
    return 0;
}

static struct ipc *get(struct ipc_pool *pool)
{
    struct ipc *c = NULL;

    assert_int_equal(ipc_pool_get(pool, clock_deadline_ms(2000), &c), 0);
    return c;
}

static int accept_one(const struct place *p)
{
    int fd = accept(p->listen_fd, NULL, NULL);

    return fd;
}

static void test_a_connection_given_back_is_given_out_again(void **state)
{
    struct ipc_pool *pool = ipc_pool_new("echo", 60000, 4);
    struct ipc *c = get(pool);
    _cleanup_close_ int server = accept_one(*state);

    assert_true(server >= 0);
    assert_false(ipc_was_kept(c));
    ipc_pool_put(pool, c);
    assert_ptr_equal(get(pool), c);
    assert_true(ipc_was_kept(c));
    assert_int_equal(accept_one(*state), -1);
    ipc_pool_put(pool, c);
    ipc_pool_free(pool);
}

static void test_a_connection_that_the_server_closed_is_not_given_out(void **state)
{
    struct ipc_pool *pool = ipc_pool_new("echo", 60000, 4);

    ipc_pool_put(pool, get(pool));
    close(accept_one(*state));
    struct ipc *c = get(pool);
    _cleanup_close_ int server = accept_one(*state);
    assert_true(server >= 0);
    assert_false(ipc_was_kept(c));
    ipc_free(c);
    ipc_pool_free(pool);
}

static void test_a_connection_with_unexpected_bytes_is_not_given_out(void **state)
{
    struct ipc_pool *pool = ipc_pool_new("echo", 60000, 4);
    struct span some;
    struct ipc *c = get(pool);
    _cleanup_close_ int server = accept_one(*state);

    assert_int_equal(write(server, "late", 4), 4);
    assert_int_equal(stream_peek(ipc_stream(c), &some), 0);
    ipc_pool_put(pool, c);
    c = get(pool);
    _cleanup_close_ int second = accept_one(*state);
    assert_true(second >= 0);
    ipc_free(c);
    ipc_pool_free(pool);
}

static void test_no_more_than_the_limit_are_kept(void **state)
{
    struct ipc_pool *pool = ipc_pool_new("echo", 60000, 1);
    struct ipc *a = get(pool), *b = get(pool);
    _cleanup_close_ int first = accept_one(*state), second = accept_one(*state);
    char byte;

    ipc_pool_put(pool, a);
    ipc_pool_put(pool, b);
    assert_int_equal(read(first, &byte, 1), 0);
    assert_int_equal(recv(second, &byte, 1, MSG_DONTWAIT), -1);
    ipc_pool_free(pool);
    assert_int_equal(read(second, &byte, 1), 0);
}

static void test_a_connection_unused_for_long_is_closed(void **state)
{
    struct ipc_pool *pool = ipc_pool_new("echo", 1, 4);
    struct ipc *a = get(pool);
    _cleanup_close_ int first = accept_one(*state);
    char byte;

    ipc_pool_put(pool, a);
    fiber_sleep_until(clock_deadline_ms(20));
    ipc_free(get(pool));
    _cleanup_close_ int second = accept_one(*state);
    assert_int_equal(read(first, &byte, 1), 0);
    assert_true(second >= 0);
    ipc_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_connection_given_back_is_given_out_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_connection_that_the_server_closed_is_not_given_out, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_connection_with_unexpected_bytes_is_not_given_out, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_no_more_than_the_limit_are_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_connection_unused_for_long_is_closed, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
