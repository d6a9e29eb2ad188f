/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache.c - a kept, writable cache in one LMDB file
 *
 * Writing means flushing to disk, which takes as long as the disk likes. So it is done in batches on
 * a helper thread; look-ups see the batch that gathers, then the one on its way to disk, then the file.
 *
 * A value in the file is its expiry, 8 bytes, big-endian, and the bytes. The header, under a key that starts
 * with NUL, says what the file is.
 *
 * Damage: a file shorter than its header promises is found when it is opened. Of a damaged page LMDB
 * notices some things by an assertion and runs into others; so that this happens
 * once and not at each restart, the file is set aside before the process dies of it.
 *
 * Runs in: anvil, verify (trusted input). Logs nothing.
 */
#include "table/cache.h"

#include <errno.h>
#include <lmdb.h>
#include <signal.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"

/* Address space only: the file is as large as what is in it. */
#define MAP_SIZE ((size_t)1 << 30)

enum { EXPIRY_BYTES = 8 };

static const char header_key[] = "\0cache", header_value[] = "Postern cache 1";

/* A put, or a delete, that is not in the file yet. */
struct change {
    struct hash_node node;
    char *key;
    struct str record; /* expiry and value; empty: to be deleted */
};

struct cache {
    MDB_env *env;
    MDB_dbi db;
    MDB_txn *reader; /* reset between look-ups */
    char *path, *lock_path, *aside;
    struct hash pending, writing;
    struct gate writer; /* one batch or sweep at a time */
    struct str swept;   /* the last key that a sweep has seen; empty: from the start */
};

/* The cache that this thread works on, for the signal handler. */
static _Thread_local const struct cache *volatile busy;

static int map_error(int rc)
{
    if (rc == MDB_SUCCESS)
        return 0;
    if (rc == MDB_NOTFOUND)
        return -ENOENT;
    if (rc == MDB_MAP_FULL || rc == MDB_TXN_FULL)
        return -ENOSPC;
    return rc > 0 ? -rc : -EBADMSG;
}

static struct span span_of_val(const MDB_val *v)
{
    return span_make(v->mv_data, v->mv_size);
}

static MDB_val val_of(struct span s)
{
    return (MDB_val){ s.len, (void *)s.ptr };
}

static bool is_header(struct span key)
{
    return key.len > 0 && key.ptr[0] == '\0';
}

/* ---- records ---- */

static void record_make(struct str *ret, struct span value, int64_t expires)
{
    str_reset(ret);
    for (int shift = 56; shift >= 0; shift -= 8)
        str_add_char(ret, (char)((uint64_t)expires >> shift & 255));
    str_add(ret, value);
}

/* The expiry of a record; 0, long ago, for one that is none */
static int64_t record_expiry(struct span record)
{
    uint64_t n = 0;

    if (record.len < EXPIRY_BYTES)
        return 0;
    for (size_t i = 0; i < EXPIRY_BYTES; i++)
        n = n << 8 | (unsigned char)record.ptr[i];
    return n > INT64_MAX ? 0 : (int64_t)n;
}

static int record_give(struct span record, struct str *value, int64_t *ret_expires)
{
    int64_t expires = record_expiry(record);

    if (expires <= clock_real())
        return 0;
    str_set(value, span_from(record, EXPIRY_BYTES));
    if (ret_expires)
        *ret_expires = expires;
    return 1;
}

/* ---- damage ---- */

/* Only calls that a signal handler may make; one damaged file is kept for a look at it. */
static void set_aside(const struct cache *c)
{
    rename(c->path, c->aside);
    unlink(c->lock_path);
}

static void on_assertion(MDB_env *env, const char *text)
{
    (void)text;
    set_aside(mdb_env_get_userctx(env)); /* LMDB aborts when this returns */
}

static void on_signal(int sig)
{
    (void)sig;
    if (busy)
        set_aside(busy);
    /* SA_RESETHAND: the same instruction faults again, with the usual result. */
}

static void catch_signals(void)
{
    struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESETHAND };

    sigemptyset(&sa.sa_mask);
    sigaction(SIGSEGV, &sa, NULL);
    sigaction(SIGBUS, &sa, NULL);
}

/* ---- what is not written yet ---- */

static struct change *change_find(const struct hash *h, struct span key)
{
    return HASH_ENTRY(hash_get(h, key), struct change, node);
}

static void changes_drop(struct hash *h)
{
    struct hash_node *next, *n = hash_next(h, NULL);

    for (; n; n = next) {
        struct change *ch = CONTAINER_OF(n, struct change, node);

        next = hash_next(h, n);
        str_free(&ch->record);
        free(ch->key);
        free(ch);
    }
    hash_done(h);
    *h = HASH_INIT;
}

static struct change *change_of(struct cache *c, struct span key)
{
    struct change *ch = change_find(&c->pending, key);

    if (ch)
        return ch;
    ch = mem_new(struct change);
    ch->record = STR_INIT;
    ch->key = mem_dup_span(key);
    ch->node.key = span_make(ch->key, key.len);
    hash_put(&c->pending, &ch->node);
    return ch;
}

