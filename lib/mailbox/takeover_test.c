/* SPDX-License-Identifier: Apache-2.0 */
/* takeover_test.c - a Maildir that Dovecot or Courier has had before us keeps its UIDs, keywords and subscriptions */
#include "mailbox/test_account.h"

#include <stdio.h>

#include "mailbox/internal.h"
#include "mailbox/subscribe.h"
#include "mailbox/takeover.h"

static const struct takeover_message *parsed(const char *text, struct takeover *t, const char *base)
{
    assert_true(takeover_parse(span_of(text), t));
    return takeover_find(t, span_of(base));
}

static void test_a_uid_list_of_each_form_is_read(void **state)
{
    static const struct {
        const char *text, *base;
        uint32_t uidvalidity, uidnext, uid;
        uint64_t vsize;
    } cases[] = {
        { "3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1\n25006 W2481 S2443 :1.M2P3.h,S=1355\n", "1.M2P3.h,S=1355",
          1275660208, 25022, 25006, 2481 },
        { "3 N8 V5 Gx\n7 :1.h:2,S\n", "1.h", 5, 8, 7, 0 },
        { "1 1275660208 25022\n25006 1.h:2,S\n", "1.h", 1275660208, 25022, 25006, 0 },
        { "1 1275660208 25022\n25006 1.h", "1.h", 1275660208, 25022, 25006, 0 },
        /* a next UID that the list itself proves wrong */
        { "3 V5 N3\n7 :1.h\n", "1.h", 5, 8, 7, 0 },
        { "3 V5 N4294967295\n7 Wx :1.h\n", "1.h", 5, 4294967295, 7, 0 },
        /* lines that make no sense cost their own message its UID, and no other's */
        { "3 V5 N9\nx :0.h\n0 :9.h\n4294967295 :8.h\n\n7 no name\n7 :\n7 :1.h\n6 :2.h\n8 :1.h\n", "1.h", 5, 9, 7, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        _cleanup_(takeover_done) struct takeover t = { .uidvalidity = 0 };
        const struct takeover_message *m = parsed(cases[i].text, &t, cases[i].base);
        if (!m)
            fail_msg("case %zu: not found", i);
        assert_int_equal(t.uidvalidity, cases[i].uidvalidity);
        assert_int_equal(t.uidnext, cases[i].uidnext);
        assert_int_equal(m->uid, cases[i].uid);
        assert_int_equal(m->vsize, cases[i].vsize);
    }
}

static void test_what_is_no_uid_list_is_none(void **state)
{
    static const char *const texts[] = { "", "\n", "3", "3 N5\n", "3 V0 N5\n", "3 Vx N5\n", "2 V5 N5\n", "1 5\n", "1 0 5\n", "1 x 5\n" };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct takeover t;
        if (takeover_parse(span_of(texts[i]), &t))
            fail_msg("taken: %s", texts[i]);
    }
}

/* ---- an account ---- */

