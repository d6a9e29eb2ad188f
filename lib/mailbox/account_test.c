/* SPDX-License-Identifier: Apache-2.0 */
/* account_test.c - mailboxes through the index, with other programs and sessions at work beside it */
#include "mailbox/account.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "mailbox/index.h"

#define INBOX ((struct span)SPAN("INBOX"))

static char root[64], maildir[80];

static int setup(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/account_test.XXXXXX");
    if (!mkdtemp(root))
        return -1;
    snprintf(maildir, sizeof maildir, "%s/M", root);
    return 0;
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

static struct account *open_account(void)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    struct account *a = NULL;
    int r = account_open(maildir, &a, &err);

    if (r < 0)
        print_message("%s\n", str_cstr(&err));
    assert_int_equal(r, 0);
    return a;
}

static struct mailbox *open_mailbox(struct account *a, const char *name, unsigned flags)
{
    struct mailbox *mb = NULL;

    assert_int_equal(mailbox_open(a, span_of(name), flags, &mb), 0);
    return mb;
}

static void deliver_to(const char *folder, const char *text)
{
    char path[256];
    int fd = memfd_create("content", MFD_CLOEXEC);
    struct maildir_save m = { .content_fd = fd, .size = strlen(text) };
    _cleanup_(str_free) struct str name = STR_INIT;

    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    snprintf(path, sizeof path, "%s%s", maildir, folder);
    assert_int_equal(maildir_deliver(path, &m, &name), 0);
    close(fd);
}

static void deliver(const char *text)
{
    deliver_to("", text);
}

static uint32_t append(struct account *a, const char *mailbox, const char *text, unsigned flags)
{
    int fd = memfd_create("content", MFD_CLOEXEC);
    struct maildir_save m = { .content_fd = fd, .size = strlen(text), .flags = flags, .received = 1234567890 };
    uint32_t uidvalidity, uid;
    static const char *const keywords[] = { "$Label1", NULL };

    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(account_append(a, span_of(mailbox), &m, keywords, &uidvalidity, &uid), 0);
    close(fd);
    return uid;
}

/* Wait until a change of a directory has a different time than the last */
static void tick(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = 30 * 1000 * 1000 }, NULL);
}

/* The n-th file of cur/ in order of names */
static void cur_file(const char *folder, int n, char *ret, size_t size)
{
    char path[256];
    struct dirent **list;

    snprintf(path, sizeof path, "%s%s/cur", maildir, folder);
    int len = scandir(path, &list, NULL, alphasort);
    assert_true(len > n + 2);
    snprintf(ret, size, "%s/%s", path, list[n + 2]->d_name);
    for (int i = 0; i < len; i++)
        free(list[i]);
    free(list);
}

struct seen {
    char text[512];
};

static void on_expunge(uint32_t seq, uint32_t uid, void *arg)
{
    struct seen *s = arg;
    size_t n = strlen(s->text);

    snprintf(s->text + n, sizeof s->text - n, "expunge %u uid %u;", seq, uid);
}

static void on_flags(uint32_t seq, void *arg)
{
    struct seen *s = arg;
    size_t n = strlen(s->text);

    snprintf(s->text + n, sizeof s->text - n, "flags %u;", seq);
}

static void on_exists(uint32_t count, uint32_t recent, void *arg)
{
    struct seen *s = arg;
    size_t n = strlen(s->text);

    snprintf(s->text + n, sizeof s->text - n, "exists %u recent %u;", count, recent);
}

static void assert_sync(struct mailbox *mb, bool allow_expunge, const char *want)
{
    struct seen s = { "" };
    struct mailbox_changes report = { on_expunge, on_flags, on_exists, &s };

    assert_int_equal(mailbox_sync(mb, allow_expunge, &report), 0);
    assert_string_equal(s.text, want);
}

static void assert_content(struct mailbox *mb, uint32_t seq, const char *want)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    _cleanup_close_ int fd = mailbox_open_message(mb, seq);

    assert_true(fd >= 0);
    assert_int_equal(maildir_read_crlf(fd, 100000, &text), 0);
    assert_string_equal(text.data, want);
}

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

/* ---- damage ---- */

static void damage(const char *how)
{
    char command[400];

    snprintf(command, sizeof command, "cd %s/" INDEX_DIRECTORY " && %s", maildir, how);
    assert_int_equal(system(command), 0);
}

