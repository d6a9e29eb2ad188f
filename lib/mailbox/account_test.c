/* SPDX-License-Identifier: Apache-2.0 */
/* account_test.c - messages through the index, with other programs and sessions at work beside it */
#include "mailbox/test_account.h"

#include "base/mem.h"
#include "mailbox/internal.h"

/* ---- messages ---- */

static void test_a_delivered_message_has_a_uid_and_keeps_it(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = NULL;
    uint32_t uidvalidity;

    (void)state;
    deliver("a: 1\r\n");
    deliver("a: 2\r\n\r\nx\r\n");
    a = open_account();
    struct mailbox *mb = open_mailbox(a, "inbox", 0);
    assert_int_equal(mailbox_count(mb), 2);
    uidvalidity = mailbox_uidvalidity(mb);
    assert_int_equal(mailbox_entry(mb, 1)->uid, 1);
    assert_int_equal(mailbox_entry(mb, 2)->uid, 2);
    assert_true(mailbox_entry(mb, 1)->recent);
    assert_int_equal(mailbox_entry(mb, 2)->vsize, 11);
    assert_true(labs(mailbox_entry(mb, 2)->received - time(NULL)) < 5);
    assert_content(mb, 1, "a: 1\r\n");
    assert_content(mb, 2, "a: 2\r\n\r\nx\r\n");
    mailbox_close(mb);

    mb = open_mailbox(a, "INBOX", 0);
    assert_int_equal(mailbox_uidvalidity(mb), uidvalidity);
    assert_int_equal(mailbox_count(mb), 2);
    assert_int_equal(mailbox_uidnext(mb), 3);
    assert_false(mailbox_entry(mb, 1)->recent);
    deliver("a: 3\r\n");
    assert_sync(mb, true, "exists 3 recent 1;");
    assert_int_equal(mailbox_entry(mb, 3)->uid, 3);
    assert_sync(mb, true, "");
    mailbox_close(mb);
}

static void test_a_read_only_session_leaves_messages_recent(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account();
    struct mailbox_status st;

    (void)state;
    deliver("a: 1\r\n");
    assert_int_equal(account_status(a, INBOX, &st), 0);
    assert_int_equal(st.messages, 1);
    assert_int_equal(st.recent, 1);
    assert_int_equal(st.unseen, 1);
    assert_int_equal(st.uidnext, 2);
    deliver("a: 2\r\n");
    assert_int_equal(account_status(a, INBOX, &st), 0);
    assert_int_equal(st.recent, 2);
    assert_int_equal(st.uidnext, 3);
    struct mailbox *mb = open_mailbox(a, "INBOX", MAILBOX_READ_ONLY);
    assert_true(mailbox_entry(mb, 1)->recent);
    assert_content(mb, 1, "a: 1\r\n");
    mailbox_close(mb);
    mb = open_mailbox(a, "INBOX", 0);
    assert_true(mailbox_entry(mb, 1)->recent);
    assert_int_equal(mailbox_entry(mb, 1)->uid, 1);
    assert_content(mb, 1, "a: 1\r\n");
    mailbox_close(mb);
    assert_int_equal(account_status(a, INBOX, &st), 0);
    assert_int_equal(st.recent, 0);
}