static bool key_fits(struct span key)
{
    return key.len > 0 && key.len <= CACHE_KEY_MAX && !is_header(key);
}

void cache_put(struct cache *c, struct span key, struct span value, int64_t expires)
{
    if (key_fits(key) && value.len <= CACHE_VALUE_MAX)
        record_make(&change_of(c, key)->record, value, expires);
}

void cache_delete(struct cache *c, struct span key)
{
    if (key_fits(key))
        str_reset(&change_of(c, key)->record);
}

size_t cache_pending(const struct cache *c)
{
    return c->pending.len;
}

/* ---- looking up ---- */

static int get_from_file(struct cache *c, struct span key, struct str *value, int64_t *ret_expires)
{
    MDB_val k = val_of(key), v;
    int r;

    busy = c;
    int rc = mdb_txn_renew(c->reader);
    if (rc == MDB_SUCCESS)
        rc = mdb_get(c->reader, c->db, &k, &v);
    r = rc == MDB_SUCCESS ? record_give(span_of_val(&v), value, ret_expires) : map_error(rc);
    mdb_txn_reset(c->reader);
    busy = NULL;
    return r == -ENOENT ? 0 : r;
}

int cache_get(struct cache *c, struct span key, struct str *value, int64_t *ret_expires)
{
    if (!key_fits(key))
        return 0;

    struct change *ch = change_find(&c->pending, key);

    if (!ch)
        ch = change_find(&c->writing, key);
    if (ch)
        return record_give(str_span(&ch->record), value, ret_expires);
    return get_from_file(c, key, value, ret_expires);
}

/* ---- writing, on a helper thread ---- */

