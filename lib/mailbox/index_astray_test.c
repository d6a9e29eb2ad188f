/* SPDX-License-Identifier: Apache-2.0 */
/* index_astray_test.c - damage that leads LMDB past what is there, or out of its memory */
#include "mailbox/test_account.h"

#include <signal.h>

#include "base/mem.h"
#include "io/sanitizer.h"
#include "mailbox/index_parts.h"

#ifdef IO_ASAN
const char *__asan_default_options(void);

/* LMDB's faults end in the handler of SIGABRT. */
const char *__asan_default_options(void)
{
    return "abort_on_error=1";
}
#endif

/* Of an LMDB page: its kind, the end of the offsets of nodes, and where nodes begin; of a node: the length of its key */
enum {
    PAGE = 4096, PAGE_FLAGS = 10, PAGE_LOWER = 12, PAGE_UPPER = 14, PAGE_HEAD = 16, NODE_KEY_LEN = 6, NODE_HEAD = 8,
    IS_BRANCH = 1, IS_LEAF = 2, FREE_LIST_KEY_LEN = 8, /* no record has a key so long */
};

struct file {
    char path[200];
    char *bytes;
    size_t len;
};

static struct file file_load(void)
{
    struct file f;
    struct stat st;

    snprintf(f.path, sizeof f.path, "%s/" INDEX_DIRECTORY "/data.mdb", maildir);
    int fd = open(f.path, O_RDONLY);
    assert_int_equal(fstat(fd, &st), 0);
    f.len = (size_t)st.st_size;
    f.bytes = mem_calloc(f.len, 1);
    assert_int_equal(read(fd, f.bytes, f.len), f.len);
    close(fd);
    return f;
}

static bool was_put_aside(void)
{
    char path[200];

    snprintf(path, sizeof path, "%s/" INDEX_DIRECTORY ".damaged", maildir);
    return access(path, F_OK) == 0;
}

/* The index is this file, whatever has become of the one before. */
static void file_store(const struct file *f)
{
    char command[300];

    if (was_put_aside()) {
        snprintf(command, sizeof command, "rm -rf %s/" INDEX_DIRECTORY ".damaged", maildir);
        assert_int_equal(system(command), 0);
    }
    int fd = open(f->path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, f->bytes, f->len), f->len);
    close(fd);
}

static unsigned number(const char *p)
{
    return (unsigned char)p[0] | (unsigned)(unsigned char)p[1] << 8;
}

static unsigned nodes(const char *page, unsigned kind)
{
    return number(page + PAGE_FLAGS) == kind ? (number(page + PAGE_LOWER) - PAGE_HEAD) / 2 : 0;
}

static char *node(char *page, unsigned i)
{
    return page + number(page + PAGE_HEAD + 2 * i);
}

/* ---- branches ---- */

enum { PAGES = 24, ID = 7 };

static void make_pages(void)
{
    struct index *x;

    assert_int_equal(maildir_create(maildir), 0);
    assert_int_equal(index_open(maildir, &x), 0);
    {
        _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;

        assert_int_equal(index_begin_write(x, &t), 0);
        for (uint32_t uid = 1; uid < PAGES * 32; uid++) {
            struct index_message m = { .uid = uid, .modseq = uid };

            assert_int_equal(index_page_set(&t, ID, &m), 0);
        }
        assert_int_equal(index_commit(&t, true), 0);
    }
    index_close(x);
}

/* The first one visited */
static int is_uid(const struct index_message *m, void *arg)
{
    return m->uid == *(const uint32_t *)arg ? 1 : -EINVAL;
}

/* How many pages of messages are found, and by a walk from there; those that are not are damage, and not messages that have gone. 0: the damage was
 * seen at once, and the index is a new one. */
static unsigned found_pages(void)
{
    _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;
    struct index *x;
    unsigned found = 0;

    assert_int_equal(index_open(maildir, &x), 0);
    if (was_put_aside()) {
        index_close(x);
        return 0;
    }
    assert_int_equal(index_begin_read(x, &t), 0);
    for (uint32_t i = 0; i < PAGES; i++) {
        const struct index_message *m;
        int r = index_page_find(&t, ID, i * 32 + 31, &m);

        if (r != 0)
            assert_int_equal(r, -EBADMSG);
        found += r == 0;
        r = index_each_message(&t, ID, i * 32 + 31, is_uid, &(uint32_t){ i * 32 + 31 });
        if (r != 1)
            assert_int_equal(r, -EBADMSG);
    }
    index_end(&t);
    index_close(x);
    return found;
}