static void test_flags_are_in_the_file_name_and_seen_by_another_session(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account(), *b = open_account();
    uint32_t seqs[] = { 1 };
    char path[512];

    (void)state;
    deliver("a: 1\r\n");
    deliver("a: 2\r\n");
    struct mailbox *x = open_mailbox(a, "INBOX", 0), *y = open_mailbox(b, "INBOX", 0);
    uint64_t modseq = mailbox_highestmodseq(x);
    int bit = mailbox_keyword_make(x, (struct span)SPAN("$Forwarded"));
    assert_int_equal(bit, 0);
    assert_int_equal(mailbox_store(x, seqs, 1, FLAGS_ADD, MAIL_SEEN | MAIL_FLAGGED, 1u << bit, UINT64_MAX, NULL,
                                   NULL), 0);
    assert_int_equal(mailbox_entry(x, 1)->flags, MAIL_SEEN | MAIL_FLAGGED);
    assert_true(mailbox_entry(x, 1)->modseq > modseq);
    cur_file("", 0, path, sizeof path);
    assert_string_equal(strchr(path, ':'), ":2,FSa");
    assert_sync(x, true, "");
    assert_sync(y, true, "flags 1;");
    assert_int_equal(mailbox_entry(y, 1)->flags, MAIL_SEEN | MAIL_FLAGGED);
    assert_int_equal(mailbox_entry(y, 1)->keywords, 1);
    assert_string_equal(mailbox_keyword(y, 0), "$Forwarded");
    assert_int_equal(mailbox_entry(y, 1)->modseq, mailbox_entry(x, 1)->modseq);
    assert_int_equal(mailbox_store(y, seqs, 1, FLAGS_REMOVE, MAIL_SEEN, 0, UINT64_MAX, NULL, NULL), 0);
    assert_int_equal(mailbox_store(y, seqs, 1, FLAGS_SET, MAIL_DRAFT, 0, UINT64_MAX, NULL, NULL), 0);
    assert_sync(x, true, "flags 1;");
    assert_int_equal(mailbox_entry(x, 1)->flags, MAIL_DRAFT);
    assert_int_equal(mailbox_entry(x, 1)->keywords, 0);
    assert_content(x, 1, "a: 1\r\n");
    mailbox_close(x);
    mailbox_close(y);
}

static void test_a_conditional_store_leaves_changed_messages_alone(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account();
    uint32_t seqs[] = { 1, 2 };
    struct seen s = { "" };

    (void)state;
    deliver("a: 1\r\n");
    deliver("a: 2\r\n");
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);
    uint64_t before = mailbox_highestmodseq(mb);
    assert_int_equal(mailbox_store(mb, seqs, 1, FLAGS_ADD, MAIL_SEEN, 0, UINT64_MAX, NULL, NULL), 0);
    assert_int_equal(mailbox_store(mb, seqs, 2, FLAGS_ADD, MAIL_DELETED, 0, before, on_flags, &s), 0);
    assert_string_equal(s.text, "flags 1;");
    assert_int_equal(mailbox_entry(mb, 1)->flags, MAIL_SEEN);
    assert_int_equal(mailbox_entry(mb, 2)->flags, MAIL_DELETED);
    mailbox_close(mb);
}

static void test_expunged_messages_keep_their_number_until_told(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account(), *b = open_account();
    uint32_t seqs[] = { 1, 3 };

    (void)state;
    deliver("a: 1\r\n");
    deliver("a: 2\r\n");
    deliver("a: 3\r\n");
    struct mailbox *x = open_mailbox(a, "INBOX", 0), *y = open_mailbox(b, "INBOX", 0);
    assert_int_equal(mailbox_store(x, seqs, 2, FLAGS_ADD, MAIL_DELETED, 0, UINT64_MAX, NULL, NULL), 0);
    assert_int_equal(mailbox_expunge(x, NULL, 0), 0);
    assert_sync(x, true, "expunge 3 uid 3;expunge 1 uid 1;");
    assert_int_equal(mailbox_count(x), 1);
    assert_content(x, 1, "a: 2\r\n");

    assert_sync(y, false, "");
    assert_int_equal(mailbox_count(y), 3);
    assert_true(mailbox_entry(y, 1)->expunged);
    assert_false(mailbox_entry(y, 2)->expunged);
    assert_int_equal(mailbox_open_message(y, 1), -ENOENT);
    assert_int_equal(mailbox_store(y, seqs, 2, FLAGS_ADD, MAIL_SEEN, 0, UINT64_MAX, NULL, NULL), 0);
    assert_sync(y, true, "expunge 3 uid 3;expunge 1 uid 1;");
    deliver("a: 4\r\n");
    assert_sync(y, true, "exists 2 recent 1;");
    assert_int_equal(mailbox_entry(y, 2)->uid, 4);
    mailbox_close(x);
    mailbox_close(y);
}

