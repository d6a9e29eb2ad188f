/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bdb.c - hash and btree: Berkeley DB files, as postmap of Postfix writes and reads them
 *
 * postmap stores key and value with their terminating NUL; other programs without.
 * Reading accepts both, and remembers which one the file has once a key was found.
 * A file is never changed in place: a new one is written and renamed over it. Where
 * the new one is out of reach by its name, the library is given a descriptor for it.
 *
 * Runs in: every program that reads tables (read-only), postmap (write).
 */
#include "config.h"

#ifdef DB_LIBRARY
#include <db.h>
#include <errno.h>
#include <fcntl.h>

#include "base/file.h"
#include "base/library.h"
#include "base/mem.h"
#include "base/own.h"
#include "table/type.h"

enum {
    READ_CACHE_BYTES = 1 << 20,
    WRITE_CACHE_BYTES = 64 << 20,
};

/* All else are functions of a database. */
static struct {
    __typeof__(&db_create) db_create;
    __typeof__(&db_env_set_func_open) db_env_set_func_open;
} lib;

static int load_library(struct str *err)
{
    static const struct library_function functions[] = {
        LIBRARY_FUNCTION(lib, db_create),
        LIBRARY_FUNCTION(lib, db_env_set_func_open),
    };

    return lib.db_create ? 0 : library_load(DB_SONAME, functions, ARRAY_LEN(functions), err);
}

enum nul_kind { NUL_UNKNOWN, NUL_STORED, NUL_ABSENT };

struct bdb {
    DB *db;
    enum nul_kind nul;
    struct str key; /* scratch: a key with its NUL; no look-up waits */
};

/* The library prints its errors to stderr unless it is given another place. */
static void no_error_text(const DB_ENV *env, const char *prefix, const char *text)
{
    (void)env, (void)prefix, (void)text;
}

/* What the library gets when it opens a file, which it does twice; -1: let it. Set while db->open() runs. */
static int file_for_library = -1;

static int open_for_library(const char *path, int flags, ...)
{
    va_list ap;

    if (file_for_library >= 0)
        return lseek(file_for_library, 0, SEEK_SET) < 0 ? -1 : fcntl(file_for_library, F_DUPFD_CLOEXEC, 0);
    va_start(ap, flags);
    int fd = open(path, flags | O_CLOEXEC, va_arg(ap, int));
    va_end(ap);
    return fd;
}

/* Berkeley DB answers errno values, and negative ones of its own. */
static int bdb_errno(int r)
{
    return r > 0 ? -r : -EIO;
}

static void db_close(DB **db)
{
    if (*db)
        (*db)->close(*db, DB_NOSYNC);
}

static int bdb_create(size_t cache_bytes, DB **ret)
{
    DB *db;
    int r = lib.db_env_set_func_open(open_for_library);

    if (r == 0)
        r = lib.db_create(&db, NULL, 0);
    if (r != 0)
        return bdb_errno(r);
    db->set_errcall(db, no_error_text);
    r = db->set_cachesize(db, 0, (uint32_t)cache_bytes, 1);
    if (r != 0) {
        db->close(db, DB_NOSYNC);
        return bdb_errno(r);
    }
    *ret = db;
    return 0;
}

int bdb_open(const struct table_opening *o, void **ret)
{
    _cleanup_(db_close) DB *db = NULL;
    _cleanup_close_ int fd = file_open(o->path);

    if (fd < 0) {
        str_addf(o->err, "cannot open %s: %s", o->path, strerror(-fd));
        return fd;
    }
    int r = load_library(o->err);
    if (r == 0)
        r = bdb_create(READ_CACHE_BYTES, &db);
    if (r < 0)
        return r;
    file_for_library = fd;
    r = db->open(db, NULL, o->path, NULL, DB_UNKNOWN, DB_RDONLY, 0);
    file_for_library = -1;
    if (r != 0) {
        str_addf(o->err, "cannot open %s: %s", o->path,
                 r == EINVAL || r < 0 ? "not a Berkeley DB file" : strerror(r));
        return bdb_errno(r);
    }
    struct bdb *b = mem_new(struct bdb);

    b->db = TAKE_PTR(db);
    *ret = b;
    return 0;
}

