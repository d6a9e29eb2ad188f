/* SPDX-License-Identifier: Apache-2.0 */
/* note_test.c - what a session has found out: known to it at once, to others after its next write or its end */
#include "mailbox/test_account.h"

#include "mailbox/internal.h"

static void put(struct mailbox *mb, uint32_t uid, const char *text)
{
    struct mailbox_note note = { uid, STR_INIT };

    str_add_str(&note.bytes, text);
    assert_int_equal(mailbox_note_put(mb, &note, 1), 0);
    str_free(&note.bytes);
}

/* NULL: there is none */
static void expect(struct mailbox *mb, uint32_t seq, const char *text)
{
    _cleanup_(str_free) struct str got = STR_INIT;

    assert_int_equal(mailbox_note_get(mb, seq, &got), text ? 0 : -ENOENT);
    if (text)
        assert_string_equal(str_cstr(&got), text);
}

static struct mailbox *with_messages(struct account *a, int n)
{
    for (int i = 0; i < n; i++)
        deliver("a: 1\r\n");
    return open_mailbox(a, "INBOX", 0);
}

static void test_a_note_is_known_to_its_session_at_once(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account();
    struct mailbox *mb = with_messages(a, 3);

    (void)state;
    put(mb, 3, "three");
    put(mb, 1, "one");
    expect(mb, 1, "one");
    expect(mb, 2, NULL);
    expect(mb, 3, "three");
    put(mb, 1, "once more");
    expect(mb, 1, "once more");
    mailbox_close(mb);
}

static void test_notes_are_written_with_the_next_change(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account(), *other = open_account();
    struct mailbox *mb = with_messages(a, 2), *seen_by = open_mailbox(other, "INBOX", 0);
    const uint32_t seq = 2;

    (void)state;
    put(mb, 1, "one");
    expect(seen_by, 1, NULL);
    assert_int_equal(mailbox_store(mb, &seq, 1, FLAGS_ADD, MAIL_SEEN, 0, UINT64_MAX, NULL, NULL), 0);
    expect(seen_by, 1, "one");
    mailbox_close(seen_by);
    mailbox_close(mb);
}

static void test_notes_are_written_when_the_mailbox_is_closed(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account();
    struct mailbox *mb = with_messages(a, 2);

    (void)state;
    put(mb, 2, "two");
    mailbox_close(mb);
    mb = open_mailbox(a, "INBOX", 0);
    expect(mb, 1, NULL);
    expect(mb, 2, "two");
    mailbox_close(mb);
}

static void test_a_note_goes_with_its_message(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account(), *other = open_account();
    struct mailbox *mb = with_messages(a, 2), *remover = open_mailbox(other, "INBOX", 0);
    const uint32_t gone[] = { 1 };

    (void)state;
    put(mb, 1, "one");
    put(mb, 2, "two");
    assert_int_equal(mailbox_remove(remover, gone, 1), 0);
    mailbox_close(mb);
    assert_sync(remover, true, "expunge 1 uid 1;");
    expect(remover, 1, "two");
    mailbox_close(remover);
}

/* Sessions that ask for thousands of messages do not keep all of it in memory. */
static void test_many_notes_are_written_for_their_own_sake(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account(), *other = open_account();
    struct mailbox *mb = with_messages(a, 2), *seen_by = open_mailbox(other, "INBOX", 0);
    struct mailbox_note note = { 1, STR_INIT };

    (void)state;
    for (int i = 0; i < 300; i++)
        str_add_str(&note.bytes, "0123456789abcdef");
    for (int i = 0; i < 100; i++)
        assert_int_equal(mailbox_note_put(mb, &note, 1), 0);
    expect(seen_by, 1, str_cstr(&note.bytes));
    str_free(&note.bytes);
    mailbox_close(seen_by);
    mailbox_close(mb);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_note_is_known_to_its_session_at_once),
        TEST(test_notes_are_written_with_the_next_change),
        TEST(test_notes_are_written_when_the_mailbox_is_closed),
        TEST(test_a_note_goes_with_its_message),
        TEST(test_many_notes_are_written_for_their_own_sake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
