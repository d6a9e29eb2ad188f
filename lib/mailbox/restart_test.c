/* SPDX-License-Identifier: Apache-2.0 */
/* restart_test.c - what the index has of an APPEND is lost in a power cut, its file is not: what each first command afterwards makes of it */
#include "mailbox/test_account.h"

#include <sys/syscall.h>

#include "base/mem.h"
#include "mailbox/internal.h"
#include "mailbox/spool.h"

static bool restarted;

int clock_as_gettime(clockid_t id, struct timespec *ret) __asm__("clock_gettime") __attribute__((used));

/* The machine has been started after all that was done before, though within the same second. */
int clock_as_gettime(clockid_t id, struct timespec *ret)
{
    *ret = (struct timespec){ .tv_sec = -5 };
    return restarted && id == CLOCK_BOOTTIME ? 0 : (int)syscall(SYS_clock_gettime, id, ret);
}

static void run(const char *command)
{
    char line[300];

    snprintf(line, sizeof line, "cd %s && %s", maildir, command);
    assert_int_equal(system(line), 0);
}

/* Two messages were told to a client as UIDs 1 and 2; the index on the disk knows the first. */
static uint64_t lose_a_commit(void)
{
    struct account *a = open_account();

    assert_int_equal(append(a, "INBOX", "a: 1\r\n", 0), 1);
    run("cp " INDEX_DIRECTORY "/data.mdb kept");
    assert_int_equal(append(a, "INBOX", "a: 2\r\n", MAIL_FLAGGED), 2);
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);
    uint64_t told = mailbox_highestmodseq(mb);
    mailbox_close(mb);
    account_close(a);
    run("rm " INDEX_DIRECTORY "/lock.mdb " INDEX_DIRECTORY "/arrivals && mv kept " INDEX_DIRECTORY "/data.mdb");
    restarted = true;
    return told;
}

static struct mailbox *look(struct account *a)
{
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);

    restarted = false;
    return mb;
}

static void assert_message(struct mailbox *mb, uint32_t uid, const char *content, uint64_t after_modseq)
{
    uint32_t seq = mailbox_seq(mb, uid);

    assert_true(seq > 0);
    assert_content(mb, seq, content);
    assert_true(mailbox_entry(mb, seq)->modseq > after_modseq);
}

static void test_a_mailbox_opened_first_has_the_message_under_the_uid_that_was_told(void **state)
{
    (void)state;
    uint64_t told = lose_a_commit();
    deliver("a: 3\r\n");
    struct account *a = open_account();
    struct mailbox *mb = look(a);
    assert_int_equal(mailbox_count(mb), 3);
    assert_message(mb, 1, "a: 1\r\n", 0);
    assert_message(mb, 2, "a: 2\r\n", told);
    assert_message(mb, 2 + INDEX_UNFLUSHED_MAX, "a: 3\r\n", told);
    assert_int_equal(mailbox_entry(mb, 2)->flags, MAIL_FLAGGED);
    assert_int_equal(mailbox_uidnext(mb), 3 + INDEX_UNFLUSHED_MAX);
    mailbox_close(mb);
    account_close(a);
}

static void test_a_message_appended_or_copied_first_does_not_get_the_uid_that_was_told(void **state)
{
    uint32_t seq = 1, validity, uid = 0;

    for (int copy = 0; copy < 2; copy++) {
        uint64_t told = lose_a_commit();
        struct account *a = open_account();
        assert_int_equal(account_create(a, span_of("Box")), 0);
        append(a, "Box", "a: 4\r\n", 0);
        restarted = true;
        struct mailbox *box = open_mailbox(a, "Box", 0);
        restarted = true;
        if (copy)
            assert_int_equal(mailbox_copy(box, &seq, 1, INBOX, false, &validity, &uid), 0);
        else
            uid = append(a, "INBOX", "a: 4\r\n", 0);
        assert_true(uid > 2);
        struct mailbox *mb = look(a);
        assert_message(mb, 2, "a: 2\r\n", told);
        assert_message(mb, uid, "a: 4\r\n", told);
        mailbox_close(mb);
        mailbox_close(box);
        account_close(a);
        teardown(state);
        setup_in_memory(state);
    }
}

static void test_status_counts_the_message(void **state)
{
    struct mailbox_status status;

    (void)state;
    uint64_t told = lose_a_commit();
    struct account *a = open_account();
    assert_int_equal(account_status(a, INBOX, &status), 0);
    assert_int_equal(status.messages, 2);
    assert_int_equal(status.uidnext, 2 + INDEX_UNFLUSHED_MAX);
    assert_true(status.highestmodseq > told);
    restarted = false;
    account_close(a);
}

static void test_a_uid_that_was_told_and_whose_file_is_gone_has_vanished_and_is_not_given_again(void **state)
{
    _cleanup_free_ struct uid_range *gone = NULL;
    size_t n;

    (void)state;
    uint64_t told = lose_a_commit();
    run("rm cur/*:2,Fa");
    deliver("a: 3\r\n");
    struct account *a = open_account();
    struct mailbox *mb = look(a);
    assert_int_equal(mailbox_count(mb), 2);
    assert_message(mb, 2 + INDEX_UNFLUSHED_MAX, "a: 3\r\n", told);
    assert_int_equal(mailbox_vanished(mb, told, &gone, &n), 0);
    assert_int_equal(n, 1);
    assert_int_equal(gone[0].first, 2);
    assert_int_equal(gone[0].last, 1 + INDEX_UNFLUSHED_MAX);
    mailbox_close(mb);
    account_close(a);
}

static void leave_out_arrivals(struct account *a)
{
    account_close(a);
    run("rm " INDEX_DIRECTORY "/arrivals");
}

