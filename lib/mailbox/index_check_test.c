/* SPDX-License-Identifier: Apache-2.0 */
/* index_check_test.c - what a reading of the whole index finds, and that what it passes can be used */
#include "mailbox/test_account.h"

#include <sys/sendfile.h>

#include "base/mem.h"
#include "base/rand.h"
#include "mailbox/index_parts.h"

enum { PAGE = 4096, KEYS = 1000, MANY_KEYS = 6000 };

/* A database as the index is one: a tree of three levels with long values among short ones, and lists of free pages, one of
 * them longer than a page */
struct db {
    MDB_env *env;
    MDB_dbi dbi;
    int fd;
};

static struct db db_open(void)
{
    struct db d;
    MDB_txn *txn;

    assert_int_equal(mdb_env_create(&d.env), 0);
    mdb_env_set_mapsize(d.env, (size_t)1 << 30);
    assert_int_equal(mdb_env_open(d.env, root, MDB_NOTLS | MDB_NOSYNC, 0600), 0);
    assert_int_equal(mdb_txn_begin(d.env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, NULL, 0, &d.dbi), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    assert_int_equal(mdb_env_get_fd(d.env, &d.fd), 0);
    return d;
}

static MDB_val key_of(unsigned n, char text[static 64])
{
    return (MDB_val){ (size_t)snprintf(text, 64, "%08x is the key of this one", n * 2654435761u), text };
}

static void change(struct db *d, unsigned from, unsigned n, bool remove)
{
    static char value[30000];
    char text[64];
    MDB_txn *txn;

    assert_int_equal(mdb_txn_begin(d->env, NULL, 0, &txn), 0);
    for (unsigned i = from; i < from + n; i++) {
        MDB_val key = key_of(i, text), v = { i % 50 ? i % 700 : 3000 + i % 20000, value };
        int rc = remove ? mdb_del(txn, d->dbi, &key, NULL) : mdb_put(txn, d->dbi, &key, &v, 0);

        assert_true(rc == 0 || (remove && rc == MDB_NOTFOUND));
    }
    assert_int_equal(mdb_txn_commit(txn), 0);
}

static void fill(struct db *d, unsigned keys)
{
    for (unsigned i = 0; i < keys; i += 500)
        change(d, i, 500, false);
    change(d, 0, keys / 2, true);
    change(d, 0, 10, false);
}

static unsigned any(unsigned below)
{
    uint32_t n;

    rand_bytes(&n, sizeof n);
    return n % below;
}

static void test_a_database_is_sound_after_every_transaction(void **state)
{
    struct db d = db_open();
    MDB_txn *reader = NULL;

    (void)state;
    assert_int_equal(index_check_file(d.fd, PAGE), 0); /* the empty one, too */
    for (int i = 0; i < 140; i++) {
        if (i % 37 == 0) /* pages that somebody may still read are free as well */
            assert_int_equal(mdb_txn_begin(d.env, NULL, MDB_RDONLY, &reader), 0);
        change(&d, any(KEYS), 1 + any(any(8) ? 20 : KEYS), any(5) < 2);
        if (index_check_file(d.fd, PAGE) != 0)
            fail_msg("transaction %d", i);
        if (i % 37 == 20)
            mdb_txn_abort(reader);
    }
    change(&d, 0, KEYS, true);
    assert_int_equal(index_check_file(d.fd, PAGE), 0);
    mdb_env_close(d.env);
}

/* ---- damage ---- */

/* A file of it that is changed in memory */
struct image {
    int fd;
    char *bytes;
    size_t len;
    char path[128];
};

static size_t copy_file(int from, int to)
{
    off_t at = 0;
    ssize_t n;

    while ((n = sendfile(to, from, &at, 1 << 20)) > 0)
        ;
    assert_int_equal(n, 0);
    return (size_t)at;
}

static struct image image_of(struct db *d)
{
    struct image m = { .fd = memfd_create("index", MFD_CLOEXEC) };
    struct stat st;