static void write_text(const char *name, const char *text)
{
    char path[256];

    snprintf(path, sizeof path, "%s/%s", maildir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void make_maildir(void)
{
    char path[256];

    assert_int_equal(maildir_create(maildir), 0);
    snprintf(path, sizeof path, "%s/.Sent", maildir);
    assert_int_equal(maildir_create(path), 0);
}

static void test_a_mailbox_of_dovecot_keeps_uidvalidity_uids_and_keywords(void **state)
{
    (void)state;
    make_maildir();
    write_text("cur/100.a:2,Sa", "a: 1\n");
    write_text("cur/101.b:2,S", "a: 2\n");
    write_text("cur/102.c:2,", "a: 3\n");
    write_text("new/103.d", "a: 4\n");
    write_text("dovecot-uidlist", "3 V1500000000 N40 Gabc\n7 W6 :101.b\n12 :100.a:2,\n30 :gone\n31 :102.c\n");
    write_text("dovecot-keywords", "0 $Forwarded\n");
    _cleanup_(account_close_ptr_) struct account *a = open_account();
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);

    assert_int_equal(mailbox_uidvalidity(mb), 1500000000);
    assert_int_equal(mailbox_uidnext(mb), 41);
    assert_int_equal(mailbox_count(mb), 4);
    static const uint32_t uids[] = { 7, 12, 31, 40 };
    for (uint32_t seq = 1; seq <= 4; seq++)
        assert_int_equal(mailbox_entry(mb, seq)->uid, uids[seq - 1]);
    assert_int_equal(mailbox_entry(mb, 1)->vsize, 6);
    assert_string_equal(mailbox_keyword(mb, 0), "$Forwarded");
    assert_int_equal(mailbox_entry(mb, 2)->keywords, 1);
    assert_content(mb, 2, "a: 1\r\n");
    assert_int_equal(append(a, "INBOX", "a: 5\r\n", 0), 41);
    mailbox_close(mb);

    /* a mailbox that Dovecot had not seen has a UIDVALIDITY of its own */
    struct mailbox *sent = open_mailbox(a, "Sent", 0);
    assert_true(mailbox_uidvalidity(sent) > 1500000000);
    mailbox_close(sent);
}

static void test_a_uid_list_is_read_at_first_contact_and_never_again(void **state)
{
    char command[256];

    (void)state;
    make_maildir();
    write_text("cur/100.a:2,S", "a: 1\n");
    write_text("dovecot-uidlist", "3 V1500000000 N40\n7 :100.a\n");
    struct account *a = open_account();
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);
    assert_int_equal(mailbox_entry(mb, 1)->uid, 7);
    mailbox_close(mb);
    account_close(a);

    /* The index is lost: the old list does not know which UIDs we have given since. */
    snprintf(command, sizeof command, "rm -r %s/" INDEX_DIRECTORY, maildir);
    assert_int_equal(system(command), 0);
    a = open_account();
    mb = open_mailbox(a, "INBOX", 0);
    assert_int_not_equal(mailbox_uidvalidity(mb), 1500000000);
    mailbox_close(mb);
    account_close(a);
}

static void test_a_mailbox_of_courier_keeps_uids_keywords_and_subscriptions(void **state)
{
    _cleanup_(name_list_done) struct name_list subscribed = { 0 };
    char file[256], path[512];

    (void)state;
    make_maildir();
    write_text("cur/100.a:2,S", "a: 1\n");
    write_text("cur/101.b:2,S", "a: 2\n");
    write_text("courierimapuiddb", "1 1400000000 9\n3 101.b\n8 100.a\n");
    snprintf(file, sizeof file, "%s/courierimapkeywords", maildir);
    assert_int_equal(mkdir(file, 0700), 0);
    write_text("courierimapkeywords/:list", "Junk\n$Label1\n\n100.a:1\n101.b:0 1 9 x\nnone:0\n");
    write_text("courierimapsubscribed", "INBOX\nINBOX.Sent\nINBOX.A.B\nshared.x\nINBOX.Gr\xc3\xbc\xc3\x9f" "e.Sub\n");
    _cleanup_(account_close_ptr_) struct account *a = open_account();
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);

    assert_int_equal(mailbox_uidvalidity(mb), 1400000000);
    assert_int_equal(mailbox_uidnext(mb), 9);
    assert_int_equal(mailbox_entry(mb, 1)->uid, 3);
    assert_int_equal(mailbox_entry(mb, 2)->uid, 8);
    assert_string_equal(mailbox_keyword(mb, 0), "Junk");
    assert_string_equal(mailbox_keyword(mb, 1), "$Label1");
    assert_int_equal(mailbox_entry(mb, 1)->keywords, 3);
    assert_int_equal(mailbox_entry(mb, 2)->keywords, 2);
    cur_file("", 0, path, sizeof path);
    assert_non_null(strstr(path, "100.a:2,Sb"));    /* so that the keywords outlive the index */
    assert_content(mb, 2, "a: 1\r\n");
    assert_sync(mb, true, "");
    mailbox_close(mb);

    assert_int_equal(subscriptions_load(maildir, &subscribed), 0);
    assert_int_equal(subscribed.len, 4);
    assert_string_equal(subscribed.items[3], "Gr\xc3\xbc\xc3\x9f" "e/Sub");
    assert_string_equal(subscribed.items[1], "Sent");
    assert_string_equal(subscribed.items[2], "A/B");
}

