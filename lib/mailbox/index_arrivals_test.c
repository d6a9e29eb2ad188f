/* SPDX-License-Identifier: Apache-2.0 */
/* index_arrivals_test.c - messages that APPEND has stored without a commit are there for everybody, whatever comes next */
#include "mailbox/test_account.h"

#include "base/mem.h"
#include "mailbox/index_parts.h"
#include "mailbox/internal.h"

#define BOX ((struct span)SPAN("Box"))

static struct account *account_of_two_messages(void)
{
    struct account *a = open_account();

    assert_int_equal(account_create(a, BOX), 0);
    assert_int_equal(append(a, "INBOX", "a: 1\r\n", 0), 1); /* a commit: the directory is read for the first time */
    tick();
    assert_int_equal(append(a, "INBOX", "a: 2\r\n", 0), 2);
    return a;
}

static uint32_t count_arrivals(struct account *a)
{
    struct index_txn t = INDEX_TXN_INIT;

    assert_int_equal(index_begin_look(a->index, &t), 0);
    uint32_t n = t.arrivals ? t.arrivals->len : 0;
    index_end(&t);
    return n;
}

/* The n-th message is UID n and holds its number; but for one. */
static void assert_messages(struct account *a, const char *name, uint32_t n, uint32_t missing)
{
    struct mailbox *mb = open_mailbox(a, name, 0);
    char text[20];

    assert_int_equal(mailbox_count(mb), n - (missing > 0));
    for (uint32_t uid = 1; uid <= n; uid++) {
        if (uid == missing)
            continue;
        snprintf(text, sizeof text, "a: %u\r\n", uid);
        assert_true(mailbox_seq(mb, uid) > 0);
        assert_content(mb, mailbox_seq(mb, uid), text);
    }
    mailbox_close(mb);
}

static void test_a_session_learns_of_them_without_a_commit_and_another_one_as_well(void **state)
{
    (void)state;
    struct account *a = account_of_two_messages(), *b = open_account();
    struct mailbox *mine = open_mailbox(a, "INBOX", 0), *theirs = open_mailbox(b, "INBOX", 0);
    assert_int_equal(count_arrivals(a), 0); /* to open a mailbox is to read it */
    assert_int_equal(append(a, "INBOX", "a: 3\r\n", MAIL_SEEN), 3);
    assert_sync(mine, true, "exists 3 recent 0;");
    assert_int_equal(append(a, "INBOX", "a: 4\r\n", 0), 4);
    assert_sync(mine, true, "exists 4 recent 0;");
    assert_sync(theirs, true, "exists 4 recent 0;");
    assert_sync(theirs, true, "");
    assert_int_equal(count_arrivals(a), 2);
    assert_int_equal(mailbox_entry(theirs, 3)->flags, MAIL_SEEN);
    assert_int_equal(mailbox_highestmodseq(theirs), mailbox_highestmodseq(mine));
    assert_int_equal(mailbox_uidnext(theirs), 5);
    assert_content(theirs, 4, "a: 4\r\n");
    assert_int_equal(count_arrivals(a), 0);
    mailbox_close(mine);
    mailbox_close(theirs);
    assert_messages(a, "INBOX", 4, 0);
    account_close(a);
    account_close(b);
}

static void test_status_counts_them(void **state)
{
    struct mailbox_status status;

    (void)state;
    struct account *a = account_of_two_messages();
    append(a, "INBOX", "a: 3\r\n", MAIL_SEEN | MAIL_DELETED);
    assert_int_equal(account_status(a, INBOX, &status), 0);
    assert_int_equal(count_arrivals(a), 2);
    assert_int_equal(status.messages, 3);
    assert_int_equal(status.unseen, 2);
    assert_int_equal(status.deleted, 1);
    assert_int_equal(status.uidnext, 4);
    assert_int_equal(status.size, 18);
    account_close(a);
}

static void test_sessions_that_store_by_turns_give_each_uid_once(void **state)
{
    (void)state;
    struct account *a = account_of_two_messages(), *b = open_account();
    char text[20];
    for (uint32_t uid = 3; uid <= 3 * INDEX_ARRIVALS_MAX; uid++) {
        snprintf(text, sizeof text, "a: %u\r\n", uid);
        assert_int_equal(append(uid % 3 ? a : b, "INBOX", text, 0), uid);
    }
    assert_messages(b, "INBOX", 3 * INDEX_ARRIVALS_MAX, 0);
    account_close(a);
    account_close(b);
}

static void test_mailboxes_that_are_stored_to_by_turns_keep_theirs(void **state)
{
    (void)state;
    struct account *a = account_of_two_messages();
    assert_int_equal(append(a, "Box", "a: 1\r\n", 0), 1);
    assert_int_equal(append(a, "INBOX", "a: 3\r\n", 0), 3);
    assert_int_equal(append(a, "Box", "a: 2\r\n", 0), 2);
    assert_int_equal(append(a, "Box", "a: 3\r\n", 0), 3);
    assert_int_equal(append(a, "INBOX", "a: 4\r\n", 0), 4);
    assert_messages(a, "INBOX", 4, 0);
    assert_messages(a, "Box", 3, 0);
    account_close(a);
}

/* ---- what is done to a mailbox that has two of them ---- */