/* As many as no flushed commit knows, each under the UID that was told; one is gone, so that the order of arrival tells no UID */
static void test_a_whole_series_of_messages_keeps_its_uids(void **state)
{
    enum { FIRST = INDEX_ARRIVALS_MAX + 2, ALL = FIRST + INDEX_ARRIVALS_MAX };
    char text[20], gone[600];

    (void)state;
    struct account *a = open_account();
    assert_int_equal(append(a, "INBOX", "a: 1\r\n", 0), 1);
    run("cp " INDEX_DIRECTORY "/data.mdb kept");
    for (uint32_t uid = 2; uid <= ALL; uid++) {
        snprintf(text, sizeof text, "a: %u\r\n", uid);
        assert_int_equal(append(a, "INBOX", text, 0), uid);
    }
    cur_file("", ALL - 2, gone, sizeof gone);
    assert_int_equal(unlink(gone), 0);
    leave_out_arrivals(a);
    run("rm " INDEX_DIRECTORY "/lock.mdb && mv kept " INDEX_DIRECTORY "/data.mdb");
    restarted = true;
    a = open_account();
    struct mailbox *mb = look(a);
    assert_int_equal(mailbox_count(mb), ALL - 1);
    for (uint32_t uid = 1; uid <= ALL; uid++) {
        snprintf(text, sizeof text, "a: %u\r\n", uid);
        if (uid != ALL - 1)
            assert_message(mb, uid, text, 0);
    }
    mailbox_close(mb);
    account_close(a);
}

/* Nothing was lost: some UIDs are left out, and messages stay what they are. */
static void test_a_start_of_the_machine_changes_no_message(void **state)
{
    (void)state;
    struct account *a = open_account();
    append(a, "INBOX", "a: 1\r\n", 0);
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);
    uint64_t told = mailbox_highestmodseq(mb);
    mailbox_close(mb);
    account_close(a);
    restarted = true;
    a = open_account();
    mb = look(a);
    assert_int_equal(mailbox_count(mb), 1);
    assert_message(mb, 1, "a: 1\r\n", 0);
    assert_int_equal(mailbox_entry(mb, 1)->modseq, told);
    assert_int_equal(append(a, "INBOX", "a: 2\r\n", 0), 2 + INDEX_UNFLUSHED_MAX);
    mailbox_close(mb);
    account_close(a);
}

/* A keyword for which names have no letter is in the index alone: that commit is flushed. LMDB writes its meta page, which makes
 * a commit valid, through a descriptor of its own then. */
static int meta_flags; /* 0: no commit */

ssize_t pwrite_as_seen(int fd, const void *buf, size_t n, off_t at) __asm__("pwrite") __attribute__((used));

ssize_t pwrite_as_seen(int fd, const void *buf, size_t n, off_t at)
{
    if (at == 32 || at == 4096 + 32) /* struct MDB_meta lies behind the head of a page */
        meta_flags = fcntl(fd, F_GETFL);
    return syscall(SYS_pwrite64, fd, buf, n, at);
}

static uint32_t append_with(struct account *a, const char *keyword)
{
    const char *const keywords[] = { keyword, NULL };
    int fd = memfd_create("content", MFD_CLOEXEC);
    struct maildir_save m = { .content_fd = fd, .size = 6, .received = 1234567890 };
    uint32_t validity, uid;

    assert_int_equal(write(fd, "a: 1\r\n", 6), 6);
    meta_flags = 0;
    assert_int_equal(account_append(a, INBOX, &m, keywords, &validity, &uid), 0);
    close(fd);
    return uid;
}

static void test_a_commit_is_flushed_if_the_file_does_not_tell_all(void **state)
{
    char name[20];

    (void)state;
    struct account *a = open_account();
    for (int i = 0; i < KEYWORDS_LETTERS + 1; i++) {
        snprintf(name, sizeof name, "$k%d", i);
        append_with(a, name);
        assert_true(meta_flags & O_DSYNC); /* a new keyword */
    }
    append_with(a, "$k0");
    assert_int_equal(meta_flags, 0);
    append_with(a, name);
    assert_true(meta_flags & O_DSYNC);
    account_close(a);
}

static void test_a_date_tells_whether_it_kept_the_uid(void **state)
{
    struct spool s = SPOOL_INIT;
    char path[200];
    struct stat st;

    (void)state;
    assert_int_equal(maildir_create(maildir), 0);
    snprintf(path, sizeof path, "%s/tmp/x", maildir);
    s.fd = open(path, O_CREAT | O_RDWR, 0600);
    assert_true(s.fd >= 0);
    assert_int_equal(spool_date(&s, 1234567890, 77), 1);
    assert_int_equal(fstat(s.fd, &st), 0);
    assert_int_equal(st.st_mtim.tv_sec, 1234567890);
    assert_int_equal(spool_dated_uid(&st.st_mtim), 77);
    assert_int_equal(spool_date(&s, 1234567890, 999999999), 1);
    assert_int_equal(spool_date(&s, 1234567890, 1000000000), 0); /* more than nanoseconds can say */
    spool_done(&s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_in_memory, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_mailbox_opened_first_has_the_message_under_the_uid_that_was_told),
        TEST(test_a_message_appended_or_copied_first_does_not_get_the_uid_that_was_told),
        TEST(test_status_counts_the_message),
        TEST(test_a_uid_that_was_told_and_whose_file_is_gone_has_vanished_and_is_not_given_again),
        TEST(test_a_whole_series_of_messages_keeps_its_uids),
        TEST(test_a_start_of_the_machine_changes_no_message),
        TEST(test_a_commit_is_flushed_if_the_file_does_not_tell_all),
        TEST(test_a_date_tells_whether_it_kept_the_uid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
