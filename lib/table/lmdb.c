/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lmdb.c - lmdb: one LMDB file, keys and values with their NUL as postmap of Postfix stores them
 *
 * The file is mapped, so a look-up costs no system call. There is no lock file: a
 * new version is written beside the old one and renamed over it, and a snapshot is
 * taken for each look-up, in case that another postmap writes in place.
 *
 * The library opens by name only. Where a sandbox keeps a new version out of reach, and there
 * is but a descriptor of it, a copy in memory is opened, by its name in /proc.
 *
 * Runs in: every program that reads tables (read-only), postmap (write).
 */
#include <errno.h>
#include <lmdb.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/own.h"
#include "table/type.h"

enum { PAGE_BYTES = 4096 };

enum nul_kind { NUL_UNKNOWN, NUL_STORED, NUL_ABSENT };

struct lmdb {
    MDB_env *env;
    MDB_txn *txn; /* read-only; reset between look-ups */
    MDB_dbi dbi;
    size_t key_max;
    enum nul_kind nul;
    struct str key; /* scratch: a key with its NUL; no look-up waits */
};

/* LMDB answers errno values, and negative ones of its own. */
static int lmdb_errno(int r)
{
    return r > 0 ? -r : -EIO;
}

void lmdb_close(void *impl)
{
    struct lmdb *l = impl;

    if (l->txn)
        mdb_txn_abort(l->txn);
    if (l->env)
        mdb_env_close(l->env);
    str_free(&l->key);
    free(l);
}

static void lmdb_drop(struct lmdb **l)
{
    if (*l)
        lmdb_close(*l);
}

static int open_env(struct lmdb *l, const char *path)
{
    int r = mdb_env_create(&l->env);

    if (r == 0)
        r = mdb_env_open(l->env, path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK, 0);
    if (r == 0)
        r = mdb_txn_begin(l->env, NULL, MDB_RDONLY, &l->txn);
    if (r == 0)
        r = mdb_dbi_open(l->txn, NULL, 0, &l->dbi);
    if (r == 0)
        mdb_txn_reset(l->txn);
    return r;
}

/* copy_to_memory - the file as an anonymous one, which is nobody's to refuse */
static int copy_to_memory(int from)
{
    _cleanup_close_ int fd = memfd_create("lmdb", MFD_CLOEXEC);
    struct stat st;
    ssize_t n = 1;

    if (fd < 0 || fstat(from, &st) < 0)
        return -errno;
    if (st.st_size > TABLE_FILE_MAX)
        return -EFBIG;
    for (off_t done = 0; n > 0 && done < st.st_size; done += n)
        n = sendfile(fd, from, NULL, (size_t)(st.st_size - done));
    return n < 0 ? -errno : TAKE_FD(fd);
}

/* open_copy - the file behind a descriptor that file_open() has got elsewhere; as open_env */
static int open_copy(struct lmdb *l, const char *path)
{
    _cleanup_(str_free) struct str name = STR_INIT;
    _cleanup_close_ int file = file_open(path);

    if (file < 0)
        return -file;
    _cleanup_close_ int copy = copy_to_memory(file);
    if (copy < 0)
        return -copy;
    str_addf(&name, "/proc/self/fd/%d", copy);
    return open_env(l, str_cstr(&name));
}

int lmdb_open(const struct table_opening *o, void **ret)
{
    _cleanup_(lmdb_drop) struct lmdb *l = mem_new(struct lmdb);
    int r = open_env(l, o->path);

    if (r == EACCES) {
        mdb_env_close(l->env);
        l->env = NULL;
        r = open_copy(l, o->path);
    }
    if (r != 0) {
        str_addf(o->err, "cannot open %s: %s", o->path, mdb_strerror(r));
        return lmdb_errno(r);
    }
    l->key_max = (size_t)mdb_env_get_maxkeysize(l->env);
    *ret = TAKE_PTR(l);
    return 0;
}

static struct span without_nul(const MDB_val *v)
{
    struct span s = span_make(v->mv_data, v->mv_size);

    if (s.len > 0 && s.ptr[s.len - 1] == '\0')
        s.len--;
    return s;
}

