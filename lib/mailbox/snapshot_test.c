/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot_test.c - a mailbox opened from a snapshot reports what one reports that has stayed open */
#include "mailbox/test_account.h"

#include "base/str.h"
#include "mailbox/snapshot.h"

#define MESSAGE "From: ann@b.test\nSubject: x\n\nbody\n"

static void add(struct account *a, int n)
{
    for (int i = 0; i < n; i++)
        append(a, "INBOX", MESSAGE, 0);
}

/* What mailbox_sync() says, in a form that can be compared */
static void note_expunge(uint32_t seq, uint32_t uid, void *arg)
{
    str_addf(arg, "-%u(%u) ", seq, uid);
}
static void note_flags(uint32_t seq, void *arg)
{
    str_addf(arg, "f%u ", seq);
}
static void note_exists(uint32_t count, uint32_t recent, void *arg)
{
    str_addf(arg, "=%u/%u ", count, recent);
}

static void sync_into(struct mailbox *mb, struct str *said)
{
    const struct mailbox_changes report = { note_expunge, note_flags, note_exists, said };

    assert_int_equal(mailbox_sync(mb, true, &report), 0);
}

static void remove_uids(struct mailbox *mb, const uint32_t *uids, size_t n)
{
    assert_int_equal(mailbox_remove(mb, uids, n), 0);
    assert_int_equal(mailbox_sync(mb, true, NULL), 0);
}

static struct mailbox *resume(struct account *a, const struct str *bytes)
{
    struct mailbox *mb = NULL;
    struct snapshot s;

    assert_int_equal(snapshot_parse(str_span(bytes), &s), 0);
    assert_int_equal(mailbox_resume(a, &s, &mb), 0);
    return mb;
}

static void test_what_happened_meanwhile_is_reported_as_to_one_that_stayed(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account();
    _cleanup_(str_free) struct str bytes = STR_INIT, stayed = STR_INIT, woken = STR_INIT;
    struct mailbox *mb, *other;

    (void)state;
    add(a, 10);
    assert_int_equal(mailbox_open(a, INBOX, 0, &mb), 0);
    assert_int_equal(mailbox_open(a, INBOX, 0, &other), 0);
    remove_uids(mb, (const uint32_t[]){ 3, 4 }, 2);
    mailbox_snapshot(mb, &bytes);

    uint32_t seen = mailbox_seq(other, 6);
    assert_int_equal(mailbox_store(other, &seen, 1, FLAGS_ADD, MAIL_SEEN, 0, UINT64_MAX, NULL, NULL), 0);
    remove_uids(other, (const uint32_t[]){ 1, 7, 10 }, 3);
    add(a, 2);

    struct mailbox *back = resume(a, &bytes);
    assert_int_equal(mailbox_count(back), 8);
    assert_int_equal(mailbox_entry(back, 3)->uid, 5);
    sync_into(mb, &stayed);
    sync_into(back, &woken);
    assert_string_equal(str_cstr(&woken), str_cstr(&stayed));
    assert_non_null(strstr(str_cstr(&woken), "-8(10) -5(7) -1(1) "));
    mailbox_close(back);
    mailbox_close(other);
    mailbox_close(mb);
}

static void test_a_mailbox_in_which_nothing_was_deleted_is_a_few_bytes(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account();
    _cleanup_(str_free) struct str bytes = STR_INIT, said = STR_INIT;
    struct mailbox *mb;

    (void)state;
    add(a, 50);
    assert_int_equal(mailbox_open(a, INBOX, MAILBOX_READ_ONLY, &mb), 0);
    mailbox_snapshot(mb, &bytes);
    assert_true(bytes.len < 50);
    struct mailbox *back = resume(a, &bytes);
    assert_true(mailbox_read_only(back));
    sync_into(back, &said);
    assert_string_equal(str_cstr(&said), "");
    mailbox_close(back);
    mailbox_close(mb);
}

static void test_a_mailbox_that_is_another_now_is_refused(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account();
    _cleanup_(str_free) struct str bytes = STR_INIT;
    struct mailbox *mb;
    struct snapshot s;

    (void)state;
    assert_int_equal(account_create(a, span_of("Box")), 0);
    assert_int_equal(mailbox_open(a, span_of("Box"), 0, &mb), 0);
    mailbox_snapshot(mb, &bytes);
    mailbox_close(mb);
    assert_int_equal(snapshot_parse(str_span(&bytes), &s), 0);
    assert_int_equal(account_rename(a, span_of("Box"), span_of("Moved")), 0);
    assert_int_equal(account_create(a, span_of("Box")), 0);
    assert_int_equal(mailbox_resume(a, &s, &mb), 0); /* by its number, not by its name */
    mailbox_close(mb);
    assert_int_equal(account_delete(a, span_of("Box")), 0);
    assert_int_equal(account_rename(a, span_of("Moved"), span_of("Box")), 0);
    assert_int_equal(account_delete(a, span_of("Box")), 0);
    assert_int_equal(mailbox_resume(a, &s, &mb), -ENOENT);
    assert_int_equal(account_create(a, span_of("Box")), 0);
    assert_int_equal(mailbox_resume(a, &s, &mb), -ESTALE);
}

static void test_bytes_that_are_cut_or_go_on_are_refused(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account();
    _cleanup_(str_free) struct str bytes = STR_INIT;
    struct mailbox *mb;
    struct snapshot s;

    (void)state;
    add(a, 5);
    assert_int_equal(mailbox_open(a, INBOX, 0, &mb), 0);
    remove_uids(mb, (const uint32_t[]){ 2, 4 }, 2);
    mailbox_snapshot(mb, &bytes);
    for (size_t i = 0; i < bytes.len; i++)
        assert_int_equal(snapshot_parse(span_first(str_span(&bytes), i), &s), -EBADMSG);
    str_add_char(&bytes, 0);
    assert_int_equal(snapshot_parse(str_span(&bytes), &s), -EBADMSG);
    mailbox_close(mb);
}

static void test_nasty_numbers_are_refused(void **state)
{
    static const struct {
        const char *why;
        struct span bytes;
    } rows[] = {
        { "a number without an end", SPAN("\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01") },
        { "over 64 bits", SPAN("\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02" "\1\1\1\0\0\0") },
        { "a name longer than the bytes", SPAN("\x00\x01\x01\x05\x01\x09xx") },
        { "a range beyond UIDNEXT", SPAN("\x00\x01\x01\x05\x01\x00\x01\x00\x04\x00") },
        { "more ranges than there are", SPAN("\x00\x01\x01\x05\x01\x00\x7f\x00\x00\x00") },
        { "a flag that is none", SPAN("\x02\x01\x01\x05\x01\x00\x00\x00") },
    };
    struct snapshot s;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (snapshot_parse(rows[i].bytes, &s) != -EBADMSG)
            fail_msg("%s: accepted", rows[i].why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_happened_meanwhile_is_reported_as_to_one_that_stayed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_mailbox_in_which_nothing_was_deleted_is_a_few_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_mailbox_that_is_another_now_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bytes_that_are_cut_or_go_on_are_refused, setup, teardown),
        cmocka_unit_test(test_nasty_numbers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
