/* SPDX-License-Identifier: Apache-2.0 */
/* index_test.c - what becomes of an account whose index is lost or damaged */
#include "mailbox/test_account.h"

/* ---- damage ---- */

static void damage(const char *how)
{
    char command[400];

    snprintf(command, sizeof command, "cd %s/" INDEX_DIRECTORY " && %s", maildir, how);
    assert_int_equal(system(command), 0);
}

static void test_a_lost_or_damaged_index_is_rebuilt_under_a_new_uidvalidity(void **state)
{
    static const char *const ways[] = {
        "rm data.mdb lock.mdb",
        "truncate -s 5000 data.mdb",
        "truncate -s 8192 data.mdb",
        "head -c 8192 /dev/zero | dd of=data.mdb conv=notrunc 2>/dev/null",
        "head -c 20000 /dev/urandom > data.mdb",
        ": > data.mdb",
        "rm -r ../" INDEX_DIRECTORY,
    };
    uint32_t before = 0;

    (void)state;
    deliver("a: 1\r\n");
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct account *a = open_account();
        struct mailbox *mb = open_mailbox(a, "INBOX", 0);

        print_message("after case %zu\n", i);
        assert_true(mailbox_uidvalidity(mb) > before);
        before = mailbox_uidvalidity(mb);
        assert_int_equal(mailbox_count(mb), 1);
        assert_content(mb, 1, "a: 1\r\n");
        mailbox_close(mb);
        account_close(a);
        damage(ways[i]);
        nanosleep(&(struct timespec){ .tv_sec = 1, .tv_nsec = 10 * 1000 * 1000 }, NULL);
    }
}

/* 0: INBOX could be opened, has all its messages, and one could be changed */
static int try_session(uint32_t messages)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    struct account *a;
    struct mailbox *mb;
    uint32_t seq = 1;

    if (account_open(maildir, &a, &err) < 0 || mailbox_open(a, INBOX, 0, &mb) < 0)
        return 1;
    if (mailbox_store(mb, &seq, 1, FLAGS_SET, (unsigned)getpid() % 64, 0, UINT64_MAX, NULL, NULL) < 0)
        return 2;
    return mailbox_count(mb) == messages ? 0 : 3;
}

static bool session_in_child(uint32_t messages)
{
    int status;

    if (fork() == 0) {
        close(STDERR_FILENO);
        _exit(try_session(messages));
    }
    wait(&status);
    return status == 0;
}

/* LMDB does not expect damage within its pages and may crash: one session, not all that follow. */
static void test_a_damaged_page_harms_few_sessions(void **state)
{
    enum { FILES = 200 };
    char command[200], page[4096];
    struct stat st;

    (void)state;
    for (int i = 0; i < FILES; i++)
        deliver("a: 1\r\n");
    for (unsigned round = 0; round < 24; round++) {
        snprintf(command, sizeof command, "rm -rf %s/" INDEX_DIRECTORY "*", maildir);
        assert_int_equal(system(command), 0);
        assert_true(session_in_child(FILES));
        snprintf(command, sizeof command, "%s/" INDEX_DIRECTORY "/data.mdb", maildir);
        int fd = open(command, O_RDWR);
        assert_int_equal(fstat(fd, &st), 0);
        memset(page, round % 2 ? 0x5a : 0, sizeof page);
        off_t at = 2 + (off_t)(round * 7 % ((unsigned long)st.st_size / 4096 - 2));
        assert_int_equal(pwrite(fd, page, sizeof page, at * 4096), sizeof page);
        close(fd);
        bool recovered = false;
        for (int i = 0; i < 4 && !recovered; i++)
            recovered = session_in_child(FILES);
        if (!recovered)
            print_message("round %u, page %ld\n", round, (long)at);
        assert_true(recovered);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_lost_or_damaged_index_is_rebuilt_under_a_new_uidvalidity),
        TEST(test_a_damaged_page_harms_few_sessions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
