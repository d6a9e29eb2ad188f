/* SPDX-License-Identifier: Apache-2.0 */
/* index_validity_test.c - an account never gives a UIDVALIDITY twice, whatever becomes of its index and of the clock */
#include "mailbox/test_account.h"

#include "base/clock.h"

static void lose_index(void)
{
    char command[200];

    snprintf(command, sizeof command, "rm -r %s/" INDEX_DIRECTORY, maildir);
    assert_int_equal(system(command), 0);
}

static uint32_t validity_in(struct account *a, const char *name)
{
    struct mailbox *mb = open_mailbox(a, name, 0);
    uint32_t n = mailbox_uidvalidity(mb);

    mailbox_close(mb);
    return n;
}

static uint32_t validity_of(const char *name)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account();

    return validity_in(a, name);
}

static void write_to(const char *name, const char *text, size_t len)
{
    char path[200];

    snprintf(path, sizeof path, "%s/%s", maildir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, text, len), len);
    close(fd);
}

static void test_an_index_lost_within_the_second_in_which_it_was_made_gives_a_greater_one(void **state)
{
    uint32_t last = 0;

    (void)state;
    for (int i = 0; i < 5; i++) {
        uint32_t now = validity_of("INBOX");

        assert_true(now > last);
        last = now;
        lose_index();
    }
}

static void test_mailboxes_that_were_deleted_before_the_loss_count(void **state)
{
    uint32_t last;

    (void)state;
    {
        _cleanup_(account_close_ptr_) struct account *a = open_account();

        validity_in(a, "INBOX");
        for (int i = 0; i < 5; i++) {
            assert_int_equal(account_create(a, span_of("Box")), 0);
            last = validity_in(a, "Box");
            assert_int_equal(account_delete(a, span_of("Box")), 0);
        }
    }
    lose_index();
    assert_true(validity_of("INBOX") > last);
    assert_true((int64_t)last >= clock_real() - 100);
}

/* What the clock was when the last one was given, the file knows; 0: whatever it holds is no number of ours. */
static void test_the_file_is_believed_before_the_clock_and_only_where_it_can_be_true(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        uint32_t last;
    } rows[] = {
        { "3999999000\n", 11, 3999999000 }, /* the clock was set back by decades */
        { "3999999999", 10, 3999999999 },
        { "4000000001\n", 11, 0 },
        { "4294967295\n", 11, 0 },
        { "99999999999\n", 12, 0 },
        { "399999900000000000000000000\n", 28, 0 },
        { "0000000007\n", 11, 0 },
        { "", 0, 0 },
        { "\n", 1, 0 },
        { "-399999000\n", 11, 0 },
        { "0x39999900\n", 11, 0 },
        { "3999999\0" "00\n", 11, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t before = (uint32_t)clock_real();

        assert_int_equal(maildir_create(maildir), 0);
        write_to(INDEX_VALIDITY_FILE, rows[i].text, rows[i].len);
        uint32_t n = validity_of("INBOX");
        print_message("case %zu: %u\n", i, n);
        if (rows[i].last)
            assert_int_equal(n, rows[i].last + 1);
        else
            assert_true(n >= before && (int64_t)n <= clock_real());
        lose_index();
        assert_true(validity_of("INBOX") > n);
        lose_index();
    }
}

static void test_one_that_was_taken_over_counts(void **state)
{
    char list[64];
    uint32_t taken = (uint32_t)clock_real() + 500000;

    (void)state;
    assert_int_equal(maildir_create(maildir), 0);
    snprintf(list, sizeof list, "3 V%u N40\n", taken);
    write_to("dovecot-uidlist", list, strlen(list));
    assert_int_equal(validity_of("INBOX"), taken);
    lose_index();
    assert_int_equal(validity_of("INBOX"), taken + 1);
}

/* One that no clock shows is kept, and those after it are of the clock. */
static void test_the_greatest_number_of_all_can_be_taken_over(void **state)
{
    static const char list[] = "3 V4294967295 N40\n";

    (void)state;
    assert_int_equal(maildir_create(maildir), 0);
    write_to("dovecot-uidlist", list, strlen(list));
    _cleanup_(account_close_ptr_) struct account *a = open_account();

    assert_true(validity_in(a, "INBOX") == 4294967295);
    assert_int_equal(account_create(a, span_of("Box")), 0);
    uint32_t n = validity_in(a, "Box");
    assert_true((int64_t)n <= clock_real() && (int64_t)n >= clock_real() - 100);
}

/* A session that still has the index that was put aside, and one with the new */
static void test_a_session_with_the_old_index_gives_none_and_one_with_the_new_greater_ones(void **state)
{
    _cleanup_(account_close_ptr_) struct account *old = open_account();
    uint32_t last = validity_in(old, "INBOX");
    struct mailbox *mb;
    char name[16];

    (void)state;
    lose_index();
    _cleanup_(account_close_ptr_) struct account *new = open_account();
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "Box%d", i);
        if (i % 2) {
            account_create(old, span_of(name));
            assert_int_equal(mailbox_open(old, span_of(name), 0, &mb), -EBADMSG);
        }
        assert_true(account_create(new, span_of(name)) == (i % 2 ? -EEXIST : 0));
        uint32_t n = validity_in(new, name);
        assert_true(n > last);
        last = n;
    }
}

static void test_where_the_file_cannot_be_written_no_mailbox_gets_a_number(void **state)
{
    char path[200];
    struct mailbox *mb;

    (void)state;
    snprintf(path, sizeof path, "%s/" INDEX_VALIDITY_FILE, maildir);
    assert_int_equal(maildir_create(maildir), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    _cleanup_(account_close_ptr_) struct account *a = open_account();
    assert_int_equal(mailbox_open(a, INBOX, 0, &mb), -EISDIR);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(mailbox_open(a, INBOX, 0, &mb), -ELOOP);
    assert_int_equal(unlink(path), 0);
    assert_true(validity_in(a, "INBOX") > 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_in_memory, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_index_lost_within_the_second_in_which_it_was_made_gives_a_greater_one),
        TEST(test_mailboxes_that_were_deleted_before_the_loss_count),
        TEST(test_the_file_is_believed_before_the_clock_and_only_where_it_can_be_true),
        TEST(test_one_that_was_taken_over_counts),
        TEST(test_the_greatest_number_of_all_can_be_taken_over),
        TEST(test_a_session_with_the_old_index_gives_none_and_one_with_the_new_greater_ones),
        TEST(test_where_the_file_cannot_be_written_no_mailbox_gets_a_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
