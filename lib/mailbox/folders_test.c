/* SPDX-License-Identifier: Apache-2.0 */
/* folders_test.c - mailboxes are made, listed, renamed and removed */
#include "mailbox/test_account.h"

/* ---- folders ---- */

static void assert_list(struct account *a, const char *want)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    struct mailbox_info *l;
    size_t len;

    assert_int_equal(account_list(a, &l, &len), 0);
    for (size_t i = 0; i < len; i++)
        str_addf(&text, "%s%s%s%s%s%s;", l[i].name, l[i].selectable ? "" : " noselect",
                 l[i].has_children ? " children" : "", l[i].subscribed ? " subscribed" : "",
                 l[i].marked ? " marked" : "", l[i].special_use ? l[i].special_use : "");
    account_list_free(l, len);
    assert_string_equal(text.data, want);
}

static void test_mailboxes_are_created_listed_and_deleted(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account();

    (void)state;
    assert_list(a, "INBOX;");
    assert_int_equal(account_create(a, span_of("Sent")), 0);
    assert_int_equal(account_create(a, span_of("A/B/C")), 0);
    assert_int_equal(account_create(a, span_of("Sent")), -EEXIST);
    assert_int_equal(account_create(a, INBOX), -EEXIST);
    assert_int_equal(account_create(a, span_of("../../x")), 0);
    assert_int_equal(account_create(a, span_of("a//b")), -EINVAL);
    assert_list(a, "INBOX;.. children;../.. children;../../x;A children;A/B children;A/B/C;Sent\\Sent;");
    assert_int_equal(account_delete(a, span_of("../../x")), 0);
    assert_int_equal(account_delete(a, span_of("../..")), 0);
    assert_int_equal(account_delete(a, span_of("..")), 0);
    assert_int_equal(account_delete(a, span_of("..")), -ENOENT);
    assert_int_equal(account_delete(a, INBOX), -EPERM);
    append(a, "A/B", "a: 1\r\n", 0);
    assert_int_equal(account_delete(a, span_of("A/B")), 0); /* has an inferior: stays, empty */
    struct mailbox *mb = open_mailbox(a, "A/B", 0);
    assert_int_equal(mailbox_count(mb), 0);
    mailbox_close(mb);
    deliver_to("/.Sent", "a: 1\r\n");
    assert_list(a, "INBOX;A children;A/B children;A/B/C;Sent marked\\Sent;");
}

static void test_a_renamed_mailbox_keeps_its_uids(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account();
    uint32_t uidvalidity;
    char command[300];

    (void)state;
    assert_int_equal(account_create(a, span_of("A/B")), 0);
    assert_int_equal(append(a, "A/B", "a: 1\r\n", 0), 1);
    assert_int_equal(append(a, "A/B", "a: 2\r\n", 0), 2);
    struct mailbox *mb = open_mailbox(a, "A/B", 0);
    uidvalidity = mailbox_uidvalidity(mb);
    mailbox_close(mb);
    assert_int_equal(account_rename(a, span_of("A"), span_of("A/X")), -EINVAL);
    assert_int_equal(account_rename(a, span_of("None"), span_of("X")), -ENOENT);
    assert_int_equal(account_rename(a, span_of("A"), span_of("A/B")), -EEXIST);
    assert_int_equal(account_rename(a, span_of("A"), span_of("X/Y")), 0);
    assert_list(a, "INBOX;X children;X/Y children;X/Y/B;");
    mb = open_mailbox(a, "X/Y/B", 0);
    assert_int_equal(mailbox_uidvalidity(mb), uidvalidity);
    assert_int_equal(mailbox_entry(mb, 2)->uid, 2);
    mailbox_close(mb);
    /* the same by another program, which then makes a copy */
    snprintf(command, sizeof command, "cd %s && mv .X.Y.B .Moved && cp -a .Moved .Copy", maildir);
    assert_int_equal(system(command), 0);
    mb = open_mailbox(a, "Moved", 0);
    assert_int_equal(mailbox_uidvalidity(mb), uidvalidity);
    assert_int_equal(mailbox_count(mb), 2);
    mailbox_close(mb);
    mb = open_mailbox(a, "Copy", 0);
    assert_true(mailbox_uidvalidity(mb) > uidvalidity);
    assert_int_equal(mailbox_count(mb), 2);
    mailbox_close(mb);
}