static void test_a_branch_that_leads_past_a_record_is_damage_and_no_absence(void **state)
{
    unsigned astray = 0;

    (void)state;
    make_pages();
    struct file f = file_load();
    assert_int_equal(found_pages(), PAGES);
    for (char *page = f.bytes; page < f.bytes + f.len; page += PAGE)
        for (unsigned i = 1; i < nodes(page, IS_BRANCH); i++) {
            char *n = node(page, i);
            size_t end = NODE_HEAD + number(n + NODE_KEY_LEN);

            for (size_t at = NODE_KEY_LEN; at < end; at++)
                for (int bit = 0; bit < 8; bit++) {
                    n[at] = (char)(n[at] ^ 1 << bit);
                    file_store(&f);
                    astray += found_pages() < PAGES;
                    n[at] = (char)(n[at] ^ 1 << bit);
                }
        }
    assert_true(astray > 100);
    free(f.bytes);
}

static void test_what_is_not_there_is_not_damage(void **state)
{
    _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;
    struct index *x;

    (void)state;
    make_pages();
    assert_int_equal(index_open(maildir, &x), 0);
    assert_int_equal(index_begin_write(x, &t), 0);
    for (const char *kind = "Abcdkmnopqxz"; *kind; kind++)
        for (uint64_t id = ID - 1; id <= ID + 1; id++)
            for (uint32_t n = 0; n <= PAGES; n++) {
                struct index_key k = index_key_numbered(*kind, id, n);
                struct span bytes;

                if (*kind == 'p' && id == ID && n < PAGES)
                    continue;
                assert_int_equal(index_get(&t, &k, &bytes), -ENOENT);
                assert_int_equal(index_delete(&t, &k), -ENOENT);
            }
    index_end(&t);
    index_close(x);
}

/* ---- crashes ---- */

/* 0: a message could be added */
static int add_in_child(void)
{
    static const int deadly[] = { SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGSYS, SIGABRT };
    int status;

    if (fork() == 0) {
        close(STDERR_FILENO);
        for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++)
            signal(deadly[i], SIG_DFL); /* cmocka would go on with the next test here */
        struct account *a = open_account();
        append(a, "INBOX", "a: 1\r\n", 0);
        account_close(a);
        _exit(0);
    }
    wait(&status);
    return status;
}

static void make_messages(unsigned n)
{
    struct account *a = open_account();

    while (n-- > 0)
        append(a, "INBOX", "a: 1\r\n", 0);
    account_close(a);
}

static void assert_few_crashes(const struct file *f)
{
    file_store(f);
    for (int i = 0; i < 3; i++)
        if (add_in_child() == 0)
            return;
    fail_msg("sessions crash for ever");
}

/* A count that is small only as a number of bytes: LMDB copies from the list downwards, over all that is below it on the heap. */
static void test_an_index_is_put_aside_when_lmdb_has_overwritten_the_heap_below(void **state)
{
    unsigned lists = 0;

    (void)state;
    make_messages(40);
    struct file f = file_load();
    for (char *page = f.bytes; page < f.bytes + f.len; page += PAGE)
        for (unsigned i = 0; i < nodes(page, IS_LEAF); i++) {
            char *n = node(page, i);

            if (number(n + NODE_KEY_LEN) == FREE_LIST_KEY_LEN) {
                n[NODE_HEAD + FREE_LIST_KEY_LEN + 7] = 0x40;
                lists++;
            }
        }
    assert_true(lists > 0);
    assert_few_crashes(&f);
    free(f.bytes);
}

/* A page whose nodes begin behind its end: LMDB copies a negative number of bytes, over all that is above it on the heap. */
static void test_an_index_is_put_aside_when_lmdb_has_overwritten_the_heap_above(void **state)
{
    (void)state;
    make_messages(40);
    struct file f = file_load();
    for (char *page = f.bytes; page < f.bytes + f.len; page += PAGE)
        if (nodes(page, IS_LEAF) > 0 || nodes(page, IS_BRANCH) > 0)
            page[PAGE_UPPER + 1] |= 0x10;
    assert_few_crashes(&f);
    free(f.bytes);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_in_memory, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_branch_that_leads_past_a_record_is_damage_and_no_absence),
        TEST(test_what_is_not_there_is_not_damage),
        TEST(test_an_index_is_put_aside_when_lmdb_has_overwritten_the_heap_below),
        TEST(test_an_index_is_put_aside_when_lmdb_has_overwritten_the_heap_above),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