static void test_only_the_given_uids_are_expunged(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account();
    uint32_t seqs[] = { 1, 2 }, uids[] = { 2, 3, 99 };

    (void)state;
    for (int i = 0; i < 3; i++)
        deliver("a: 1\r\n");
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);
    assert_int_equal(mailbox_store(mb, seqs, 2, FLAGS_ADD, MAIL_DELETED, 0, UINT64_MAX, NULL, NULL), 0);
    assert_int_equal(mailbox_expunge(mb, uids, 3), 0);
    assert_sync(mb, true, "expunge 2 uid 2;");
    assert_int_equal(mailbox_remove(mb, uids, 3), 0);
    assert_sync(mb, true, "expunge 2 uid 3;");
    mailbox_close(mb);
}

static void test_an_appended_message_has_its_flags_date_and_keywords(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account();
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);

    (void)state;
    assert_int_equal(append(a, "INBOX", "a: 1\r\n", MAIL_SEEN), 1);
    assert_int_equal(append(a, "INBOX", "a: 2\r\n", 0), 2);
    assert_sync(mb, true, "exists 2 recent 0;");
    assert_int_equal(mailbox_entry(mb, 1)->flags, MAIL_SEEN);
    assert_int_equal(mailbox_entry(mb, 1)->keywords, 1);
    assert_string_equal(mailbox_keyword(mb, 0), "$Label1");
    assert_int_equal(mailbox_entry(mb, 1)->received, 1234567890);
    assert_content(mb, 2, "a: 2\r\n");
    mailbox_close(mb);
    mb = open_mailbox(a, "INBOX", 0);
    assert_int_equal(mailbox_count(mb), 2);
    assert_int_equal(mailbox_entry(mb, 2)->uid, 2);
    mailbox_close(mb);
}

static void test_copied_and_moved_messages_get_new_uids(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account();
    uint32_t seqs[] = { 2, 3 }, uids[2], uidvalidity;

    (void)state;
    assert_int_equal(account_create(a, span_of("Other")), 0);
    append(a, "Other", "a: 0\r\n", 0);
    append(a, "INBOX", "a: 1\r\n", 0);
    append(a, "INBOX", "a: 2\r\n", MAIL_FLAGGED);
    append(a, "INBOX", "a: 3\r\n", 0);
    struct mailbox *mb = open_mailbox(a, "INBOX", 0), *other;
    assert_int_equal(mailbox_copy(mb, seqs, 2, span_of("Other"), false, &uidvalidity, uids), 0);
    assert_int_equal(uids[0], 2);
    assert_int_equal(uids[1], 3);
    assert_sync(mb, true, "");
    assert_int_equal(mailbox_copy(mb, seqs, 2, span_of("Other"), true, &uidvalidity, uids), 0);
    assert_int_equal(uids[1], 5);
    assert_sync(mb, true, "expunge 3 uid 3;expunge 2 uid 2;");
    other = open_mailbox(a, "Other", 0);
    assert_int_equal(mailbox_uidvalidity(other), uidvalidity);
    assert_int_equal(mailbox_count(other), 5);
    assert_int_equal(mailbox_entry(other, 2)->flags, MAIL_FLAGGED);
    assert_int_equal(mailbox_entry(other, 2)->received, 1234567890);
    assert_string_equal(mailbox_keyword(other, 0), "$Label1");
    assert_int_equal(mailbox_entry(other, 2)->keywords, 1);
    assert_content(other, 2, "a: 2\r\n");
    assert_content(other, 5, "a: 3\r\n");
    mailbox_close(other);
    assert_int_equal(mailbox_copy(mb, seqs, 1, span_of("None"), false, &uidvalidity, uids), -ENOENT);
    seqs[0] = 1;
    assert_int_equal(mailbox_copy(mb, seqs, 1, INBOX, false, &uidvalidity, uids), 0);
    assert_sync(mb, true, "exists 2 recent 0;");
    mailbox_close(mb);
}

static void test_a_copy_is_all_or_nothing(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account();
    uint32_t seqs[] = { 1, 2 }, uids[2], uidvalidity;
    char path[512];
    struct mailbox_status st;

    (void)state;
    assert_int_equal(account_create(a, span_of("Other")), 0);
    append(a, "INBOX", "a: 1\r\n", 0);
    append(a, "INBOX", "a: 2\r\n", 0);
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);
    cur_file("", 1, path, sizeof path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mailbox_copy(mb, seqs, 2, span_of("Other"), true, &uidvalidity, uids), -ESTALE);
    assert_int_equal(account_status(a, span_of("Other"), &st), 0);
    assert_int_equal(st.messages, 0);
    assert_sync(mb, true, "expunge 2 uid 2;");
    assert_content(mb, 1, "a: 1\r\n");
    mailbox_close(mb);
}

