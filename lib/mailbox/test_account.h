/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_account.h - an account in a temporary directory, for tests
 */
#ifndef MAILBOX_TEST_ACCOUNT_H
#define MAILBOX_TEST_ACCOUNT_H

#include "mailbox/account.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "mailbox/index.h"

#define UNUSED __attribute__((unused)) /* not every test needs all of them */
#define INBOX ((struct span)SPAN("INBOX"))

static char root[64], maildir[80];

static int setup_below(const char *directory)
{
    snprintf(root, sizeof root, "%s/account_test.XXXXXX", directory);
    if (!mkdtemp(root))
        return -1;
    snprintf(maildir, sizeof maildir, "%s/M", root);
    return 0;
}

UNUSED static int setup(void **state)
{
    (void)state;
    return setup_below("/tmp");
}

/* Where files are kept in memory, for tests that would wait for the disk very often */
UNUSED static int setup_in_memory(void **state)
{
    (void)state;
    return setup_below(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
}

UNUSED static int teardown(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

UNUSED static struct account *open_account(void)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    struct account *a = NULL;
    int r = account_open(maildir, &a, &err);

    if (r < 0)
        print_message("%s\n", str_cstr(&err));
    assert_int_equal(r, 0);
    return a;
}

UNUSED static struct mailbox *open_mailbox(struct account *a, const char *name, unsigned flags)
{
    struct mailbox *mb = NULL;

    assert_int_equal(mailbox_open(a, span_of(name), flags, &mb), 0);
    return mb;
}

UNUSED static void deliver_to(const char *folder, const char *text)
{
    char path[256];
    int fd = memfd_create("content", MFD_CLOEXEC);
    struct maildir_save m = { .content_fd = fd, .size = strlen(text) };
    _cleanup_(str_free) struct str name = STR_INIT;

    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    snprintf(path, sizeof path, "%s%s", maildir, folder);
    assert_int_equal(maildir_deliver(path, &m, &name), 0);
    close(fd);
}

UNUSED static void deliver(const char *text)
{
    deliver_to("", text);
}

UNUSED static uint32_t append(struct account *a, const char *mailbox, const char *text, unsigned flags)
{
    int fd = memfd_create("content", MFD_CLOEXEC);
    struct maildir_save m = { .content_fd = fd, .size = strlen(text), .flags = flags, .received = 1234567890 };
    uint32_t uidvalidity, uid;
    static const char *const keywords[] = { "$Label1", NULL };

    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(account_append(a, span_of(mailbox), &m, keywords, &uidvalidity, &uid), 0);
    close(fd);
    return uid;
}

/* Wait until a change of a directory has a different time than the last */
UNUSED static void tick(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = 30 * 1000 * 1000 }, NULL);
}

/* The n-th file of cur/ in order of names */
UNUSED static void cur_file(const char *folder, int n, char *ret, size_t size)
{
    char path[256];
    struct dirent **list;

    snprintf(path, sizeof path, "%s%s/cur", maildir, folder);
    int len = scandir(path, &list, NULL, alphasort);
    assert_true(len > n + 2);
    snprintf(ret, size, "%s/%s", path, list[n + 2]->d_name);
    for (int i = 0; i < len; i++)
        free(list[i]);
    free(list);
}

struct seen {
    char text[512];
};

UNUSED static void on_expunge(uint32_t seq, uint32_t uid, void *arg)
{
    struct seen *s = arg;
    size_t n = strlen(s->text);

    snprintf(s->text + n, sizeof s->text - n, "expunge %u uid %u;", seq, uid);
}

UNUSED static void on_flags(uint32_t seq, void *arg)
{
    struct seen *s = arg;
    size_t n = strlen(s->text);

    snprintf(s->text + n, sizeof s->text - n, "flags %u;", seq);
}

UNUSED static void on_exists(uint32_t count, uint32_t recent, void *arg)
{
    struct seen *s = arg;
    size_t n = strlen(s->text);

    snprintf(s->text + n, sizeof s->text - n, "exists %u recent %u;", count, recent);
}

UNUSED static void assert_sync(struct mailbox *mb, bool allow_expunge, const char *want)
{
    struct seen s = { "" };
    struct mailbox_changes report = { on_expunge, on_flags, on_exists, &s };

    assert_int_equal(mailbox_sync(mb, allow_expunge, &report), 0);
    assert_string_equal(s.text, want);
}

UNUSED static void assert_content(struct mailbox *mb, uint32_t seq, const char *want)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    _cleanup_close_ int fd = mailbox_open_message(mb, seq);

    assert_true(fd >= 0);
    assert_int_equal(maildir_read_crlf(fd, 100000, &text), 0);
    assert_string_equal(text.data, want);
}

#endif