static void do_deliver(struct account *a)
{
    (void)a;
    deliver("a: 3\r\n");
}

static void do_copy(struct account *a)
{
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);
    uint32_t seqs[] = { 1, 2 }, uids[2], validity;

    assert_int_equal(append(a, "INBOX", "a: 3\r\n", 0), 3);
    assert_int_equal(mailbox_copy(mb, seqs, 2, BOX, false, &validity, uids), 0);
    assert_messages(a, "Box", 2, 0);
    mailbox_close(mb);
}

static void do_rename(struct account *a)
{
    assert_int_equal(account_rename(a, BOX, span_of("Elsewhere")), 0);
    assert_int_equal(append(a, "INBOX", "a: 3\r\n", 0), 3);
}

static void do_delete(struct account *a)
{
    assert_int_equal(append(a, "Box", "a: 1\r\n", 0), 1);
    assert_int_equal(append(a, "Box", "a: 2\r\n", 0), 2);
    assert_int_equal(account_delete(a, BOX), 0);
    assert_int_equal(append(a, "INBOX", "a: 3\r\n", 0), 3);
}

static void do_lose_arrivals_that_are_taken_in(struct account *a)
{
    char path[200];

    mailbox_close(open_mailbox(a, "INBOX", 0));
    snprintf(path, sizeof path, "%s/" INDEX_DIRECTORY "/arrivals", maildir);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(append(a, "INBOX", "a: 3\r\n", 0), 3);
}

static void do_store_with_a_new_keyword(struct account *a)
{
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);
    uint32_t seq = 2;

    assert_int_equal(append(a, "INBOX", "a: 3\r\n", 0), 3);
    int bit = mailbox_keyword_make(mb, span_of("$New"));
    assert_true(bit >= 0);
    assert_int_equal(mailbox_store(mb, &seq, 1, FLAGS_ADD, MAIL_FLAGGED, (uint64_t)1 << bit, UINT64_MAX, NULL, NULL), 0);
    assert_sync(mb, true, "exists 3 recent 0;");
    mailbox_close(mb);
}

static void test_whatever_is_done_next_finds_them(void **state)
{
    static void (*const deeds[])(struct account *a) = { do_deliver, do_copy, do_rename, do_delete, do_lose_arrivals_that_are_taken_in,
                                                        do_store_with_a_new_keyword };

    for (size_t i = 0; i < ARRAY_LEN(deeds); i++) {
        struct account *a = account_of_two_messages();

        deeds[i](a);
        assert_messages(a, "INBOX", 3, 0);
        account_close(a);
        teardown(state);
        setup_in_memory(state);
    }
}

static void test_one_that_is_expunged_stays_away(void **state)
{
    uint32_t seq = 3;

    (void)state;
    struct account *a = account_of_two_messages();
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);
    append(a, "INBOX", "a: 3\r\n", 0);
    assert_sync(mb, true, "exists 3 recent 0;");
    assert_int_equal(mailbox_store(mb, &seq, 1, FLAGS_ADD, MAIL_DELETED, 0, UINT64_MAX, NULL, NULL), 0);
    assert_int_equal(mailbox_expunge(mb, NULL, 0), 0);
    assert_sync(mb, true, "expunge 3 uid 3;");
    assert_int_equal(append(a, "INBOX", "a: 4\r\n", 0), 4);
    mailbox_close(mb);
    assert_messages(a, "INBOX", 4, 3);
    account_close(a);
}

/* A byte that is wrong makes the file a shorter one. Then the directory has the message, and the mailbox gets it from there. */
static void test_a_damaged_file_loses_no_message_and_ends_no_session(void **state)
{
    char path[200], bytes[4096];

    (void)state;
    snprintf(path, sizeof path, "%s/" INDEX_DIRECTORY "/arrivals", maildir);
    struct account *a = account_of_two_messages();
    append(a, "INBOX", "a: 3\r\n", 0);
    _cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
    ssize_t size = pread(fd, bytes, sizeof bytes, 0);
    assert_true(size > 200 && size < (ssize_t)sizeof bytes);
    for (ssize_t i = 0; i < size; i++) {
        struct index_txn t = INDEX_TXN_INIT;
        char wrong = (char)(bytes[i] ^ 1 << i % 8);

        assert_int_equal(pwrite(fd, &wrong, 1, i), 1);
        assert_int_equal(index_begin_look(a->index, &t), 0);
        assert_true(!t.arrivals || t.arrivals->len < 2);
        index_end(&t);
        assert_int_equal(pwrite(fd, &bytes[i], 1, i), 1);
    }
    assert_int_equal(count_arrivals(a), 2);
    assert_int_equal(ftruncate(fd, size - 1), 0);
    assert_int_equal(count_arrivals(a), 1);
    account_close(a);
    a = open_account();
    assert_messages(a, "INBOX", 3, 0);
    account_close(a);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_in_memory, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_session_learns_of_them_without_a_commit_and_another_one_as_well),
        TEST(test_status_counts_them),
        TEST(test_sessions_that_store_by_turns_give_each_uid_once),
        TEST(test_mailboxes_that_are_stored_to_by_turns_keep_theirs),
        TEST(test_whatever_is_done_next_finds_them),
        TEST(test_one_that_is_expunged_stays_away),
        TEST(test_a_damaged_file_loses_no_message_and_ends_no_session),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
