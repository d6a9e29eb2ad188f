/* SPDX-License-Identifier: Apache-2.0 */
/* index_guard_test.c - sessions that come to grief on the index: what those after them find, and those that wait */
#include "mailbox/test_account.h"

#include <signal.h>
#include <sys/time.h>

#include "base/mem.h"
#include "mailbox/index_parts.h"
#include "mailbox/internal.h"

enum { FILES = 300, SEVERAL_TICKS = 20 };

/* Of an LMDB page (see index_check.c) */
enum { PAGE = 4096, PAGE_FLAGS = 10, PAGE_HEAD = 16, NODE_KEY_LEN = 6, IS_LEAF = 2, ACCOUNT_KEY_LEN = 1, FREE_LIST_KEY_LEN = 8 };

/* ---- sessions as processes ---- */

/* As a session has it, but the ticks of the guard come faster. */
static struct account *open_ticking(void)
{
    static const struct itimerval fast = { { .tv_usec = 5000 }, { .tv_usec = 5000 } };
    struct account *a = open_account();

    setitimer(ITIMER_VIRTUAL, &fast, NULL);
    return a;
}

/* Something done in a process of its own; its exit status, or the signal that ended it */
static pid_t start(int (*run)(void *arg), void *arg)
{
    static const int deadly[] = { SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGSYS, SIGABRT };
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    close(STDERR_FILENO);
    for (size_t i = 0; i < ARRAY_LEN(deadly); i++)
        signal(deadly[i], SIG_DFL); /* cmocka would go on with the next test here */
    _exit(run(arg));
}

static int end_of(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static bool exists(const char *suffix)
{
    char path[200];

    snprintf(path, sizeof path, "%s/" INDEX_DIRECTORY "%s", maildir, suffix);
    return access(path, F_OK) == 0;
}

/* All messages are there, and one can be changed. */
static int look(void *arg)
{
    struct account *a = open_ticking();
    struct mailbox *mb;
    uint32_t seq = 1;

    (void)arg;
    if (mailbox_open(a, INBOX, 0, &mb) < 0 || mailbox_count(mb) != FILES)
        return 1;
    return mailbox_store(mb, &seq, 1, FLAGS_ADD, MAIL_SEEN, 0, UINT64_MAX, NULL, NULL) < 0 ? 2 : 0;
}

static void make_messages(void)
{
    for (int i = 0; i < FILES; i++)
        deliver("a: 1\r\n");
    assert_int_equal(end_of(start(look, NULL)), 0);
}

/* ---- a search without end ---- */

/*
 * A page as it was met: other data, whose flags say that it is a leaf of keys of one size, and whose length is none. LMDB 0.9 counts two
 * milliards of keys on it, and its search for the middle of them overflows. What is looked at when an index is opened stays: its first
 * leaf, and lists of free pages.
 */
static void spoil_leaves(void)
{
    static const unsigned char head[] = { 0x2e, 0x73, 0x79, 0x73, 0x74, 0x65, 0x35, 0x2c, 0, 0, 0x36, 0, 0, 0, 5, 0 };
    char path[200], page[PAGE];
    unsigned spoilt = 0;

    snprintf(path, sizeof path, "%s/" INDEX_DIRECTORY "/data.mdb", maildir);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    for (off_t at = 2 * PAGE; pread(fd, page, PAGE, at) == PAGE; at += PAGE) {
        uint16_t node, key_len;

        if (page[PAGE_FLAGS] != IS_LEAF)
            continue;
        memcpy(&node, page + PAGE_HEAD, sizeof node);
        memcpy(&key_len, page + node + NODE_KEY_LEN, sizeof key_len);
        if (key_len == ACCOUNT_KEY_LEN || key_len == FREE_LIST_KEY_LEN)
            continue;
        memcpy(page, head, sizeof head);
        assert_int_equal(pwrite(fd, page, PAGE, at), PAGE);
        spoilt++;
    }
    close(fd);
    assert_true(spoilt > 10);
}

static void test_a_page_that_is_searched_for_ever_costs_one_session(void **state)
{
    (void)state;
    make_messages();
    spoil_leaves();
    assert_int_not_equal(end_of(start(look, NULL)), 0);
    assert_true(exists(".damaged"));
    assert_int_equal(end_of(start(look, NULL)), 0);
}

/* Whatever LMDB makes of that page: a call of it that does not end */
static int search_for_ever(void *ready)
{
    _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;
    struct account *a = open_ticking();

    assert_int_equal(index_begin_write(a->index, &t), 0);
    assert_int_equal(write(*(int *)ready, "r", 1), 1);
    index_call_begin();
    for (volatile uint32_t n = 0;; n = n + 1)
        ;
    return 0;
}

struct waiter {
    int begin, ready;
};

static int wait_for_the_lock(void *arg)
{
    struct waiter *w = arg;
    struct account *a = open_ticking();
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);
    uint32_t seq = 1;
    char c;

    assert_int_equal(write(w->ready, "r", 1), 1);
    assert_int_equal(read(w->begin, &c, 1), 1);
    int r = mailbox_store(mb, &seq, 1, FLAGS_ADD, MAIL_FLAGGED, 0, UINT64_MAX, NULL, NULL);
    return r == -EBADMSG ? 0 : 1;
}