/* ---- several at once ---- */

enum { SESSIONS = 3, MESSAGES = 150 };

/* One session: look again and again until all messages have come, then check that UIDs are in order, each
 * content is there once, and tell the others what has which UID. */
static void run_session(int out)
{
    struct account *a = open_account();
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);
    uint32_t uids[MESSAGES] = { 0 };

    while (mailbox_count(mb) < MESSAGES)
        assert_int_equal(mailbox_sync(mb, true, NULL), 0);
    for (uint32_t seq = 1; seq <= MESSAGES; seq++) {
        _cleanup_(str_free) struct str text = STR_INIT;
        _cleanup_close_ int fd = mailbox_open_message(mb, seq);
        uint64_t n = 0;

        assert_true(fd >= 0);
        assert_int_equal(maildir_read_crlf(fd, 1000, &text), 0);
        assert_int_equal(span_u64(span_trim(span_from(str_span(&text), 3)), MESSAGES - 1, &n), 0);
        assert_int_equal(uids[n], 0);
        uids[n] = mailbox_entry(mb, seq)->uid;
    }
    assert_int_equal(mailbox_uidnext(mb), MESSAGES + 1);
    assert_int_equal(write(out, uids, sizeof uids), sizeof uids);
    mailbox_close(mb);
    account_close(a);
}

static void test_sessions_and_deliveries_at_once_agree_on_uids(void **state)
{
    uint32_t first[MESSAGES], other[MESSAGES];
    int pipes[SESSIONS][2];

    (void)state;
    for (int i = 0; i < SESSIONS; i++) {
        assert_int_equal(pipe(pipes[i]), 0);
        if (fork() == 0) {
            run_session(pipes[i][1]);
            _exit(0);
        }
        close(pipes[i][1]);
    }
    for (int i = 0; i < MESSAGES; i++) {
        char text[32];

        snprintf(text, sizeof text, "a: %d\r\n", i);
        deliver(text);
    }
    for (int i = 0; i < SESSIONS; i++) {
        uint32_t *uids = i == 0 ? first : other;

        assert_int_equal(read(pipes[i][0], uids, sizeof first), sizeof first);
        assert_memory_equal(first, uids, sizeof first);
        close(pipes[i][0]);
        wait(NULL);
    }
}

/* ---- other programs ---- */

static void test_what_another_program_does_is_found(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account();
    char path[512], to[600];

    (void)state;
    append(a, "INBOX", "a: 1\r\n", 0);
    append(a, "INBOX", "a: 2\r\n", 0);
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);
    tick();
    assert_sync(mb, true, "");
    cur_file("", 0, path, sizeof path);
    snprintf(to, sizeof to, "%s", path);
    *strchr(to, ':') = '\0';
    memcpy(to + strlen(to), ":2,RS", 6);
    assert_int_equal(rename(path, to), 0);
    assert_content(mb, 1, "a: 1\r\n"); /* found although it has been renamed */
    assert_sync(mb, true, "flags 1;");
    assert_int_equal(mailbox_entry(mb, 1)->flags, MAIL_ANSWERED | MAIL_SEEN);
    tick();
    assert_int_equal(unlink(to), 0);
    assert_sync(mb, true, "expunge 1 uid 1;");
    tick();
    snprintf(to, sizeof to, "%s/cur/1234567890.foreign:2,T", maildir);
    int fd = open(to, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, "x: y\n\nz\n", 8), 8);
    close(fd);
    assert_sync(mb, true, "exists 2 recent 0;");
    assert_int_equal(mailbox_entry(mb, 2)->uid, 3);
    assert_int_equal(mailbox_entry(mb, 2)->flags, MAIL_DELETED);
    assert_int_equal(mailbox_entry(mb, 2)->vsize, 0);
    assert_int_equal(mailbox_measure(mb, 1, 2), 0);
    assert_int_equal(mailbox_entry(mb, 2)->vsize, 11);
    mailbox_close(mb);
    mb = open_mailbox(a, "INBOX", 0);
    assert_int_equal(mailbox_entry(mb, 2)->vsize, 11);
    mailbox_close(mb);
}

