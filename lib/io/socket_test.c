/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socket_test.c - addresses, and connections to sockets of the test's own
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/own.h"
#include "io/loop.h"
#include "io/socket.h"

static char dir[] = "/tmp/socket_test.XXXXXX";
static char path[64];

static int make_dir(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/s", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    return rmdir(dir);
}

static void test_addresses_are_read_and_shown(void **state)
{
    static const struct {
        const char *text, *shown; /* NULL: refused */
        int family;
    } cases[] = {
        {"192.0.2.1",                                         "192.0.2.1",   AF_INET },
        {"2001:DB8::1",                                       "2001:db8::1", AF_INET6},
        {"::",                                                "::",          AF_INET6},
        {"::ffff:192.0.2.1",                                  "192.0.2.1",   AF_INET6},
        {"",                                                  NULL,          0       },
        {"192.0.2",                                           NULL,          0       },
        {"192.0.2.256",                                       NULL,          0       },
        {"[::1]",                                             NULL,          0       },
        {"1::2::3",                                           NULL,          0       },
        {"fe80::1%lo",                                        NULL,          0       },
        {"192.0.2.1 ",                                        NULL,          0       },
        {"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000", NULL,          0       },
    };
    char buf[INET6_ADDRSTRLEN];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        union sockaddr_any a;
        int r = socket_addr_parse(span_of(cases[i].text), 25, &a);

        if (r != (cases[i].shown ? 0 : -EINVAL))
            fail_msg("row %zu: %d", i, r);
        if (r == 0 && (a.sa.sa_family != cases[i].family || socket_addr_port(&a) != 25 ||
                       strcmp(socket_addr_print(&a, buf), cases[i].shown) != 0))
            fail_msg("row %zu: %s", i, buf);
    }
    union sockaddr_any a;
    assert_int_equal(socket_addr_parse((struct span)SPAN("192.0.2.1\0x"), 25, &a), -EINVAL);
    assert_int_equal(socket_addr_parse(span_of("192.0.2.1"), 65536, &a), -EINVAL);
    socket_addr_parse(span_of("::ffff:192.0.2.1"), 25, &a);
    socket_addr_unmap(&a);
    assert_int_equal(a.sa.sa_family, AF_INET);
    assert_int_equal(socket_addr_port(&a), 25);
    assert_int_equal(socket_addr_len(&a), sizeof a.in);
}

/* connects - to a listening and a closed port of the loopback */
static void connects(void *arg)
{
    union sockaddr_any a, from, peer;
    socklen_t len = sizeof a;
    _cleanup_close_ int listener = -1;

    (void)arg;
    assert_int_equal(socket_addr_parse(span_of("127.0.0.1"), 0, &a), 0);
    assert_int_equal(socket_addr_parse(span_of("127.0.0.9"), 0, &from), 0);
    listener = socket_listen_inet(&a, 10);
    assert_true(listener >= 0);
    assert_int_equal(getsockname(listener, &a.sa, &len), 0);
    _cleanup_close_ int fd = socket_connect(&a, &from, clock_ms() + 20000);
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    len = sizeof peer;
    _cleanup_close_ int accepted = accept4(listener, &peer.sa, &len, SOCK_CLOEXEC);
    assert_true(accepted >= 0);
    assert_int_equal(peer.in.sin_addr.s_addr, from.in.sin_addr.s_addr);
    close(TAKE_FD(listener));
    assert_int_equal(socket_connect(&a, NULL, clock_ms() + 20000), -ECONNREFUSED);
}

static void test_tcp_connects_or_is_refused(void **state)
{
    (void)state;
    connects(NULL);
    fiber_start(connects, NULL);
    assert_int_equal(loop_run(), 0);
}

static void test_a_stale_socket_is_replaced_and_nothing_else(void **state)
{
    struct stat sb;

    (void)state;
    mode_t before = umask(077);
    int fd = socket_listen_unix(path, 0666, 10);
    umask(before);
    assert_true(fd >= 0);
    assert_int_equal(stat(path, &sb), 0);
    assert_int_equal(sb.st_mode & 07777, 0666);
    assert_int_equal(socket_listen_unix(path, 0666, 10), -EADDRINUSE); /* somebody listens */
    close(fd);
    fd = socket_listen_unix(path, 0600, 10);
    assert_true(fd >= 0);
    assert_int_equal(stat(path, &sb), 0);
    assert_int_equal(sb.st_mode & 07777, 0600);
    close(fd);
    unlink(path);
    close(creat(path, 0600));
    assert_int_equal(socket_listen_unix(path, 0600, 10), -EADDRINUSE);
    unlink(path);
}

static void test_a_unix_socket_is_reached_by_name_and_by_descriptor(void **state)
{
    pid_t pid;
    uid_t uid;
    gid_t gid;

    (void)state;
    assert_int_equal(socket_connect_unix(path, CLOCK_NEVER), -ENOENT);
    _cleanup_close_ int listener = socket_listen_unix(path, 0600, 10);
    assert_true(listener >= 0);
    _cleanup_close_ int by_name = socket_connect_unix(path, CLOCK_NEVER);
    assert_true(by_name >= 0);
    _cleanup_close_ int path_fd = open(path, O_PATH | O_CLOEXEC);
    unlink(path); /* the name is gone, the descriptor is enough */
    _cleanup_close_ int by_fd = socket_connect_path_fd(path_fd, CLOCK_NEVER);
    assert_true(by_fd >= 0);
    assert_int_equal(socket_peer_cred(by_fd, &pid, &uid, &gid), 0);
    assert_int_equal(pid, getpid());
    assert_int_equal(uid, geteuid());
    assert_int_equal(gid, getegid());
    char longer[200];
    memset(longer, 'x', sizeof longer);
    longer[199] = '\0';
    assert_int_equal(socket_connect_unix(longer, CLOCK_NEVER), -ENAMETOOLONG);
}

static void test_a_full_backlog_is_waited_for_until_the_deadline(void **state)
{
    int fds[8], n = 0;
    uint64_t begun;

    (void)state;
    _cleanup_close_ int listener = socket_listen_unix(path, 0600, 1);
    assert_true(listener >= 0);
    do {
        begun = clock_ms();
        fds[n] = socket_connect_unix(path, clock_ms() + 50);
    } while (fds[n] >= 0 && ++n < 8);
    assert_true(n < 8);
    assert_int_equal(fds[n], -ETIMEDOUT);
    assert_true(clock_ms() - begun >= 50);
    while (n > 0)
        close(fds[--n]);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_are_read_and_shown),
        cmocka_unit_test(test_tcp_connects_or_is_refused),
        cmocka_unit_test(test_a_stale_socket_is_replaced_and_nothing_else),
        cmocka_unit_test(test_a_unix_socket_is_reached_by_name_and_by_descriptor),
        cmocka_unit_test(test_a_full_backlog_is_waited_for_until_the_deadline),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