    assert_int_equal(fstat(d->fd, &st), 0);
    m.len = (size_t)st.st_size;
    assert_int_equal(copy_file(d->fd, m.fd), m.len);
    m.bytes = mmap(NULL, m.len, PROT_READ | PROT_WRITE, MAP_SHARED, m.fd, 0);
    snprintf(m.path, sizeof m.path, "%s/data.mdb", root);
    mdb_env_close(d->env);
    return m;
}

static void image_done(struct image *m)
{
    munmap(m->bytes, m->len);
    close(m->fd);
}

/* Where the lists of free pages lie in the image: count, then page numbers */
struct lists {
    size_t at[64], n;
};

/* LMDB shows where it has mapped them; each page begins with its number. */
static struct lists find_lists(struct db *d)
{
    struct lists l = { .n = 0 };
    MDB_cursor *cursor;
    MDB_val key, value;
    MDB_txn *txn;
    size_t page;

    assert_int_equal(mdb_txn_begin(d->env, NULL, MDB_RDONLY, &txn), 0);
    assert_int_equal(mdb_cursor_open(txn, 0, &cursor), 0);
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
        uintptr_t at = (uintptr_t)value.mv_data, begin = at - at % PAGE;

        memcpy(&page, (const void *)begin, sizeof page);
        assert_true(l.n < ARRAY_LEN(l.at));
        l.at[l.n++] = page * PAGE + (at - begin);
    }
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    assert_true(l.n > 0);
    return l;
}

static size_t *list_in(const struct image *m, size_t at)
{
    return (size_t *)(void *)(m->bytes + at);
}

static size_t *longest_list(const struct image *m, const struct lists *l)
{
    size_t *longest = list_in(m, l->at[0]);

    for (size_t i = 1; i < l->n; i++)
        if (list_in(m, l->at[i])[0] > longest[0])
            longest = list_in(m, l->at[i]);
    return longest;
}

static bool *free_pages(const struct image *m, const struct lists *l)
{
    bool *is_free = mem_calloc(m->len / PAGE, sizeof *is_free);

    for (size_t i = 0; i < l->n; i++) {
        const size_t *list = list_in(m, l->at[i]);

        for (size_t k = 1; k <= list[0]; k++)
            is_free[list[k]] = true;
    }
    return is_free;
}

static int descending(const void *a, const void *b)
{
    const size_t *x = a, *y = b;

    return *x > *y ? -1 : *x < *y;
}

/* Every page that is in use, of records, of branches, of the lists themselves, is put on a list in its place in the order. */
static void test_a_page_in_use_that_a_list_names_is_noticed_whatever_it_is(void **state)
{
    struct db d = db_open();

    (void)state;
    fill(&d, MANY_KEYS);
    struct lists l = find_lists(&d);
    struct image m = image_of(&d);
    size_t pages = m.len / PAGE, *list = longest_list(&m, &l), n = list[0];
    _cleanup_free_ bool *is_free = free_pages(&m, &l);
    _cleanup_free_ size_t *before = mem_calloc(n + 1, sizeof *before);

    assert_int_equal(index_check_file(m.fd, PAGE), 0);
    assert_true(n > PAGE / sizeof *list); /* a list that has pages of its own */
    memcpy(before, list, (n + 1) * sizeof *list);
    for (size_t page = 2; page < pages; page++) {
        if (is_free[page])
            continue;
        list[1 + page % n] = page;
        qsort(list + 1, n, sizeof *list, descending);
        if (index_check_file(m.fd, PAGE) != -EBADMSG)
            fail_msg("page %zu of %zu", page, pages);
        memcpy(list, before, (n + 1) * sizeof *list);
    }
    assert_int_equal(index_check_file(m.fd, PAGE), 0);
    image_done(&m);
}