static void test_a_message_taken_from_new_by_another_program_keeps_its_uid(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account();
    struct mailbox_status st;
    char command[300];

    (void)state;
    deliver("a: 1\r\n");
    assert_int_equal(account_status(a, INBOX, &st), 0);
    assert_int_equal(st.uidnext, 2);
    tick();
    snprintf(command, sizeof command, "cd %s; for f in new/*; do mv $f cur/${f#new/}:2,S; done", maildir);
    assert_int_equal(system(command), 0);
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);
    assert_int_equal(mailbox_count(mb), 1);
    assert_int_equal(mailbox_entry(mb, 1)->uid, 1);
    assert_int_equal(mailbox_entry(mb, 1)->flags, MAIL_SEEN);
    assert_int_equal(mailbox_uidnext(mb), 2);
    mailbox_close(mb);
}

static void test_uids_are_never_used_twice(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account();
    uint32_t seq = 1;

    (void)state;
    for (uint32_t uid = 1; uid <= 5; uid++) {
        deliver("a: 1\r\n");
        struct mailbox *mb = open_mailbox(a, "INBOX", 0);
        assert_int_equal(mailbox_count(mb), 1);
        assert_int_equal(mailbox_entry(mb, 1)->uid, uid);
        assert_int_equal(mailbox_store(mb, &seq, 1, FLAGS_ADD, MAIL_DELETED, 0, UINT64_MAX, NULL, NULL), 0);
        assert_int_equal(mailbox_expunge(mb, NULL, 0), 0);
        mailbox_close(mb);
    }
}

static void test_a_watched_mailbox_wakes_up(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account();
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);
    struct pollfd p = { .fd = mailbox_watch(mb), .events = POLLIN };

    (void)state;
    assert_true(p.fd >= 0);
    assert_int_equal(poll(&p, 1, 0), 0);
    deliver("a: 1\r\n");
    assert_int_equal(poll(&p, 1, 1000), 1);
    assert_sync(mb, true, "exists 1 recent 1;");
    mailbox_watch_clear(mb);
    assert_int_equal(poll(&p, 1, 0), 0);
    mailbox_close(mb);
}

/* ---- what costs a reading of cur/ ---- */

static void get_record(struct account *a, struct index_mailbox *rec, uint64_t *ret_stamp)
{
    _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;
    _cleanup_(folder_done) struct folder f = FOLDER_INIT;

    assert_int_equal(folder_open(a, INBOX, &f), 0);
    assert_int_equal(index_begin_read(a->index, &t), 0);
    assert_int_equal(index_mailbox_get(&t, f.id, rec), 0);
    *ret_stamp = folder_stamp(&f, "cur");
}

static void make_file(const char *name)
{
    char path[200];

    snprintf(path, sizeof path, "%s/cur/%s", maildir, name);
    close(open(path, O_WRONLY | O_CREAT, 0600));
}

static void test_our_own_changes_are_accounted_although_cur_was_read_a_moment_ago(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account();
    struct timespec soon[2] = { { .tv_sec = time(NULL) + 2 }, { .tv_sec = time(NULL) + 2 } };
    struct index_mailbox rec;
    uint64_t stamp;
    char cur[100];

    (void)state;
    make_file("1.M1P1.h,S=0,W=0:2,");
    snprintf(cur, sizeof cur, "%s/cur", maildir);
    utimensat(AT_FDCWD, cur, soon, 0); /* whatever the load, the last change is not 20 ms ago */
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);
    get_record(a, &rec, &stamp);
    assert_int_equal(rec.touched, INDEX_UNSETTLED);
    append(a, "INBOX", "a: 1\r\n", 0);
    assert_sync(mb, true, "exists 2 recent 0;");
    get_record(a, &rec, &stamp);
    assert_true(rec.cur_stamp == stamp);

    /* What the first reading may have missed is found when the directory has been quiet. */
    tick();
    assert_sync(mb, true, "");
    get_record(a, &rec, &stamp);
    assert_int_equal(rec.touched, INDEX_SETTLED);
    mailbox_close(mb);
}

