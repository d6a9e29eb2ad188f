/* SPDX-License-Identifier: Apache-2.0 */
/* file_name_test.c - names of message files, ours and other programs', and how the index keeps them */
#include "mailbox/test_account.h"

#include "base/mem.h"
#include "mailbox/index_parts.h"
#include "mailbox/internal.h"

static void put_file(const char *sub, const char *file)
{
    char path[400];

    snprintf(path, sizeof path, "%s/%s/%s", maildir, sub, file);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "a: 1\n", 5), 5);
    close(fd);
}

static bool has_file(const char *sub, const char *file)
{
    char path[400];

    snprintf(path, sizeof path, "%s/%s/%s", maildir, sub, file);
    return access(path, F_OK) == 0;
}

static void move_file(const char *from, const char *to)
{
    char path[400], to_path[400];

    snprintf(path, sizeof path, "%s/%s", maildir, from);
    snprintf(to_path, sizeof to_path, "%s/%s", maildir, to);
    assert_int_equal(rename(path, to_path), 0);
}

/* The record as it lies in the index, without its checksum */
static void stored_name(struct mailbox *mb, uint32_t uid, struct str *ret)
{
    _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;
    struct index_key k = index_key_numbered('m', mb->folder.id, uid);
    struct span bytes, name;

    assert_int_equal(index_begin_read(mb->account->index, &t), 0);
    assert_int_equal(index_get(&t, &k, &bytes), 0);
    assert_int_equal(record_bytes_decode(bytes, &name), 0);
    str_set(ret, name);
}

static void assert_stored(struct mailbox *mb, uint32_t uid, const char *want)
{
    _cleanup_(str_free) struct str name = STR_INIT;

    stored_name(mb, uid, &name);
    assert_string_equal(str_cstr(&name), want);
}

static void change_flags(struct mailbox *mb, uint32_t seq, enum flags_mode mode, unsigned flags)
{
    assert_int_equal(mailbox_store(mb, &seq, 1, mode, flags, 0, UINT64_MAX, NULL, NULL), 0);
}

/* In the order in which they get their UIDs */
static const struct name_case {
    const char *sub, *file; /* as another program has left it */
    unsigned flags;
    const char *stored;     /* in the index, once it is in cur/ */
    const char *flagged;    /* what it is called with \Flagged besides */
} cases[] = {
    { "new", "1.a",          0,                          "1.a",           "1.a:2,F" },
    { "new", "2.a:2,S",      MAIL_SEEN,                  "2.a",           "2.a:2,FS" },
    { "new", "3.a:2,SR",     MAIL_SEEN | MAIL_ANSWERED,  "/3.a:2,SR",     "3.a:2,FRS" },
    { "cur", "4.a",          0,                          "/4.a",          "4.a:2,F" },
    { "cur", "5.a:2,",       0,                          "5.a",           "5.a:2,F" },
    { "cur", "6.a:2,RSa",    MAIL_ANSWERED | MAIL_SEEN,  "6.a",           "6.a:2,FRSa" },
    { "cur", "7.a:2,SR",     MAIL_ANSWERED | MAIL_SEEN,  "/7.a:2,SR",     "7.a:2,FRS" },
    { "cur", "8.a:2,XS",     MAIL_SEEN,                  "/8.a:2,XS",     "8.a:2,FS" },
    { "cur", "9.a:2,SS",     MAIL_SEEN,                  "/9.a:2,SS",     "9.a:2,FS" },
    { "cur", "10.a:2,aS",    MAIL_SEEN,                  "/10.a:2,aS",    "10.a:2,FSa" },
    { "cur", "11.a:2,S,ext", MAIL_SEEN,                  "/11.a:2,S,ext", "11.a:2,FS" },
    { "cur", "12.a:1,S",     0,                          "/12.a:1,S",     "12.a:2,F" },
    { "cur", "13.a:",        0,                          "/13.a:",        "13.a:2,F" },
    { "cur", "14.a,S=5,W=6", 0,                          "/14.a,S=5,W=6", "14.a,S=5,W=6:2,F" },
};

static void make_files(void)
{
    assert_int_equal(maildir_create(maildir), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        put_file(cases[i].sub, cases[i].file);
    put_file("cur", ":2,S"); /* its base is empty; it gets the first UID, since it has no time */
}

static void test_a_message_is_found_under_whatever_name_its_file_has(void **state)
{
    struct account *a;
    struct mailbox *mb;

    (void)state;
    make_files();
    for (int session = 0; session < 2; session++) {
        a = open_account();
        mb = open_mailbox(a, "INBOX", 0);
        assert_int_equal(mailbox_count(mb), ARRAY_LEN(cases) + 1);
        assert_stored(mb, 1, "/:2,S");
        for (uint32_t i = 0; i < ARRAY_LEN(cases); i++) {
            print_message("%s\n", cases[i].file);
            assert_int_equal(mailbox_entry(mb, i + 2)->flags, cases[i].flags);
            assert_stored(mb, i + 2, cases[i].stored);
            assert_content(mb, i + 2, "a: 1\r\n");
        }
        mailbox_close(mb);
        account_close(a);
    }
}

static void test_a_changed_flag_makes_any_name_regular_and_the_record_its_base(void **state)
{
    _cleanup_(str_free) struct str base = STR_INIT;

    (void)state;
    make_files();
    struct account *a = open_account();
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);
    for (uint32_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("%s\n", cases[i].file);
        change_flags(mb, i + 2, FLAGS_ADD, MAIL_FLAGGED);
        assert_true(has_file("cur", cases[i].flagged));
        struct span rest = span_of(cases[i].file);
        str_set(&base, span_cut(&rest, ':'));
        assert_stored(mb, i + 2, str_cstr(&base));
        assert_content(mb, i + 2, "a: 1\r\n");
    }
    change_flags(mb, 1, FLAGS_ADD, MAIL_FLAGGED);
    assert_stored(mb, 1, "/:2,FS");
    uint32_t gone[] = { 1, 2, 5, 14 };
    assert_int_equal(mailbox_remove(mb, gone, ARRAY_LEN(gone)), 0);
    assert_false(has_file("cur", ":2,FS"));
    assert_false(has_file("cur", "4.a:2,F"));
    mailbox_close(mb);
    account_close(a);
}