void bdb_close(void *impl)
{
    struct bdb *b = impl;

    db_close(&b->db);
    str_free(&b->key);
    free(b);
}

static struct span without_nul(const DBT *t)
{
    struct span s = span_make(t->data, t->size);

    if (s.len > 0 && s.ptr[s.len - 1] == '\0')
        s.len--;
    return s;
}

/* key has a NUL behind its last byte; len says whether it counts */
static int lookup(struct bdb *b, char *key, size_t len, struct str *value)
{
    DBT k = {.data = key, .size = (uint32_t)len}, v = {0};
    int r = b->db->get(b->db, NULL, &k, &v, 0);

    if (r == DB_NOTFOUND)
        return 0;
    if (r != 0)
        return bdb_errno(r);
    if (v.size > TABLE_VALUE_MAX)
        return -EMSGSIZE;
    str_add(value, without_nul(&v));
    return 1;
}

int bdb_get(void *impl, struct span key, struct str *value)
{
    struct bdb *b = impl;
    int r = 0;

    str_set(&b->key, key);
    if (b->nul != NUL_ABSENT) {
        r = lookup(b, b->key.data, b->key.len + 1, value);
        if (r > 0)
            b->nul = NUL_STORED;
    }
    if (r == 0 && b->nul != NUL_STORED) {
        r = lookup(b, b->key.data, b->key.len, value);
        if (r > 0)
            b->nul = NUL_ABSENT;
    }
    return r;
}

int bdb_each(void *impl, table_pair_fn *fn, void *arg)
{
    struct bdb *b = impl;
    DBT k = {0}, v = {0};
    DBC *cursor;
    int r = b->db->cursor(b->db, NULL, &cursor, 0);

    if (r != 0)
        return bdb_errno(r);
    while ((r = cursor->get(cursor, &k, &v, DB_NEXT)) == 0)
        fn(without_nul(&k), without_nul(&v), arg);
    cursor->close(cursor);
    return r == DB_NOTFOUND ? 0 : bdb_errno(r);
}

static int put(DB *db, const struct dict_entry *e, struct str *key, struct str *value)
{
    str_set(key, e->node.key);
    str_set(value, e->value);
    DBT k = {.data = key->data, .size = (uint32_t)key->len + 1};
    DBT v = {.data = value->data, .size = (uint32_t)value->len + 1};

    int r = db->put(db, NULL, &k, &v, 0);
    return r == 0 ? 0 : bdb_errno(r);
}

/* In the order of the keys: a btree is then filled without splits. */
static int put_all(DB *db, const struct dict *pairs)
{
    _cleanup_free_ const struct dict_entry **sorted = dict_sorted(pairs);
    _cleanup_(str_free) struct str key = STR_INIT, value = STR_INIT;

    for (size_t i = 0; i < pairs->len; i++) {
        int r = put(db, sorted[i], &key, &value);

        if (r < 0)
            return r;
    }
    return 0;
}

static int bdb_write(const char *path, const struct dict *pairs, DBTYPE type)
{
    size_t cache = pairs->bytes * 2 + READ_CACHE_BYTES;
    _cleanup_(db_close) DB *db = NULL;
    _cleanup_(str_free) struct str err = STR_INIT;
    int r = load_library(&err);

    if (r == 0)
        r = bdb_create(cache < WRITE_CACHE_BYTES ? cache : WRITE_CACHE_BYTES, &db);
    if (r < 0)
        return r;
    if (type == DB_HASH && pairs->len > 0) {
        r = db->set_h_nelem(db, (uint32_t)pairs->len);
        if (r != 0)
            return bdb_errno(r);
    }
    r = db->open(db, NULL, path, NULL, type, DB_CREATE | DB_TRUNCATE, 0600);
    if (r != 0)
        return bdb_errno(r);
    r = put_all(db, pairs);
    if (r < 0)
        return r;
    r = db->close(TAKE_PTR(db), 0);
    return r == 0 ? 0 : bdb_errno(r);
}

int bdb_write_hash(const char *path, const struct dict *pairs)
{
    return bdb_write(path, pairs, DB_HASH);
}

int bdb_write_btree(const char *path, const struct dict *pairs)
{
    return bdb_write(path, pairs, DB_BTREE);
}
#endif