/* Courier writes a changed message's keywords to a file of their own, and later another */
static void test_courier_s_latest_keywords_count(void **state)
{
    char file[256];

    (void)state;
    make_maildir();
    for (int i = 1; i <= 5; i++) {
        snprintf(file, sizeof file, "cur/10%d.h:2,", i);
        write_text(file, "a: 1\n");
    }
    write_text("courierimapuiddb", "1 1400000000 9\n1 101.h\n2 102.h\n3 103.h\n4 104.h\n5 105.h\n");
    snprintf(file, sizeof file, "%s/courierimapkeywords", maildir);
    assert_int_equal(mkdir(file, 0700), 0);
    write_text("courierimapkeywords/:list", "A\n\n101.h:0\n102.h:0\n103.h:0\n");
    write_text("courierimapkeywords/.500.102.h", "B\n");
    write_text("courierimapkeywords/.501.102.h", "C\n");
    write_text("courierimapkeywords/.499.103.h", "B\n");
    write_text("courierimapkeywords/103.h", "");
    write_text("courierimapkeywords/104.h", "A\nC\n");
    write_text("courierimapkeywords/.x.105.h", "A\n");
    write_text("courierimapkeywords/none.h", "Z\n");
    _cleanup_(account_close_ptr_) struct account *a = open_account();
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);
    static const char *const wanted[] = { "A", "C", "", "AC", "" };

    for (uint32_t seq = 1; seq <= 5; seq++) {
        for (size_t i = 0; i < mailbox_keywords(mb); i++) {
            bool has = mailbox_entry(mb, seq)->keywords & (uint64_t)1 << i;

            if (has != (strchr(wanted[seq - 1], mailbox_keyword(mb, i)[0]) != NULL))
                fail_msg("message %u, keyword %s", seq, mailbox_keyword(mb, i));
        }
    }
    mailbox_close(mb);
}

/* Courier 5: ".Grüße.Sub" */
static void test_folders_named_in_utf8_get_the_name_that_is_ours(void **state)
{
    static const char *const dirs[] = { ".Gr\xc3\xbc\xc3\x9f" "e", ".Gr\xc3\xbc\xc3\x9f" "e.Sub", ".A&B", ".bad\xff", ".&AGE-" };
    static const char *const names[] = { "INBOX", "A&B", "Gr\xc3\xbc\xc3\x9f" "e", "Gr\xc3\xbc\xc3\x9f" "e/Sub", "Sent" };
    struct mailbox_info *list;
    char path[512];
    size_t n;

    (void)state;
    make_maildir();
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", maildir, dirs[i]);
        assert_int_equal(maildir_create(path), 0);
    }
    snprintf(path, sizeof path, "%s/courierimapuiddb", dirs[1]);
    write_text(path, "1 1400000000 9\n8 100.a\n");
    snprintf(path, sizeof path, "%s/cur/100.a:2,", dirs[1]);
    write_text(path, "a: 1\n");

    _cleanup_(account_close_ptr_) struct account *a = open_account();
    for (int again = 0; again < 2; again++) {
        assert_int_equal(account_list(a, &list, &n), 0);
        assert_int_equal(n, 5);
        for (size_t i = 0; i < n; i++)
            assert_string_equal(list[i].name, names[i]);
        account_list_free(list, n);
    }
    struct mailbox *mb = open_mailbox(a, names[3], 0);
    assert_int_equal(mailbox_uidvalidity(mb), 1400000000);
    assert_int_equal(mailbox_entry(mb, 1)->uid, 8);
    mailbox_close(mb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_uid_list_of_each_form_is_read),
        cmocka_unit_test(test_what_is_no_uid_list_is_none),
        cmocka_unit_test_setup_teardown(test_a_mailbox_of_dovecot_keeps_uidvalidity_uids_and_keywords, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_uid_list_is_read_at_first_contact_and_never_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_courier_s_latest_keywords_count, setup, teardown),
        cmocka_unit_test_setup_teardown(test_folders_named_in_utf8_get_the_name_that_is_ours, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_mailbox_of_courier_keeps_uids_keywords_and_subscriptions, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