static void test_a_file_renamed_without_another_flag_is_found_still(void **state)
{
    static const struct {
        const char *from, *to;
    } names[] = { { "cur/5.a:2,", "cur/5.a" }, { "cur/7.a:2,SR", "cur/7.a:2,RS" }, { "cur/6.a:2,RSa", "cur/6.a:2,SRa" } };

    (void)state;
    make_files();
    struct account *a = open_account();
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        move_file(names[i].from, names[i].to);
    for (uint32_t seq = 1; seq <= mailbox_count(mb); seq++)
        assert_content(mb, seq, "a: 1\r\n");
    assert_sync(mb, true, "");
    for (uint32_t seq = 1; seq <= mailbox_count(mb); seq++)
        assert_content(mb, seq, "a: 1\r\n");
    change_flags(mb, 6, FLAGS_ADD, MAIL_SEEN);
    assert_true(has_file("cur", "5.a:2,S"));
    mailbox_close(mb);
    account_close(a);
}

/* The records of a mailbox as indexes had them before: the whole name, whatever it is */
static void make_records_old(struct mailbox *mb)
{
    _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;
    _cleanup_(str_free) struct str bytes = STR_INIT;

    assert_int_equal(index_begin_write(mb->account->index, &t), 0);
    for (uint32_t seq = 1; seq <= mailbox_count(mb); seq++) {
        uint32_t uid = mailbox_entry(mb, seq)->uid;
        struct index_key k = index_key_numbered('m', mb->folder.id, uid);
        struct index_message m;

        assert_int_equal(index_message_get(&t, mb->folder.id, uid, &m), 0);
        record_bytes_encode(m.file, &bytes);
        assert_int_equal(index_put(&t, &k, str_span(&bytes)), 0);
    }
    assert_int_equal(index_commit(&t, true), 0);
}

static void test_an_index_from_before_with_whole_names_is_valid_and_its_names_shrink_when_flags_change(void **state)
{
    (void)state;
    make_files();
    struct account *a = open_account();
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);
    uint32_t validity = mailbox_uidvalidity(mb);
    make_records_old(mb);
    mailbox_close(mb);
    account_close(a);

    a = open_account();
    mb = open_mailbox(a, "INBOX", 0);
    assert_int_equal(mailbox_uidvalidity(mb), validity);
    assert_stored(mb, 7, "6.a:2,RSa");
    for (uint32_t seq = 1; seq <= mailbox_count(mb); seq++)
        assert_content(mb, seq, "a: 1\r\n");
    for (uint32_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("%s\n", cases[i].file);
        change_flags(mb, i + 2, FLAGS_ADD, MAIL_FLAGGED);
        assert_true(has_file("cur", cases[i].flagged));
        assert_content(mb, i + 2, "a: 1\r\n");
    }
    assert_stored(mb, 7, "6.a");
    mailbox_close(mb);
    account_close(a);

    /* And who looks anew sees the same. */
    a = open_account();
    mb = open_mailbox(a, "INBOX", 0);
    assert_int_equal(mailbox_uidvalidity(mb), validity);
    assert_sync(mb, true, "");
    for (uint32_t seq = 1; seq <= mailbox_count(mb); seq++)
        assert_content(mb, seq, "a: 1\r\n");
    mailbox_close(mb);
    account_close(a);
}

/* Another program's flag on a name that the index has whole or by its base */
static void test_what_other_programs_make_of_a_name_is_followed(void **state)
{
    (void)state;
    make_files();
    struct account *a = open_account();
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);
    tick();
    move_file("cur/5.a:2,", "cur/5.a:2,TD");
    move_file("cur/8.a:2,XS", "cur/8.a:2,");
    assert_sync(mb, true, "flags 6;flags 9;");
    assert_stored(mb, 6, "/5.a:2,TD");
    assert_stored(mb, 9, "8.a");
    assert_content(mb, 6, "a: 1\r\n");
    assert_content(mb, 9, "a: 1\r\n");
    mailbox_close(mb);
    account_close(a);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_in_memory, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_message_is_found_under_whatever_name_its_file_has),
        TEST(test_a_changed_flag_makes_any_name_regular_and_the_record_its_base),
        TEST(test_a_file_renamed_without_another_flag_is_found_still),
        TEST(test_an_index_from_before_with_whole_names_is_valid_and_its_names_shrink_when_flags_change),
        TEST(test_what_other_programs_make_of_a_name_is_followed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