static void test_who_waits_for_a_session_that_searches_for_ever_is_told_that_the_index_is_none(void **state)
{
    enum { WAITERS = 3 };
    pid_t waiters[WAITERS];
    int ready[2], begin[2], searching[2];
    char c;

    (void)state;
    make_messages();
    assert_int_equal(pipe(ready) | pipe(begin) | pipe(searching), 0);
    for (int i = 0; i < WAITERS; i++)
        waiters[i] = start(wait_for_the_lock, &(struct waiter){ begin[0], ready[1] });
    for (int i = 0; i < WAITERS; i++)
        assert_int_equal(read(ready[0], &c, 1), 1);
    pid_t searcher = start(search_for_ever, &searching[1]);
    assert_int_equal(read(searching[0], &c, 1), 1);
    assert_int_equal(write(begin[1], "bbb", WAITERS), WAITERS);
    assert_int_equal(end_of(searcher), -SIGVTALRM);
    for (int i = 0; i < WAITERS; i++)
        assert_int_equal(end_of(waiters[i]), 0);
    assert_true(exists(".damaged"));
    assert_int_equal(end_of(start(look, NULL)), 0);
    for (int i = 0; i < 2; i++) {
        close(ready[i]);
        close(begin[i]);
        close(searching[i]);
    }
}

/* ---- what is no search without end ---- */

static int64_t own_time_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Between calls, and with calls that end, a transaction may take as long as it likes. */
static int work_long(void *arg)
{
    _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;
    struct account *a = open_ticking();
    int64_t begin = own_time_ms();
    uint64_t id = 0;
    struct index_mailbox rec;

    (void)arg;
    assert_int_equal(index_begin_write(a->index, &t), 0);
    while (own_time_ms() < begin + SEVERAL_TICKS * 5)
        ;
    assert_int_equal(folder_read_id(maildir, &id), 0);
    while (own_time_ms() < begin + 2 * SEVERAL_TICKS * 5)
        if (index_mailbox_get(&t, id, &rec) < 0)
            return 1;
    return 0;
}

static void test_long_work_in_a_transaction_is_no_damage(void **state)
{
    (void)state;
    make_messages();
    assert_int_equal(end_of(start(work_long, NULL)), 0);
    assert_false(exists(".damaged"));
    assert_false(exists(".doubted"));
}

/* ---- faults ---- */

static int fault(void *sig)
{
    struct account *a = open_account();

    raise(*(int *)sig);
    account_close(a);
    return 0;
}

static int fault_in_transaction(void *sig)
{
    _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;
    struct account *a = open_account();

    assert_int_equal(index_begin_read(a->index, &t), 0);
    raise(*(int *)sig);
    raise(*(int *)sig); /* the handler of the first has returned, as from an instruction that faults again */
    return 0;
}

static void test_a_fault_puts_the_index_aside_or_in_doubt(void **state)
{
    static const struct {
        int sig;
        bool in_transaction, aside;
    } rows[] = {
        { SIGSEGV, true, true }, { SIGBUS, true, true }, { SIGFPE, true, true }, { SIGABRT, true, false },
        { SIGSEGV, false, false }, { SIGABRT, false, false },
    };

    (void)state;
    make_messages();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int sig = rows[i].sig;

        end_of(start(rows[i].in_transaction ? fault_in_transaction : fault, &sig));
        if (exists(".damaged") != rows[i].aside || exists(".doubted") == rows[i].aside)
            fail_msg("row %zu", i);
        assert_int_equal(end_of(start(look, NULL)), 0);
        assert_false(exists(".doubted"));
        teardown(state);
        assert_int_equal(mkdir(root, 0700), 0);
        make_messages();
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_in_memory, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_page_that_is_searched_for_ever_costs_one_session),
        TEST(test_who_waits_for_a_session_that_searches_for_ever_is_told_that_the_index_is_none),
        TEST(test_long_work_in_a_transaction_is_no_damage),
        TEST(test_a_fault_puts_the_index_aside_or_in_doubt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
