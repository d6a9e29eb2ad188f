/* SPDX-License-Identifier: Apache-2.0 */
/* late_test.c - names of files that follow the flags of a STORE later: who finishes, and what others do meanwhile */
#include "mailbox/test_account.h"

#include <fnmatch.h>
#include <sys/prctl.h>

#include "base/mem.h"
#include "mailbox/internal.h"

enum { MESSAGES = 12 };

static struct account *open_late_account(void)
{
    struct account *a = open_account();

    a->late_min = 2;
    return a;
}

/* Names are "1.host" ...; all but the first have S. */
static void make_files(void)
{
    char path[200];

    maildir_create(maildir);
    for (int i = 0; i < MESSAGES; i++) {
        snprintf(path, sizeof path, "%s/cur/%d.host:2,%s", maildir, 100 + i, i ? "S" : "");
        FILE *f = fopen(path, "w");
        fprintf(f, "number: %d\n\n", i);
        fclose(f);
    }
    tick();
}

/* How many names in cur/ are like this? */
static int count_names(const char *pattern)
{
    char path[200];
    int n = 0;

    snprintf(path, sizeof path, "%s/cur", maildir);
    DIR *d = opendir(path);
    for (struct dirent *e; (e = readdir(d));)
        n += fnmatch(pattern, e->d_name, 0) == 0;
    closedir(d);
    return n;
}

static void rename_by_other(const char *from, const char *to)
{
    char old[200], new[200];

    snprintf(old, sizeof old, "%s/cur/%s", maildir, from);
    snprintf(new, sizeof new, "%s/cur/%s", maildir, to ? to : "");
    assert_int_equal(to ? rename(old, new) : unlink(old), 0);
}

static void store_at_once(struct mailbox *mb, enum flags_mode mode, uint32_t flags)
{
    uint32_t seqs[MESSAGES];

    for (uint32_t i = 0; i < MESSAGES; i++)
        seqs[i] = i + 1;
    assert_int_equal(mailbox_store(mb, seqs, MESSAGES, mode, flags, 0, UINT64_MAX, NULL, NULL), 0);
}

static void store(struct mailbox *mb, enum flags_mode mode, uint32_t flags)
{
    mailbox_allow_late_names(mb);
    store_at_once(mb, mode, flags);
}

static void assert_flags(struct mailbox *mb, uint32_t seq, uint32_t want)
{
    if (mailbox_entry(mb, seq)->flags != want)
        fail_msg("message %u has flags %x, not %x", seq, mailbox_entry(mb, seq)->flags, want);
}

static void assert_all_flagged(struct mailbox *mb)
{
    assert_int_equal(mailbox_count(mb), MESSAGES);
    for (uint32_t seq = 1; seq <= MESSAGES; seq++)
        assert_flags(mb, seq, MAIL_FLAGGED | (seq > 1 ? MAIL_SEEN : 0));
}

/* A session of its own that does something and is killed */
static void run_killed(void (*fn)(void))
{
    int status;

    if (fork() == 0) {
        prctl(PR_SET_DUMPABLE, 0);
        fn();
        raise(SIGKILL);
    }
    wait(&status);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void flag_all_late(void)
{
    struct mailbox *mb = open_mailbox(open_late_account(), "INBOX", 0);

    store(mb, FLAGS_ADD, MAIL_FLAGGED);
    assert_true(mailbox_has_late_names(mb));
}

/* ---- tests ---- */

static void test_names_follow_when_the_client_has_its_answer(void **state)
{
    (void)state;
    make_files();
    _cleanup_(account_close_ptr_) struct account *a = open_late_account();
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);
    uint64_t before = mailbox_highestmodseq(mb);

    store(mb, FLAGS_ADD, MAIL_FLAGGED);
    assert_true(mailbox_has_late_names(mb));
    assert_int_equal(count_names("*:2,F*"), 1); /* the one that shows that it can be done */
    assert_all_flagged(mb);
    assert_sync(mb, true, "");
    assert_int_equal(mailbox_highestmodseq(mb), before + 1);
    assert_int_equal(mailbox_finish_names(mb), 0);
    assert_false(mailbox_has_late_names(mb));
    assert_int_equal(count_names("*:2,F*"), MESSAGES);
    assert_int_equal(count_names("*:2,FS"), MESSAGES - 1);
    assert_sync(mb, true, "");
    assert_int_equal(mailbox_highestmodseq(mb), before + 1);
    store(mb, FLAGS_REMOVE, MAIL_FLAGGED);
    mailbox_close(mb);
    assert_int_equal(count_names("*:2,F*"), 0);
}

