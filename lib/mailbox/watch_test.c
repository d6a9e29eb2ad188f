/* SPDX-License-Identifier: Apache-2.0 */
/* watch_test.c - a mailbox tells that something has happened, with inotify and without */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "mailbox/internal.h"
#include "mailbox/spool.h"

static bool is_readable(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    return poll(&p, 1, 0) == 1;
}

/* As a delivery does: written in tmp/, renamed into new/. */
static void deliver(const char *maildir)
{
    _cleanup_(str_free) struct str tmp = STR_INIT, new = STR_INIT;
    int fd = open(maildir_path(&tmp, maildir, "tmp", "1.x"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "a: b\n", 5), 5);
    close(fd);
    assert_int_equal(rename(tmp.data, maildir_path(&new, maildir, "new", "1.x")), 0);
}

static void check_watch(int (*watch)(struct mailbox *mb))
{
    char maildir[] = "/tmp/watch_test.XXXXXX";
    _cleanup_(str_free) struct str err = STR_INIT, command = STR_INIT;
    struct account *account = NULL;
    struct mailbox *mb = NULL;

    assert_non_null(mkdtemp(maildir));
    assert_int_equal(account_open(maildir, &account, &err), 0);
    assert_int_equal(mailbox_open(account, span_of("INBOX"), 0, &mb), 0);

    int fd = watch(mb);

    assert_true(fd >= 0);
    mb->watch_fd = fd;
    assert_int_equal(mailbox_watch(mb), fd);
    assert_false(is_readable(fd));
    for (int i = 0; i < 2; i++) {
        deliver(maildir);
        assert_true(is_readable(fd));
        mailbox_watch_clear(mb);
        assert_false(is_readable(fd));
    }
    mailbox_close(mb);
    deliver(maildir); /* nobody is told any more */
    account_close(account);
    str_addf(&command, "rm -rf %s", maildir);
    assert_int_equal(system(command.data), 0);
}

static void test_a_delivery_is_seen_by_inotify(void **state)
{
    (void)state;
    check_watch(mailbox_watch);
}

static void test_a_delivery_is_seen_without_inotify(void **state)
{
    (void)state;
    check_watch(mailbox_watch_signal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_delivery_is_seen_by_inotify),
        cmocka_unit_test(test_a_delivery_is_seen_without_inotify),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
