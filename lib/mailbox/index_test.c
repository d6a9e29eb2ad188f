/* SPDX-License-Identifier: Apache-2.0 */
/* index_test.c - what becomes of an account whose index is lost or damaged, and what the index forgets */
#include "mailbox/test_account.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>

#include "base/mem.h"
#include "base/rand.h"
#include "mailbox/internal.h"

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
    }
}

static void test_an_index_of_another_version_is_rebuilt(void **state)
{
    struct account *a = open_account();
    _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;
    MDB_val key = { 1, "a" }, value;
    char header[64];

    (void)state;
    append(a, "INBOX", "a: 1\r\n", MAIL_SEEN);
    assert_int_equal(index_begin_write(a->index, &t), 0);
    assert_int_equal(mdb_get(t.txn, t.db, &key, &value), 0);
    assert_true(value.mv_size <= sizeof header);
    memcpy(header, value.mv_data, value.mv_size);
    header[strlen("Postern index")] ^= 3; /* the version's first byte */
    value.mv_data = header;
    assert_int_equal(mdb_put(t.txn, t.db, &key, &value, 0), 0);
    assert_int_equal(index_commit(&t, true), 0);
    account_close(a);

    a = open_account();
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);
    assert_int_equal(mailbox_count(mb), 1);
    assert_int_equal(mailbox_entry(mb, 1)->flags, MAIL_SEEN);
    assert_content(mb, 1, "a: 1\r\n");
    snprintf(header, sizeof header, "%s.damaged", INDEX_DIRECTORY);
    char path[200];
    snprintf(path, sizeof path, "%s/%s", maildir, header);
    assert_int_equal(access(path, F_OK), 0); /* the old one was put aside */
    mailbox_close(mb);
    account_close(a);
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

/* What a session sees of INBOX, as one number; 0: it cannot be opened. *ret_validity: which numbering it is. */
static uint64_t look(uint32_t *ret_validity)
{
    _cleanup_(str_free) struct str err = STR_INIT, seen = STR_INIT, content = STR_INIT;
    struct account *a;
    struct mailbox *mb;

    if (account_open(maildir, &a, &err) < 0 || mailbox_open(a, INBOX, 0, &mb) < 0)
        return 0;
    for (uint32_t seq = 1; seq <= mailbox_count(mb); seq++) {
        const struct mail_entry *e = mailbox_entry(mb, seq);
        _cleanup_close_ int fd = mailbox_open_message(mb, seq);

        str_reset(&content);
        if (fd < 0 || maildir_read_crlf(fd, 1000, &content) < 0)
            return 0;
        str_addf(&seen, "%u %u %llx %llu %lld %s", e->uid, e->flags, (unsigned long long)e->keywords,
                 (unsigned long long)e->vsize, (long long)e->received, content.data);
    }
    for (size_t i = 0; i < mailbox_keywords(mb); i++)
        str_add_str(&seen, mailbox_keyword(mb, i));
    *ret_validity = mailbox_uidvalidity(mb);
    return (uint64_t)record_sum(str_span(&seen)) << 1 | 1;
}

#ifdef __SANITIZE_ADDRESS__
/* What LMDB does on a damaged page ends by a signal, as a crash does: the index hears of it. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "abort_on_error=1";
}
#endif

struct sight {
    uint64_t seen;
    uint32_t validity;
};

static struct sight look_in_child(void)
{
    static const int deadly[] = { SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGSYS, SIGABRT };
    struct sight *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status;

    if (fork() == 0) {
        close(STDERR_FILENO);
        for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++)
            signal(deadly[i], SIG_DFL); /* cmocka would go on with the next test here */
        uint64_t seen = look(&s->validity);
        s->seen = seen; /* after all that may crash */
        _exit(0);
    }
    wait(&status);
    struct sight ret = *s;
    munmap(s, sizeof *s);
    return ret;
}

/* An index file as it was, to be put back before each damage */
struct whole {
    char path[200];
    char *bytes;
    size_t len;
    struct sight sight;
};

static struct whole make_whole(unsigned files)
{
    struct whole w = { .len = 0 };
    struct account *a = open_account();
    struct stat st;

    for (unsigned i = 0; i < files; i++)
        append(a, "INBOX", "a: 1\r\n", i % 64);
    account_close(a);
    w.sight = look_in_child();
    assert_true(w.sight.seen != 0);
    snprintf(w.path, sizeof w.path, "%s/" INDEX_DIRECTORY "/data.mdb", maildir);
    int fd = open(w.path, O_RDONLY);
    assert_int_equal(fstat(fd, &st), 0);
    w.len = (size_t)st.st_size;
    w.bytes = mem_calloc(w.len, 1);
    assert_int_equal(read(fd, w.bytes, w.len), w.len);
    close(fd);
    return w;
}

/* The file with n bytes from `at` on replaced: three sessions may fail until the index is made anew; what is never seen is the
 * same numbering with other content. */
