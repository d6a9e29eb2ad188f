/* SPDX-License-Identifier: Apache-2.0 */
/* replace_test.c - a message takes another's place; what a session may say of that, and of others' changes, before it is told */
#include "mailbox/test_account.h"

#include "base/mem.h"
#include "mailbox/quota.h"

static int replace(struct mailbox *mb, uint32_t uid, const char *to, const char *text, uint32_t *ret_uid)
{
    _cleanup_close_ int fd = memfd_create("content", MFD_CLOEXEC);
    struct append_message m = { .save = { .content_fd = fd, .size = strlen(text), .flags = MAIL_DRAFT } };
    uint32_t uidvalidity;

    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    return mailbox_replace(mb, uid, span_of(to), &m, &uidvalidity, ret_uid);
}

static uint32_t messages(struct account *a, const char *name)
{
    struct mailbox_status st;

    assert_int_equal(account_status(a, span_of(name), &st), 0);
    return st.messages;
}

static void test_one_message_goes_as_the_other_comes(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account(), *b = open_account();
    uint32_t uid = append(a, "INBOX", "a: old\r\n", 0), new_uid = 0;
    struct mailbox *mb = open_mailbox(a, "INBOX", 0), *other = open_mailbox(b, "INBOX", 0);
    uint64_t before = mailbox_highestmodseq(mb);

    (void)state;
    assert_int_equal(replace(mb, uid, "INBOX", "a: new\r\n", &new_uid), 0);
    assert_int_equal(new_uid, uid + 1);
    assert_sync(mb, true, "expunge 1 uid 1;exists 1 recent 0;");
    assert_sync(other, true, "expunge 1 uid 1;exists 1 recent 0;");
    assert_content(mb, 1, "a: new\r\n");
    assert_int_equal(mailbox_entry(mb, 1)->flags, MAIL_DRAFT);
    assert_true(mailbox_highestmodseq(mb) > before);
    mailbox_close(mb);
    mailbox_close(other);
}

static void test_it_may_go_to_another_mailbox(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account();
    uint32_t uid = append(a, "INBOX", "a: old\r\n", 0), new_uid = 0;
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);

    (void)state;
    assert_int_equal(account_create(a, span_of("Sent")), 0);
    assert_int_equal(replace(mb, uid, "Sent", "a: new\r\n", &new_uid), 0);
    assert_sync(mb, true, "expunge 1 uid 1;");
    assert_int_equal(messages(a, "INBOX"), 0);
    assert_int_equal(messages(a, "Sent"), 1);
    mailbox_close(mb);
}

static void test_what_fails_has_done_nothing(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account();
    uint32_t uid = append(a, "INBOX", "a: old\r\n", 0), new_uid = 0;
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);

    (void)state;
    assert_int_equal(replace(mb, uid, "none", "a: new\r\n", &new_uid), -ENOENT);
    assert_int_equal(replace(mb, uid + 1, "INBOX", "a: new\r\n", &new_uid), -ESTALE);
    assert_sync(mb, true, "");
    assert_int_equal(messages(a, "INBOX"), 1);
    mailbox_close(mb);
}

static void test_only_the_difference_counts_for_the_quota(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account();
    uint32_t uid = append(a, "INBOX", "a: old\r\n", 0), new_uid = 0;
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);
    struct quota q;

    (void)state;
    assert_int_equal(quota_set(maildir, &(struct quota_limits){ 10, 1 }), 0);
    assert_int_equal(replace(mb, uid, "INBOX", "a: longer than that\r\n", &new_uid), -EDQUOT);
    assert_int_equal(messages(a, "INBOX"), 1);
    assert_int_equal(replace(mb, uid, "INBOX", "a: newer\r\n", &new_uid), 0);
    assert_int_equal(quota_load(maildir, &q), 0);
    assert_int_equal(q.bytes, 9);
    assert_int_equal(q.messages, 1);
    mailbox_close(mb);
}

/* RFC 7162 section 6 */
static void test_what_is_told_ends_before_an_expunge_that_is_not(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account(), *b = open_account();
    uint32_t seqs[] = { 1 };

    (void)state;
    append(a, "INBOX", "a: 1\r\n", 0);
    append(a, "INBOX", "a: 2\r\n", MAIL_DELETED);
    struct mailbox *mb = open_mailbox(a, "INBOX", 0), *other = open_mailbox(b, "INBOX", 0);
    uint64_t before = mailbox_highestmodseq(mb);
    assert_int_equal(mailbox_told_modseq(mb), before);
    assert_int_equal(mailbox_expunge(other, NULL, 0), 0);
    assert_int_equal(mailbox_store(other, seqs, 1, FLAGS_ADD, MAIL_SEEN, 0, UINT64_MAX, NULL, NULL), 0);
    assert_sync(mb, false, "flags 1;");
    assert_int_equal(mailbox_told_modseq(mb), before);
    assert_true(mailbox_highestmodseq(mb) > before + 1);
    assert_sync(mb, true, "expunge 2 uid 2;");
    assert_int_equal(mailbox_told_modseq(mb), mailbox_highestmodseq(mb));
    mailbox_close(mb);
    mailbox_close(other);
}

static void count(uint32_t seq, void *arg)
{
    (void)seq;
    ++*(int *)arg;
}

/* RFC 7162 section 3.1.12 */
static void test_unchanged_since_is_about_the_flags_that_are_stored(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account(), *b = open_account();
    uint32_t seqs[] = { 1 };
    int modified = 0;

    (void)state;
    append(a, "INBOX", "a: 1\r\n", 0);
    struct mailbox *mb = open_mailbox(a, "INBOX", 0), *other = open_mailbox(b, "INBOX", 0);
    uint64_t known = mailbox_highestmodseq(mb);
    assert_int_equal(mailbox_store(other, seqs, 1, FLAGS_ADD, MAIL_SEEN, 0, UINT64_MAX, NULL, NULL), 0);
    assert_false(mailbox_entry(other, 1)->foreign);
    /* all flags, or the very flag, or one who does not know what the session has been told */
    assert_int_equal(mailbox_store(mb, seqs, 1, FLAGS_SET, MAIL_FLAGGED, 0, known, count, &modified), 0);
    assert_int_equal(mailbox_store(mb, seqs, 1, FLAGS_ADD, MAIL_SEEN, 0, known, count, &modified), 0);
    assert_int_equal(mailbox_store(mb, seqs, 1, FLAGS_ADD, MAIL_FLAGGED, 0, known - 1, count, &modified), 0);
    assert_int_equal(modified, 3);
    assert_int_equal(mailbox_store(mb, seqs, 1, FLAGS_ADD, MAIL_FLAGGED, 0, known, count, &modified), 0);
    assert_int_equal(modified, 3);
    assert_int_equal(mailbox_entry(mb, 1)->flags, MAIL_SEEN | MAIL_FLAGGED);
    assert_true(mailbox_entry(mb, 1)->foreign);
    mailbox_close(mb);
    mailbox_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_message_goes_as_the_other_comes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_it_may_go_to_another_mailbox, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_fails_has_done_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only_the_difference_counts_for_the_quota, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_told_ends_before_an_expunge_that_is_not, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unchanged_since_is_about_the_flags_that_are_stored, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