static void test_a_foreign_file_in_the_tick_of_the_reading_is_found(void **state)
{
    _cleanup_(account_close_ptr_) struct account *a = open_account();
    struct timespec soon[2];
    char cur[100];

    (void)state;
    make_file("1.M1P1.h,S=0,W=0:2,");
    snprintf(cur, sizeof cur, "%s/cur", maildir);
    clock_gettime(CLOCK_REALTIME, &soon[0]);
    soon[0].tv_sec++;
    soon[1] = soon[0];
    utimensat(AT_FDCWD, cur, soon, 0);
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);
    assert_int_equal(mailbox_count(mb), 1);
    make_file("2.M1P1.h,S=0,W=0:2,");
    utimensat(AT_FDCWD, cur, soon, 0); /* as if no time had passed */
    nanosleep(&(struct timespec){ .tv_sec = 1, .tv_nsec = 50 * 1000 * 1000 }, NULL);
    assert_sync(mb, true, "exists 2 recent 0;");
    mailbox_close(mb);
}

/* ---- size ---- */

static void test_a_large_mailbox_opens_from_the_index(void **state)
{
    enum { N = 20000 };
    _cleanup_(account_close_ptr_) struct account *a = open_account();
    char path[200];

    (void)state;
    for (int i = 0; i < N; i++) {
        snprintf(path, sizeof path, "%s/cur/%d.M%dP1.h,S=10,W=12:2,%s", maildir, 1000000 + i / 10, i % 10,
                 i % 2 ? "S" : "");
        close(open(path, O_WRONLY | O_CREAT, 0600));
    }
    tick();
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);
    assert_int_equal(mailbox_count(mb), N);
    mailbox_close(mb);
    /* Without access to cur/ the index is all there is. */
    snprintf(path, sizeof path, "%s/cur", maildir);
    assert_int_equal(chmod(path, 0), 0);
    mb = open_mailbox(a, "INBOX", 0);
    assert_int_equal(chmod(path, 0700), 0);
    assert_int_equal(mailbox_count(mb), N);
    for (uint32_t seq = 1; seq <= N; seq++) {
        assert_int_equal(mailbox_entry(mb, seq)->uid, seq);
        assert_int_equal(mailbox_entry(mb, seq)->flags, seq % 2 ? 0 : MAIL_SEEN);
    }
    assert_int_equal(mailbox_seq(mb, 777), 777);
    assert_int_equal(mailbox_seq_from(mb, N + 10), N + 1);
    mailbox_close(mb);
    struct mailbox_status st;
    assert_int_equal(account_status(a, INBOX, &st), 0);
    assert_int_equal(st.unseen, N / 2);
    assert_int_equal(st.size, N * 12);
}

/* SELECT tells the counters first; what others do before the messages are read is told as a change, like any other. */
static void test_a_mailbox_opened_by_its_counters_has_the_messages_of_that_moment(void **state)
{
    enum { N = 1500, UNSEEN = 40 };
    _cleanup_(account_close_ptr_) struct account *a = open_account(), *other = open_account();
    uint32_t changed = 3, gone = 2, unseen;
    char path[200];

    (void)state;
    for (int i = 1; i <= N; i++) {
        snprintf(path, sizeof path, "%s/cur/%d.M1P1.h,S=10,W=12:2,%s", maildir, 1000000 + i, i < UNSEEN ? "S" : "");
        close(open(path, O_WRONLY | O_CREAT, 0600));
    }
    deliver("a: 1\r\n");
    struct mailbox *mb = open_mailbox(a, "INBOX", MAILBOX_COUNTS_FIRST), *theirs = open_mailbox(other, "INBOX", 0);

    assert_false(mailbox_is_complete(mb));
    assert_true(mailbox_is_complete(theirs));
    assert_int_equal(mailbox_count(mb), N + 1);
    assert_int_equal(mailbox_recent(mb), 1);
    assert_int_equal(mailbox_first_unseen(mb, &unseen), 0);
    assert_int_equal(unseen, UNSEEN);
    assert_int_equal(mailbox_store(theirs, &changed, 1, FLAGS_SET, MAIL_FLAGGED, 0, UINT64_MAX, NULL, NULL), 0);
    assert_int_equal(mailbox_remove(theirs, &gone, 1), 0);
    append(other, "INBOX", "a: 2\r\n", 0);

    assert_int_equal(mailbox_complete(mb), 0);
    assert_int_equal(mailbox_count(mb), N + 1);
    assert_int_equal(mailbox_recent(mb), 1);
    assert_true(mailbox_entry(mb, N + 1)->recent);
    for (uint32_t seq = 1; seq <= N; seq++) {
        assert_int_equal(mailbox_entry(mb, seq)->uid, seq);
        assert_int_equal(mailbox_entry(mb, seq)->flags, seq < UNSEEN ? MAIL_SEEN : 0);
    }
    assert_sync(mb, true, "expunge 2 uid 2;flags 2;exists 1501 recent 1;");
    mailbox_close(mb);
    mailbox_close(theirs);
}