static void test_who_has_a_mailbox_open_follows_a_rename_and_never_touches_what_took_its_place(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account();
    uint32_t uidvalidity, uids[1], seq = 1;
    struct mailbox_status st;

    (void)state;
    assert_int_equal(account_create(a, span_of("A/B")), 0);
    append(a, "A/B", "a: 1\r\n", 0);
    append(a, "A/B", "a: 2\r\n", 0);
    struct mailbox *mb = open_mailbox(a, "A/B", 0);
    assert_int_equal(account_rename(a, span_of("A"), span_of("X")), 0);
    assert_int_equal(account_create(a, span_of("A/B")), 0);
    append(a, "A/B", "a: other\r\n", 0);
    assert_sync(mb, true, "");
    assert_content(mb, 1, "a: 1\r\n");
    assert_int_equal(mailbox_store(mb, &seq, 1, FLAGS_ADD, MAIL_DELETED, 0, UINT64_MAX, NULL, NULL), 0);
    assert_int_equal(mailbox_copy(mb, &seq, 1, INBOX, false, &uidvalidity, uids), 0);
    assert_int_equal(mailbox_expunge(mb, NULL, 0), 0);
    assert_sync(mb, true, "expunge 1 uid 1;");
    append(a, "X/B", "a: 3\r\n", 0);
    assert_sync(mb, true, "exists 2 recent 0;");
    assert_content(mb, 2, "a: 3\r\n");
    assert_int_equal(account_status(a, span_of("A/B"), &st), 0);
    assert_int_equal(st.messages, 1);
    assert_true(mailbox_exists(mb));
    assert_int_equal(account_delete(a, span_of("X/B")), 0);
    assert_false(mailbox_exists(mb));
    mailbox_close(mb);
}

static void test_renaming_inbox_moves_its_messages(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account();
    struct mailbox_status st;

    (void)state;
    deliver("a: 1\r\n");
    assert_int_equal(account_rename(a, INBOX, span_of("Old")), 0);
    assert_int_equal(account_status(a, INBOX, &st), 0);
    assert_int_equal(st.messages, 0);
    assert_int_equal(account_status(a, span_of("Old"), &st), 0);
    assert_int_equal(st.messages, 1);
}

static void test_subscriptions_are_kept_also_of_what_does_not_exist(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account();
    char command[300];

    (void)state;
    assert_int_equal(account_create(a, span_of("A")), 0);
    assert_int_equal(account_subscribe(a, span_of("A"), 10), 0);
    assert_int_equal(account_subscribe(a, span_of("A"), 10), 0);
    assert_int_equal(account_subscribe(a, span_of("Entw\303\274rfe/x.y"), 10), 0);
    assert_int_equal(account_subscribe(a, span_of("inbox"), 10), 0);
    assert_list(a, "INBOX subscribed;A subscribed;Entw\303\274rfe/x.y noselect subscribed;");
    assert_int_equal(account_unsubscribe(a, span_of("A")), 0);
    assert_int_equal(account_unsubscribe(a, span_of("A")), 0);
    assert_list(a, "INBOX subscribed;A;Entw\303\274rfe/x.y noselect subscribed;");
    snprintf(command, sizeof command, "printf 'INBOX\\nA.B\\nA\\n\\n&bad\\n' > %s/subscriptions", maildir);
    assert_int_equal(system(command), 0);
    assert_list(a, "INBOX subscribed;A subscribed;A/B noselect subscribed;");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_mailboxes_are_created_listed_and_deleted),
        TEST(test_a_renamed_mailbox_keeps_its_uids),
        TEST(test_who_has_a_mailbox_open_follows_a_rename_and_never_touches_what_took_its_place),
        TEST(test_renaming_inbox_moves_its_messages),
        TEST(test_subscriptions_are_kept_also_of_what_does_not_exist),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