static void assert_not_believed(const struct whole *w, size_t at, const char *bytes, size_t n)
{
    char path[200];

    snprintf(path, sizeof path, "%s/" INDEX_DIRECTORY, maildir);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/" INDEX_DIRECTORY "/lock.mdb", maildir);
    unlink(path);
    int fd = open(w->path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, w->bytes, w->len), w->len);
    assert_int_equal(pwrite(fd, bytes, n, (off_t)at), n);
    close(fd);
    struct sight now = look_in_child();
    for (int i = 0; i < 3 && now.seen == 0; i++)
        now = look_in_child();
    if (now.seen == 0)
        fail_msg("%zu bytes of %02x at %zu left an index that is of no use to anybody", n, (unsigned char)bytes[0], at);
    if (now.seen != w->sight.seen && now.validity == w->sight.validity)
        fail_msg("%zu bytes of %02x at %zu were believed", n, (unsigned char)bytes[0], at);
}

static uint32_t any_number(void)
{
    uint32_t n;

    rand_bytes(&n, sizeof n);
    return n;
}

/* POSTERN_TEST_LONG: each byte of the file, instead of some. */
static void test_a_flipped_bit_is_never_believed(void **state)
{
    enum { FLIPS = 120 };
    struct whole w = make_whole(40);
    size_t n = getenv("POSTERN_TEST_LONG") ? w.len : FLIPS;

    (void)state;
    for (size_t i = 0; i < n; i++) {
        uint32_t random = any_number();
        size_t at = n == w.len ? i : random % w.len;
        char byte = (char)(w.bytes[at] ^ 1 << (random >> 29));

        assert_not_believed(&w, at, &byte, 1);
    }
    free(w.bytes);
}

/* What disks do besides: zeros, noise, or another sector's content, in pieces of any size */
static void test_a_damaged_piece_is_never_believed(void **state)
{
    static const size_t sizes[] = { 4, 8, 64, 512, 4096, 8192 };
    struct whole w = make_whole(40);
    size_t n = getenv("POSTERN_TEST_LONG") ? 20000 : 60;
    char *piece = mem_calloc(8192, 1);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        size_t size = sizes[i % (sizeof sizes / sizeof *sizes)], at = any_number() % (w.len / size) * size;

        memset(piece, 0, size);
        if (i % 3 == 1)
            rand_bytes(piece, size);
        if (i % 3 == 2)
            memcpy(piece, w.bytes + any_number() % (w.len / size) * size, size);
        assert_not_believed(&w, at, piece, size);
    }
    free(piece);
    free(w.bytes);
}

/* ---- what is no damage ---- */

/* The Maildir where nothing can be written: the error is that, and the index stays as it is. */
static int try_read_only(void)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    struct account *a;

    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount(maildir, maildir, NULL, MS_BIND, NULL) < 0 || mount(NULL, maildir, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) < 0)
        return 77; /* only root may */
    int r = account_open(maildir, &a, &err);
    return r == -EROFS && strstr(str_cstr(&err), strerror(EROFS)) ? 0 : 1;
}

static void test_a_read_only_file_system_is_an_error_and_no_damage(void **state)
{
    int status;

    (void)state;
    struct account *a = open_account();
    append(a, "INBOX", "a: 1\r\n", 0);
    account_close(a);
    struct sight before = look_in_child();
    if (fork() == 0)
        _exit(try_read_only());
    wait(&status);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
    struct sight after = look_in_child();
    assert_int_equal(after.validity, before.validity);
    assert_true(after.seen == before.seen);
}

static void test_an_index_in_doubt_that_proves_sound_is_kept(void **state)
{
    char path[200];

    (void)state;
    struct account *a = open_account();
    for (int i = 0; i < 3000; i++)
        append(a, "INBOX", "a: 1\r\n", 0);
    struct mailbox *mb = open_mailbox(a, "INBOX", 0);
    for (uint32_t uid = 1; uid < 3000; uid += 2)
        assert_int_equal(mailbox_remove(mb, &uid, 1), 0);
    mailbox_close(mb);
    struct sight before = look_in_child();
    index_doubt(a->index);
    account_close(a);
    snprintf(path, sizeof path, "%s/" INDEX_DIRECTORY ".doubted", maildir);
    assert_int_equal(access(path, F_OK), 0);
    struct sight after = look_in_child();
    assert_int_equal(after.validity, before.validity);
    assert_true(after.seen == before.seen);
    assert_int_equal(access(path, F_OK), -1);
}

/* A long value that came and went within one transaction: its pages at the end of the file are free, and were never written. */
static void test_an_index_whose_last_pages_were_never_written_is_kept(void **state)
{
    static char zeros[40000];
    MDB_val key = { 1, "z" }, value = { sizeof zeros, zeros };
    struct account *a = open_account();
    _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;
    struct stat st;
    MDB_envinfo info;
    char path[200];

    (void)state;
    append(a, "INBOX", "a: 1\r\n", 0);
    struct sight before = look_in_child();
    assert_int_equal(index_begin_write(a->index, &t), 0);
    assert_int_equal(mdb_put(t.txn, t.db, &key, &value, 0), 0);
    assert_int_equal(mdb_del(t.txn, t.db, &key, NULL), 0);
    MDB_env *env = mdb_txn_env(t.txn);
    assert_int_equal(index_commit(&t, true), 0);
    mdb_env_info(env, &info);
    snprintf(path, sizeof path, "%s/" INDEX_DIRECTORY "/data.mdb", maildir);
    assert_int_equal(stat(path, &st), 0);
    assert_true((size_t)st.st_size < (info.me_last_pgno + 1) * 4096);
    account_close(a);

    struct sight after = look_in_child();
    assert_int_equal(after.validity, before.validity);
    assert_true(after.seen == before.seen);
    assert_int_equal(truncate(path, 3 * 4096), 0);
    assert_true(look_in_child().validity > before.validity);
}