/* The session has not noticed that the file has another name: its own change is added to that one. */
static void test_flags_that_another_program_has_just_set_survive_a_store(void **state)
{
    static const struct {
        enum flags_mode mode;
        unsigned flags, want;
        const char *letters;
    } cases[] = {
        { FLAGS_ADD, MAIL_SEEN, MAIL_SEEN | MAIL_FLAGGED, "FSa" },
        { FLAGS_REMOVE, MAIL_SEEN, MAIL_FLAGGED, "Fa" },
        { FLAGS_SET, MAIL_ANSWERED, MAIL_ANSWERED, "R" },
    };
    char before[300], after[320];
    uint32_t seq = 1;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct account *a = open_account();
        append(a, "INBOX", "a: 1\r\n", cases[i].mode == FLAGS_REMOVE ? MAIL_SEEN : 0);
        struct mailbox *mb = open_mailbox(a, "INBOX", 0);

        cur_file("", 0, before, sizeof before);
        size_t base = (size_t)(strrchr(before, ',') - before) + 1;
        snprintf(after, sizeof after, "%.*sF%s", (int)base, before, before + base);
        assert_int_equal(rename(before, after), 0);
        assert_int_equal(mailbox_store(mb, &seq, 1, cases[i].mode, cases[i].flags, 0, UINT64_MAX, NULL, NULL), 0);
        assert_int_equal(mailbox_entry(mb, 1)->flags, cases[i].want);
        cur_file("", 0, after, sizeof after);
        assert_string_equal(after + base, cases[i].letters);
        uint32_t uid = mailbox_entry(mb, 1)->uid;
        assert_int_equal(mailbox_remove(mb, &uid, 1), 0);
        mailbox_close(mb);
        account_close(a);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_delivered_message_has_a_uid_and_keeps_it),
        TEST(test_a_read_only_session_leaves_messages_recent),
        TEST(test_flags_are_in_the_file_name_and_seen_by_another_session),
        TEST(test_a_conditional_store_leaves_changed_messages_alone),
        TEST(test_expunged_messages_keep_their_number_until_told),
        TEST(test_only_the_given_uids_are_expunged),
        TEST(test_an_appended_message_has_its_flags_date_and_keywords),
        TEST(test_copied_and_moved_messages_get_new_uids),
        TEST(test_a_copy_is_all_or_nothing),
        TEST(test_sessions_and_deliveries_at_once_agree_on_uids),
        TEST(test_what_another_program_does_is_found),
        TEST(test_a_message_taken_from_new_by_another_program_keeps_its_uid),
        TEST(test_uids_are_never_used_twice),
        TEST(test_a_watched_mailbox_wakes_up),
        TEST(test_our_own_changes_are_accounted_although_cur_was_read_a_moment_ago),
        TEST(test_a_foreign_file_in_the_tick_of_the_reading_is_found),
        TEST(test_a_large_mailbox_opens_from_the_index),
        TEST(test_a_mailbox_opened_by_its_counters_has_the_messages_of_that_moment),
        TEST(test_flags_that_another_program_has_just_set_survive_a_store),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