static void test_nobody_is_late_who_did_not_say_that_he_finishes(void **state)
{
    (void)state;
    make_files();
    _cleanup_(account_close_ptr_) struct account *a = open_late_account();
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);

    store_at_once(mb, FLAGS_ADD, MAIL_FLAGGED);
    assert_false(mailbox_has_late_names(mb));
    assert_int_equal(count_names("*:2,F*"), MESSAGES);
    a->late_min = MESSAGES + 1;
    store(mb, FLAGS_REMOVE, MAIL_FLAGGED);
    assert_false(mailbox_has_late_names(mb));
    assert_int_equal(count_names("*:2,F*"), 0);
    a->late_min = 2;
    store(mb, FLAGS_ADD, MAIL_FLAGGED);
    assert_true(mailbox_has_late_names(mb));
    store_at_once(mb, FLAGS_REMOVE, MAIL_FLAGGED);      /* what was allowed was for one */
    assert_false(mailbox_has_late_names(mb));
    assert_int_equal(count_names("*:2,F*"), 0);
    mailbox_close(mb);
}

static void open_it(struct account *a)
{
    mailbox_close(open_mailbox(a, "INBOX", 0));
}

static void make_indexed_files(void)
{
    _cleanup_(account_close_ptr_) struct account *a = NULL;

    make_files();
    a = open_account();
    open_it(a);
}

static void ask_status(struct account *a)
{
    struct mailbox_status st;

    assert_int_equal(account_status(a, INBOX, &st), 0);
    assert_int_equal(st.messages, MESSAGES);
}

static void copy_some(struct account *a)
{
    uint32_t seqs[] = { 1, 2, 3 }, uids[3], validity;
    struct mailbox *mb;

    assert_int_equal(mailbox_load(a, INBOX, 0, &mb), 0); /* no look at the directory */
    account_create(a, span_of("Other"));
    assert_int_equal(mailbox_copy(mb, seqs, 3, span_of("Other"), false, &validity, uids), 0);
    mailbox_close(mb);
    mb = open_mailbox(a, "Other", 0);
    assert_flags(mb, 3, MAIL_FLAGGED | MAIL_SEEN);
    mailbox_close(mb);
}

static void store_again(struct account *a)
{
    struct mailbox *mb;

    assert_int_equal(mailbox_load(a, INBOX, 0, &mb), 0);
    a->late_min = 2;
    store(mb, FLAGS_ADD, MAIL_ANSWERED);
    store(mb, FLAGS_REMOVE, MAIL_ANSWERED);
    assert_int_equal(mailbox_finish_names(mb), 0);
    mailbox_close(mb);
}

static void read_message(struct account *a)
{
    struct mailbox *mb;

    assert_int_equal(mailbox_load(a, INBOX, 0, &mb), 0);
    assert_content(mb, 5, "number: 4\r\n\r\n");
    mailbox_close(mb);
}

static void append_one(struct account *a)
{
    append(a, "INBOX", "a: b\r\n\r\n", 0);
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);
    assert_int_equal(mailbox_count(mb), MESSAGES + 1);
    mailbox_remove(mb, &(uint32_t){ mailbox_entry(mb, MESSAGES + 1)->uid }, 1);
    mailbox_close(mb);
}

static void rename_mailbox(struct account *a)
{
    struct mailbox *mb;

    assert_int_equal(account_create(a, span_of("Box")), 0);
    assert_int_equal(account_rename(a, INBOX, span_of("Moved")), 0);
    mb = open_mailbox(a, "Moved", 0);
    assert_all_flagged(mb);
    mailbox_close(mb);
}

/* A session is killed before it has renamed files: whatever the next one does, all is as the client was told. */
static void test_whoever_comes_after_a_crash_finishes(void **state)
{
    static const struct {
        const char *name;
        void (*run)(struct account *a);
        bool moved;
    } cases[] = {
        { "open", open_it, false },
        { "status", ask_status, false },
        { "copy", copy_some, false },
        { "store", store_again, false },
        { "read", read_message, false },
        { "append", append_one, false },
        { "rename", rename_mailbox, true },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        make_indexed_files();
        run_killed(flag_all_late);
        assert_true(count_names("*:2,F*") < 2);
        print_message("%s\n", cases[i].name);
        struct account *a = open_account();
        cases[i].run(a);
        if (!cases[i].moved) {
            struct mailbox *mb = open_mailbox(a, "INBOX", 0);
            assert_all_flagged(mb);
            assert_int_equal(count_names("*:2,F*"), MESSAGES);
            assert_sync(mb, true, "");
            mailbox_close(mb);
        }
        account_close(a);
        teardown(state);
        setup(state);
    }
}