static int put_change(struct cache *c, MDB_txn *txn, const struct change *ch)
{
    MDB_val k = val_of(ch->node.key), v = val_of(str_span(&ch->record));

    if (ch->record.len > 0)
        return mdb_put(txn, c->db, &k, &v, 0);
    int rc = mdb_del(txn, c->db, &k, NULL);
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

static int write_changes(struct cache *c, MDB_txn *txn, void *arg)
{
    int rc = MDB_SUCCESS;

    (void)arg;
    for (struct hash_node *n = hash_next(&c->writing, NULL); n && rc == MDB_SUCCESS;
         n = hash_next(&c->writing, n))
        rc = put_change(c, txn, CONTAINER_OF(n, struct change, node));
    return rc;
}

/* Begin, do, and commit what was done (of nothing, nothing is written) */
static int transaction(struct cache *c, int (*fn)(struct cache *c, MDB_txn *txn, void *arg), void *arg)
{
    MDB_txn *txn = NULL;

    busy = c;
    int rc = mdb_txn_begin(c->env, NULL, 0, &txn);
    if (rc == MDB_SUCCESS) {
        rc = fn(c, txn, arg);
        if (rc == MDB_SUCCESS)
            rc = mdb_txn_commit(txn);
        else
            mdb_txn_abort(txn);
    }
    busy = NULL;
    return map_error(rc);
}

static int flush_job(void *arg)
{
    return transaction(arg, write_changes, NULL);
}

int cache_flush(struct cache *c)
{
    int r = gate_enter(&c->writer, CLOCK_NEVER);

    if (r < 0)
        return r;
    if (c->pending.len > 0) {
        c->writing = c->pending;
        c->pending = HASH_INIT;
        r = offload(flush_job, c);
        changes_drop(&c->writing);
    }
    gate_leave(&c->writer);
    return r;
}

struct sweep {
    struct cache *cache;
    size_t max;
    int removed;
    bool at_end;
};

/* The first entry after the one that the last sweep ended with */
static int sweep_start(const struct cache *c, MDB_cursor *cursor, MDB_val *k, MDB_val *v)
{
    struct span last = str_span(&c->swept);

    if (last.len == 0)
        return mdb_cursor_get(cursor, k, v, MDB_FIRST);
    *k = val_of(last);
    int rc = mdb_cursor_get(cursor, k, v, MDB_SET_RANGE);
    if (rc == MDB_SUCCESS && span_eq(span_of_val(k), last))
        rc = mdb_cursor_get(cursor, k, v, MDB_NEXT);
    return rc;
}

static int sweep_entries(struct sweep *sw, MDB_cursor *cursor)
{
    int64_t now = clock_real();
    MDB_val k, v;
    int rc = sweep_start(sw->cache, cursor, &k, &v);

    for (size_t n = 0; rc == MDB_SUCCESS && n < sw->max; n++) {
        str_set(&sw->cache->swept, span_of_val(&k));
        if (!is_header(span_of_val(&k)) && record_expiry(span_of_val(&v)) <= now) {
            rc = mdb_cursor_del(cursor, 0);
            sw->removed += rc == MDB_SUCCESS;
        }
        if (rc == MDB_SUCCESS)
            rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    }
    if (rc != MDB_NOTFOUND)
        return rc;
    str_reset(&sw->cache->swept);
    sw->at_end = true;
    return MDB_SUCCESS;
}

static int sweep_txn(struct cache *c, MDB_txn *txn, void *arg)
{
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(txn, c->db, &cursor);

    if (rc != MDB_SUCCESS)
        return rc;
    rc = sweep_entries(arg, cursor);
    mdb_cursor_close(cursor);
    return rc;
}

static int sweep_job(void *arg)
{
    struct sweep *sw = arg;

    return transaction(sw->cache, sweep_txn, sw);
}

int cache_sweep(struct cache *c, size_t max, bool *ret_round)
{
    struct sweep sw = { .cache = c, .max = max };
    int r = gate_enter(&c->writer, CLOCK_NEVER);

    if (r < 0)
        return r;
    r = offload(sweep_job, &sw);
    gate_leave(&c->writer);
    if (r < 0)
        return r;
    if (ret_round)
        *ret_round = sw.at_end;
    return sw.removed;
}

/* ---- opening ---- */

/* The file must be as long as its newest meta page says, or a look-up would run off its end. */
static int check_length(const struct cache *c)
{
    MDB_envinfo info;
    MDB_stat stat;
    struct stat st;
    int fd, rc = mdb_env_get_fd(c->env, &fd);

    if (rc != MDB_SUCCESS || fstat(fd, &st) < 0)
        return -EBADMSG;
    mdb_env_info(c->env, &info);
    mdb_env_stat(c->env, &stat);
    return (uint64_t)st.st_size < (info.me_last_pgno + 1) * (uint64_t)stat.ms_psize ? -EBADMSG : 0;
}

/* A new file gets its header; an old one must have it. */
static int check_header(struct cache *c, MDB_txn *txn, void *arg)
{
    MDB_val k = { sizeof header_key - 1, (void *)header_key }, v;
    MDB_stat stat;

    (void)arg;
    int rc = mdb_dbi_open(txn, NULL, 0, &c->db);

    if (rc == MDB_SUCCESS)
        rc = mdb_stat(txn, c->db, &stat);
    if (rc != MDB_SUCCESS)
        return rc;
    if (stat.ms_entries == 0) {
        v = (MDB_val){ sizeof header_value - 1, (void *)header_value };
        return mdb_put(txn, c->db, &k, &v, 0);
    }
    rc = mdb_get(txn, c->db, &k, &v);
    if (rc == MDB_NOTFOUND || (rc == MDB_SUCCESS && !span_eq_str(span_of_val(&v), header_value)))
        return MDB_INVALID;
    return rc;
}

/* -EBADMSG: not a whole cache */
static int open_env(struct cache *c)
{
    int dead, rc = mdb_env_create(&c->env);

    if (rc != MDB_SUCCESS)
        return map_error(rc);
    mdb_env_set_mapsize(c->env, MAP_SIZE);
    mdb_env_set_userctx(c->env, c);
    mdb_env_set_assert(c->env, on_assertion);
    rc = mdb_env_open(c->env, c->path, MDB_NOSUBDIR | MDB_NOTLS | MDB_NOMETASYNC, 0600);
    if (rc != MDB_SUCCESS)
        return map_error(rc);
    mdb_reader_check(c->env, &dead); /* one that was killed would keep old pages for ever */
    int r = check_length(c);
    if (r == 0)
        r = transaction(c, check_header, NULL);
    if (r == 0)
        r = map_error(mdb_txn_begin(c->env, NULL, MDB_RDONLY, &c->reader));
    if (r == 0)
        mdb_txn_reset(c->reader);
    return r;
}

static void close_env(struct cache *c)
{
    if (c->reader)
        mdb_txn_abort(TAKE_PTR(c->reader));
    if (c->env)
        mdb_env_close(TAKE_PTR(c->env));
}

static char *path_with(const char *path, const char *suffix)
{
    _cleanup_(str_free) struct str s = STR_INIT;

    str_addf(&s, "%s%s", path, suffix);
    return str_take(&s);
}

int cache_open(const char *path, struct cache **ret, struct str *err)
{
    _cleanup_(cache_free_ptr_) struct cache *c = mem_new(struct cache);
    bool damaged = false;

    c->path = path_with(path, "");
    c->lock_path = path_with(path, "-lock");
    c->aside = path_with(path, ".damaged");
    c->pending = c->writing = HASH_INIT;
    gate_init(&c->writer, 1);
    catch_signals();
    int r = open_env(c);
    if (r == -EBADMSG) {
        damaged = true;
        close_env(c);
        set_aside(c);
        r = open_env(c);
    }
    if (r < 0) {
        str_addf(err, "cannot open %s: %s", path, strerror(-r));
        return r;
    }
    if (damaged)
        str_addf(err, "%s is damaged or no cache: it is now %s, and a new one is in use", path, c->aside);
    *ret = TAKE_PTR(c);
    return damaged;
}

void cache_free(struct cache *c)
{
    if (!c)
        return;
    if (c->env && c->pending.len > 0)
        cache_flush(c);
    changes_drop(&c->pending);
    close_env(c);
    str_free(&c->swept);
    free(c->path);
    free(c->lock_path);
    free(c->aside);
    free(c);
}