static void test_a_lost_or_damaged_index_is_rebuilt_under_a_new_uidvalidity(void **state)
{
    static const char *const ways[] = {
        "rm data.mdb lock.mdb",
        "truncate -s 5000 data.mdb",
        "truncate -s 8192 data.mdb",
        "head -c 8192 /dev/zero | dd of=data.mdb conv=notrunc 2>/dev/null",
        "head -c 20000 /dev/urandom > data.mdb",
        ": > data.mdb",
        "rm -r ../" INDEX_DIRECTORY,
    };
    uint32_t before = 0;

    (void)state;
    deliver("a: 1\r\n");
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct account *a = open_account();
        struct mailbox *mb = open_mailbox(a, "INBOX", 0);

        print_message("after case %zu\n", i);
        assert_true(mailbox_uidvalidity(mb) > before);
        before = mailbox_uidvalidity(mb);
        assert_int_equal(mailbox_count(mb), 1);
        assert_content(mb, 1, "a: 1\r\n");
        mailbox_close(mb);
        account_close(a);
        damage(ways[i]);
        nanosleep(&(struct timespec){ .tv_sec = 1, .tv_nsec = 10 * 1000 * 1000 }, NULL);
    }
}

/* 0: INBOX could be opened, has all its messages, and one could be changed */
static int try_session(uint32_t messages)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    struct account *a;
    struct mailbox *mb;
    uint32_t seq = 1;

    if (account_open(maildir, &a, &err) < 0 || mailbox_open(a, INBOX, 0, &mb) < 0)
        return 1;
    if (mailbox_store(mb, &seq, 1, FLAGS_SET, (unsigned)getpid() % 64, 0, UINT64_MAX, NULL, NULL) < 0)
        return 2;
    return mailbox_count(mb) == messages ? 0 : 3;
}

static bool session_in_child(uint32_t messages)
{
    int status;

    if (fork() == 0) {
        close(STDERR_FILENO);
        _exit(try_session(messages));
    }
    wait(&status);
    return status == 0;
}

/* LMDB does not expect damage within its pages and may crash: one session, not all that follow. */
static void test_a_damaged_page_harms_few_sessions(void **state)
{
    enum { FILES = 200 };
    char command[200], page[4096];
    struct stat st;

    (void)state;
    for (int i = 0; i < FILES; i++)
        deliver("a: 1\r\n");
    for (unsigned round = 0; round < 24; round++) {
        snprintf(command, sizeof command, "rm -rf %s/" INDEX_DIRECTORY "*", maildir);
        assert_int_equal(system(command), 0);
        assert_true(session_in_child(FILES));
        snprintf(command, sizeof command, "%s/" INDEX_DIRECTORY "/data.mdb", maildir);
        int fd = open(command, O_RDWR);
        assert_int_equal(fstat(fd, &st), 0);
        memset(page, round % 2 ? 0x5a : 0, sizeof page);
        off_t at = 2 + (off_t)(round * 7 % ((unsigned long)st.st_size / 4096 - 2));
        assert_int_equal(pwrite(fd, page, sizeof page, at * 4096), sizeof page);
        close(fd);
        bool recovered = false;
        for (int i = 0; i < 4 && !recovered; i++)
            recovered = session_in_child(FILES);
        if (!recovered)
            print_message("round %u, page %ld\n", round, (long)at);
        assert_true(recovered);
    }
}

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
    assert_int_equal(account_subscribe(a, span_of("A"), true), 0);
    assert_int_equal(account_subscribe(a, span_of("A"), true), 0);
    assert_int_equal(account_subscribe(a, span_of("Entw\303\274rfe/x.y"), true), 0);
    assert_int_equal(account_subscribe(a, span_of("inbox"), true), 0);
    assert_list(a, "INBOX subscribed;A subscribed;Entw\303\274rfe/x.y noselect subscribed;");
    assert_int_equal(account_subscribe(a, span_of("A"), false), 0);
    assert_int_equal(account_subscribe(a, span_of("A"), false), 0);
    assert_list(a, "INBOX subscribed;A;Entw\303\274rfe/x.y noselect subscribed;");
    snprintf(command, sizeof command, "printf 'INBOX\\nA.B\\nA\\n\\n&bad\\n' > %s/subscriptions", maildir);
    assert_int_equal(system(command), 0);
    assert_list(a, "INBOX subscribed;A subscribed;A/B noselect subscribed;");
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
        TEST(test_a_lost_or_damaged_index_is_rebuilt_under_a_new_uidvalidity),
        TEST(test_a_damaged_page_harms_few_sessions),
        TEST(test_mailboxes_are_created_listed_and_deleted),
        TEST(test_a_renamed_mailbox_keeps_its_uids),
        TEST(test_renaming_inbox_moves_its_messages),
        TEST(test_subscriptions_are_kept_also_of_what_does_not_exist),
        TEST(test_a_large_mailbox_opens_from_the_index),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