static void test_a_list_that_is_none_is_noticed(void **state)
{
    struct db d = db_open();

    (void)state;
    fill(&d, KEYS);
    struct lists l = find_lists(&d);
    struct image m = image_of(&d);
    size_t *list = list_in(&m, l.at[l.n - 1]), n = list[0], pages = m.len / PAGE;
    assert_true(n > 2);
    const struct {
        size_t at, value;
    } rows[] = {
        { 0, n + PAGE }, { 0, SIZE_MAX }, { 0, SIZE_MAX / sizeof n }, { 1, 0 }, { 1, 1 }, { 1, pages }, { 1, SIZE_MAX }, { n, 0 }, { n, 1 },
        { 1, list[2] }, { n, list[n - 1] }, { 2, list[1] + 1 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t before = list[rows[i].at];

        list[rows[i].at] = rows[i].value;
        if (index_check_file(m.fd, PAGE) != -EBADMSG)
            fail_msg("row %zu", i);
        list[rows[i].at] = before;
    }
    image_done(&m);
}

/* All keys in order, each also found from above; then as many changes as a session makes */
static int use_database(unsigned want_keys)
{
    struct db d = db_open();
    MDB_cursor *cursor;
    MDB_val key, value;
    MDB_txn *txn;
    unsigned n = 0;

    assert_int_equal(mdb_txn_begin(d.env, NULL, MDB_RDONLY, &txn), 0);
    assert_int_equal(mdb_cursor_open(txn, d.dbi, &cursor), 0);
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
        MDB_val found;

        assert_int_equal(mdb_get(txn, d.dbi, &key, &found), 0);
        assert_ptr_equal(found.mv_data, value.mv_data);
        n++;
    }
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    assert_int_equal(n, want_keys);
    change(&d, 100, 200, true);
    change(&d, 50, 300, false);
    int r = index_check_file(d.fd, PAGE);
    mdb_env_close(d.env);
    return r;
}

/* A meta page's number of the last transaction: whether the one before was the last, nobody can tell. */
static bool is_transaction(size_t at)
{
    return at < (size_t)2 * PAGE && at % PAGE / 8 == 144 / 8;
}

/* Whatever bit is wrong, either it is noticed or LMDB can read and write what there is. POSTERN_TEST_LONG: more of them */
static void test_what_is_said_to_be_sound_can_be_read_and_written(void **state)
{
    unsigned rounds = getenv("POSTERN_TEST_LONG") ? 100000 : 400, passed = 0;
    struct db d = db_open();
    MDB_stat stat;

    (void)state;
    fill(&d, KEYS);
    mdb_env_stat(d.env, &stat);
    struct lists l = find_lists(&d);
    struct image m = image_of(&d);
    _cleanup_free_ bool *is_free = free_pages(&m, &l);
    for (unsigned i = 0; i < rounds; i++) {
        /* Most of what matters is in the first bytes of pages, and by the ends of leaves. */
        size_t at = any((unsigned)m.len);
        char bit = (char)(1 << any(8));

        if (i % 4)
            at = at - at % PAGE + any(i % 3 ? 64 : 160);
        if (is_free[at / PAGE] || is_transaction(at))
            continue;
        m.bytes[at] ^= bit;
        if (index_check_file(m.fd, PAGE) == 0) {
            int fd = open(m.path, O_WRONLY | O_TRUNC);

            passed++;
            assert_int_equal(copy_file(m.fd, fd), m.len);
            close(fd);
            if (use_database((unsigned)stat.ms_entries) != 0)
                fail_msg("bit %02x at %zu: not sound after a change", (unsigned char)bit, at);
        }
        m.bytes[at] ^= bit;
    }
    print_message("%u of %u passed\n", passed, rounds);
    image_done(&m);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_in_memory, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_database_is_sound_after_every_transaction),
        TEST(test_a_page_in_use_that_a_list_names_is_noticed_whatever_it_is),
        TEST(test_a_list_that_is_none_is_noticed),
        TEST(test_what_is_said_to_be_sound_can_be_read_and_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