static int lookup(struct lmdb *l, char *key, size_t len, struct str *value)
{
    MDB_val k = {len, key}, v;

    if (len == 0 || len > l->key_max)
        return 0;
    int r = mdb_get(l->txn, l->dbi, &k, &v);
    if (r == MDB_NOTFOUND)
        return 0;
    if (r != 0)
        return lmdb_errno(r);
    if (v.mv_size > TABLE_VALUE_MAX)
        return -EMSGSIZE;
    str_add(value, without_nul(&v));
    return 1;
}

static int lookup_either(struct lmdb *l, struct str *value)
{
    int r = 0;

    if (l->nul != NUL_ABSENT) {
        r = lookup(l, l->key.data, l->key.len + 1, value);
        if (r > 0)
            l->nul = NUL_STORED;
    }
    if (r == 0 && l->nul != NUL_STORED) {
        r = lookup(l, l->key.data, l->key.len, value);
        if (r > 0)
            l->nul = NUL_ABSENT;
    }
    return r;
}

int lmdb_get(void *impl, struct span key, struct str *value)
{
    struct lmdb *l = impl;

    str_set(&l->key, key);
    int r = mdb_txn_renew(l->txn);
    if (r != 0)
        return lmdb_errno(r);
    r = lookup_either(l, value);
    mdb_txn_reset(l->txn);
    return r;
}

static int each_in_txn(struct lmdb *l, table_pair_fn *fn, void *arg)
{
    MDB_cursor *cursor;
    MDB_val k, v;
    int r = mdb_cursor_open(l->txn, l->dbi, &cursor);

    if (r != 0)
        return lmdb_errno(r);
    while ((r = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0)
        fn(without_nul(&k), without_nul(&v), arg);
    mdb_cursor_close(cursor);
    return r == MDB_NOTFOUND ? 0 : lmdb_errno(r);
}

int lmdb_each(void *impl, table_pair_fn *fn, void *arg)
{
    struct lmdb *l = impl;
    int r = mdb_txn_renew(l->txn);

    if (r != 0)
        return lmdb_errno(r);
    r = each_in_txn(l, fn, arg);
    mdb_txn_reset(l->txn);
    return r;
}

/* Address space for all pairs, each at worst on pages of its own half filled; unused, it costs
 * nothing. */
static size_t map_bytes(const struct dict *pairs)
{
    return 64 * PAGE_BYTES + 2 * (pairs->bytes + pairs->len * PAGE_BYTES);
}

static int put_all(MDB_txn *txn, MDB_dbi dbi, const struct dict *pairs, size_t key_max)
{
    _cleanup_free_ const struct dict_entry **sorted = dict_sorted(pairs);
    _cleanup_(str_free) struct str key = STR_INIT, value = STR_INIT;

    for (size_t i = 0; i < pairs->len; i++) {
        str_set(&key, sorted[i]->node.key);
        str_set(&value, sorted[i]->value);
        if (key.len + 1 > key_max)
            return -ENAMETOOLONG;
        MDB_val k = {key.len + 1, key.data}, v = {value.len + 1, value.data};
        int r = mdb_put(txn, dbi, &k, &v, 0);

        if (r != 0)
            return lmdb_errno(r);
    }
    return 0;
}

static int write_env(MDB_env *env, const char *path, const struct dict *pairs)
{
    MDB_txn *txn;
    MDB_dbi dbi;
    int r = mdb_env_set_mapsize(env, map_bytes(pairs));

    if (r == 0)
        r = mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK, 0600);
    if (r == 0)
        r = mdb_txn_begin(env, NULL, 0, &txn);
    if (r != 0)
        return lmdb_errno(r);
    r = mdb_dbi_open(txn, NULL, 0, &dbi);
    r = r != 0 ? lmdb_errno(r) : put_all(txn, dbi, pairs, (size_t)mdb_env_get_maxkeysize(env));
    if (r < 0) {
        mdb_txn_abort(txn);
        return r;
    }
    r = mdb_txn_commit(txn);
    return r == 0 ? 0 : lmdb_errno(r);
}

int lmdb_write(const char *path, const struct dict *pairs)
{
    MDB_env *env;
    int r = mdb_env_create(&env);

    if (r != 0)
        return lmdb_errno(r);
    r = write_env(env, path, pairs);
    mdb_env_close(env);
    return r;
}