static void test_an_index_that_cannot_be_made_is_an_error_that_names_the_account(void **state)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    char path[200];
    struct account *a;

    (void)state;
    assert_int_equal(maildir_create(maildir), 0);
    snprintf(path, sizeof path, "%s/" INDEX_DIRECTORY, maildir);
    close(open(path, O_CREAT | O_WRONLY, 0600)); /* a file in its place */
    assert_int_equal(account_open(maildir, &a, &err), -ENOTDIR);
    assert_non_null(strstr(str_cstr(&err), maildir));
    assert_non_null(strstr(str_cstr(&err), strerror(ENOTDIR)));
}

/* ---- the memory of expunges ---- */

/* Messages that come and go at once, each with a modseq of its own */
static void flood(struct mailbox *mb, unsigned n)
{
    _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;
    struct index_mailbox rec;

    assert_int_equal(index_begin_write(mb->account->index, &t), 0);
    assert_int_equal(index_mailbox_get(&t, mb->folder.id, &rec), 0);
    rec.dir = SPAN_NULL; /* INBOX's; the span would be gone */
    for (unsigned i = 0; i < n; i++) {
        struct index_message m = { .uid = rec.uidnext++, .modseq = ++rec.highestmodseq, .file = SPAN("gone") };

        assert_int_equal(index_message_put(&t, mb->folder.id, &rec, NULL, &m), 0);
        assert_int_equal(index_message_delete(&t, mb->folder.id, &rec, &m, ++rec.highestmodseq), 0);
    }
    assert_true(rec.expunged <= INDEX_EXPUNGED_MAX);
    assert_int_equal(index_mailbox_put(&t, mb->folder.id, &rec), 0);
    assert_int_equal(index_commit(&t, true), 0);
}

static void assert_vanished(struct mailbox *mb, uint64_t since, const struct uid_range *want, size_t n)
{
    _cleanup_free_ struct uid_range *gone = NULL;
    size_t len = 0;

    assert_int_equal(mailbox_vanished(mb, since, &gone, &len), 0);
    assert_int_equal(len, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(gone[i].first, want[i].first);
        assert_int_equal(gone[i].last, want[i].last);
    }
}

static void test_who_was_away_longer_than_expunges_are_remembered_hears_of_all_that_is_not_there(void **state)
{
    struct account *a = open_account();
    uint32_t uid = 2;

    (void)state;
    for (int i = 0; i < 3; i++)
        append(a, "INBOX", "a: 1\r\n", 0);
    struct mailbox *mb = open_mailbox(a, "INBOX", 0), *sleeper = open_mailbox(a, "INBOX", 0);
    uint64_t before = mailbox_highestmodseq(mb);
    assert_int_equal(mailbox_remove(mb, &uid, 1), 0);
    assert_int_equal(mailbox_sync(mb, true, NULL), 0);
    assert_vanished(mb, before, (struct uid_range[]){ { 2, 2 } }, 1);

    flood(mb, INDEX_EXPUNGED_MAX + 10);
    assert_int_equal(mailbox_sync(mb, true, NULL), 0);
    uint32_t last = mailbox_uidnext(mb) - 1;
    assert_int_equal(last, INDEX_EXPUNGED_MAX + 13);
    assert_vanished(mb, before, (struct uid_range[]){ { 2, 2 }, { 4, last } }, 2);
    assert_vanished(mb, mailbox_highestmodseq(mb) - 2, (struct uid_range[]){ { last, last } }, 1);
    assert_vanished(mb, mailbox_highestmodseq(mb), NULL, 0);
    /* A session that looks so late sees the same. */
    assert_sync(sleeper, true, "expunge 2 uid 2;");
    mailbox_close(sleeper);
    mailbox_close(mb);
    account_close(a);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_in_memory, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_lost_or_damaged_index_is_rebuilt_under_a_new_uidvalidity),
        TEST(test_an_index_of_another_version_is_rebuilt),
        TEST(test_a_damaged_page_harms_few_sessions),
        TEST(test_a_flipped_bit_is_never_believed),
        TEST(test_a_damaged_piece_is_never_believed),
        TEST(test_a_read_only_file_system_is_an_error_and_no_damage),
        TEST(test_an_index_in_doubt_that_proves_sound_is_kept),
        TEST(test_an_index_whose_last_pages_were_never_written_is_kept),
        TEST(test_an_index_that_cannot_be_made_is_an_error_that_names_the_account),
        TEST(test_who_was_away_longer_than_expunges_are_remembered_hears_of_all_that_is_not_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