static void test_a_session_that_was_killed_half_way_is_continued(void **state)
{
    (void)state;
    make_indexed_files();
    run_killed(flag_all_late);
    rename_by_other("104.host:2,S", "104.host:2,FS");
    rename_by_other("105.host:2,S", "105.host:2,FS");
    _cleanup_(account_close_ptr_) struct account *a = open_account();
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);
    assert_all_flagged(mb);
    assert_int_equal(count_names("*:2,F*"), MESSAGES);
    mailbox_close(mb);
}

static void test_what_other_programs_do_meanwhile_stays(void **state)
{
    (void)state;
    make_files();
    _cleanup_(account_close_ptr_) struct account *a = open_late_account(), *b = open_account();
    struct mailbox *mb = open_mailbox(a, "INBOX", 0), *other = open_mailbox(b, "INBOX", 0);

    store(mb, FLAGS_ADD, MAIL_FLAGGED);
    rename_by_other("103.host:2,S", "103.host:2,RSa");      /* one flag and a keyword more */
    rename_by_other("104.host:2,S", "104.host:2,");         /* one less */
    rename_by_other("105.host:2,S", NULL);
    rename_by_other("106.host:2,S", "106.host:2,FS");       /* the same as we */
    rename_by_other("107.host:2,S", "../new/107.host");
    uint64_t before = mailbox_highestmodseq(mb);
    assert_int_equal(mailbox_finish_names(mb), 0);
    assert_int_equal(count_names("103.host:2,FRSa"), 1);
    assert_int_equal(count_names("104.host:2,F"), 1);
    assert_int_equal(count_names("*:2,F*"), MESSAGES - 1);
    assert_sync(mb, true, "expunge 6 uid 6;flags 4;flags 5;flags 7;");
    assert_flags(mb, 4, MAIL_FLAGGED | MAIL_ANSWERED | MAIL_SEEN);
    assert_flags(mb, 5, MAIL_FLAGGED);
    assert_flags(mb, 6, MAIL_FLAGGED | MAIL_SEEN);
    assert_flags(mb, 7, MAIL_FLAGGED);
    assert_true(mailbox_highestmodseq(mb) > before);
    assert_int_equal(mailbox_sync(other, true, NULL), 0);
    assert_int_equal(mailbox_count(other), MESSAGES - 1);
    assert_flags(other, 4, MAIL_FLAGGED | MAIL_ANSWERED | MAIL_SEEN);
    mailbox_close(mb);
    mailbox_close(other);
}

static void test_another_session_sees_the_flags_and_finishes(void **state)
{
    (void)state;
    make_files();
    _cleanup_(account_close_ptr_) struct account *a = open_late_account(), *b = open_account();
    struct mailbox *mb = open_mailbox(a, "INBOX", 0), *other = open_mailbox(b, "INBOX", MAILBOX_READ_ONLY);

    store(mb, FLAGS_ADD, MAIL_FLAGGED);
    assert_int_equal(mailbox_sync(other, true, NULL), 0);
    assert_all_flagged(other);
    assert_int_equal(count_names("*:2,F*"), MESSAGES);
    assert_int_equal(mailbox_finish_names(mb), 0);
    assert_sync(mb, true, "");
    mailbox_close(mb);
    mailbox_close(other);
}

static void test_messages_may_be_expunged_while_names_are_late(void **state)
{
    (void)state;
    make_files();
    _cleanup_(account_close_ptr_) struct account *a = open_late_account(), *b = open_account();
    struct mailbox *mb = open_mailbox(a, "INBOX", 0), *other = open_mailbox(b, "INBOX", 0);

    store(mb, FLAGS_ADD, MAIL_DELETED);
    assert_int_equal(mailbox_expunge(other, (uint32_t[]){ 2, 3 }, 2), 0);
    assert_int_equal(mailbox_finish_names(mb), 0);
    assert_sync(mb, true, "expunge 3 uid 3;expunge 2 uid 2;");
    store(mb, FLAGS_REMOVE, MAIL_SEEN);
    assert_int_equal(mailbox_expunge(mb, NULL, 0), 0);
    assert_int_equal(count_names("*.host*"), 0);
    mailbox_close(mb);
    mailbox_close(other);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_names_follow_when_the_client_has_its_answer),
        TEST(test_nobody_is_late_who_did_not_say_that_he_finishes),
        TEST(test_whoever_comes_after_a_crash_finishes),
        TEST(test_a_session_that_was_killed_half_way_is_continued),
        TEST(test_what_other_programs_do_meanwhile_stays),
        TEST(test_another_session_sees_the_flags_and_finishes),
        TEST(test_messages_may_be_expunged_while_names_are_late),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
