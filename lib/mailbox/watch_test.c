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

/* Another session adds a keyword for which file names have no letter: no file is renamed. */
static void check_keyword(struct account *account, struct mailbox *watched)
{
    _cleanup_(mailbox_close_ptr_) struct mailbox *other = NULL;
    const uint32_t seq = 1;
    char name[20];
    int bit = 0;

    assert_int_equal(mailbox_open(account, span_of("INBOX"), 0, &other), 0);
    for (int i = 0; bit < KEYWORDS_LETTERS; i++) {
        snprintf(name, sizeof name, "word%d", i);
        bit = mailbox_keyword_make(other, span_of(name));
        assert_true(bit >= 0);
    }
    mailbox_watch_clear(watched);
    assert_false(is_readable(watched->watch_fd));
    assert_int_equal(mailbox_store(other, &seq, 1, FLAGS_ADD, 0, (uint64_t)1 << bit, UINT64_MAX, NULL, NULL), 0);
    assert_true(is_readable(watched->watch_fd));
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
    check_keyword(account, mb);
    mailbox_watch_clear(mb);
    assert_false(is_readable(fd));
    mailbox_close(mb);
    deliver(maildir); /* nobody is told any more */
    account_close(account);
    str_addf(&command, "rm -rf %s", maildir);
    assert_int_equal(system(command.data), 0);
}

static void test_a_delivery_and_a_keyword_without_a_letter_are_seen_by_inotify(void **state)
{
    (void)state;
    check_watch(mailbox_watch);
}

static void test_a_delivery_and_a_keyword_without_a_letter_are_seen_without_inotify(void **state)
{
    (void)state;
    check_watch(mailbox_watch_signal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_delivery_and_a_keyword_without_a_letter_are_seen_by_inotify),
        cmocka_unit_test(test_a_delivery_and_a_keyword_without_a_letter_are_seen_without_inotify),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
