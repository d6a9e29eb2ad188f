/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.c - the index's environment: open, transactions
 *
 * LMDB maps its file. A file cut short would end the process by SIGBUS at the first touch, so its
 * length is compared with what its header promises before anything is read; if it is shorter, all of it is read
 * with care (index_check.c). The map is address space only; it is doubled when half of it is in use, at the
 * beginning of a write, because a transaction that hits its end would have to be done again.
 * What damage does to the process that meets it: index_guard.c.
 *
 * Runs in: imapd, pop3d, as the mailbox owner.
 */
#include "mailbox/index_parts.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define MAP_SIZE    ((size_t)1 << 30)
#define MAX_READERS 1024
#define LOCK_SIZE   (MAX_READERS * 64 + 4096)   /* a cache line for each, and some more */
#define GUARD       ((size_t)64 * 1024)         /* a page at least, everywhere */
#define FULL_BYTES  ((unsigned long)128 * 1024) /* a disk with less to give is full: what it could take, it has taken */

static const char magic[] = "Postern index";
enum { VERSION = 2, HEADER_SIZE = sizeof magic - 1 + 8 };

/* ---- transactions ---- */

static int begin(struct index *x, unsigned flags, struct index_txn *ret)
{
    MDB_txn *txn = NULL;

    index_guard_busy(x);
    index_call_begin();
    int rc = mdb_txn_begin(x->env, NULL, flags, &txn);

    if (rc == MDB_MAP_RESIZED) { /* another process has made it larger */
        rc = mdb_env_set_mapsize(x->env, 0);
        if (rc == MDB_SUCCESS)
            rc = mdb_txn_begin(x->env, NULL, flags, &txn);
    }
    index_call_end();
    if (rc != MDB_SUCCESS) {
        index_guard_idle();
        return rc == MDB_PANIC && x->unwritten ? -EIO : index_errno(rc);
    }
    *ret = (struct index_txn){ .index = x, .txn = txn, .db = x->db };
    return 0;
}

int index_begin_look(struct index *x, struct index_txn *ret)
{
    int some = arrivals_read(&x->arrivals), r = some < 0 ? some : begin(x, MDB_RDONLY, ret);

    if (r == 0 && some)
        r = arrivals_attach(&x->arrivals, ret);
    if (r < 0)
        index_end(ret);
    return r;
}

/* On a full disk, and of an index that has been put aside, what can be read is what is in the tree. */
static int take_in_arrivals(struct index *x)
{
    _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;
    int r = index_begin_write(x, &t);

    if (r == 0 && t.has_taken_in)
        r = index_commit(&t, false);
    if (r == -EBADMSG && index_is_replaced(x))
        return 0;
    return r == -ENOSPC || r == -EDQUOT ? 0 : r;
}

int index_begin_read(struct index *x, struct index_txn *ret)
{
    int r = index_begin_look(x, ret);

    if (r < 0 || !ret->arrivals)
        return r;
    index_end(ret);
    r = take_in_arrivals(x);
    return r < 0 ? r : begin(x, MDB_RDONLY, ret);
}

static int grow_map(struct index *x)
{
    MDB_envinfo info;
    MDB_stat stat;

    mdb_env_info(x->env, &info);
    mdb_env_stat(x->env, &stat);
    if (info.me_last_pgno * (size_t)stat.ms_psize < info.me_mapsize / 2)
        return 0;
    return index_errno(mdb_env_set_mapsize(x->env, info.me_mapsize * 2));
}

/* Whatever has arrived stays where it is. */
static int begin_change(struct index *x, struct index_txn *ret)
{
    int r = begin(x, 0, ret);

    if (r < 0)
        return r;
    if (index_is_replaced(x)) { /* while this waited for the lock, or before */
        index_end(ret);
        return -EBADMSG;
    }
    return 0;
}

int index_begin_arrival(struct index *x, struct index_txn *ret)
{
    int r = begin_change(x, ret), some = r < 0 ? 0 : arrivals_read(&x->arrivals);

    if (some > 0)
        r = arrivals_attach(&x->arrivals, ret);
    if (r < 0 || some < 0)
        index_end(ret);
    return some < 0 ? some : r;
}

int index_begin_write(struct index *x, struct index_txn *ret)
{
    int r = grow_map(x);

    if (r == 0)
        r = index_begin_arrival(x, ret);
    if (r == 0 && !x->checked)
        r = index_check_branches(ret);
    if (r == 0) {
        x->checked = true;
        r = arrivals_take_in(ret);
    }
    if (r < 0)
        index_end(ret);
    return r;
}

/* A part of what was to be written fitted. LMDB calls that EIO, and the disk may be well. */
static bool is_full(const struct index *x)
{
    struct statvfs st;
    int fd;

    return mdb_env_get_fd(x->env, &fd) == MDB_SUCCESS && fstatvfs(fd, &st) == 0 &&
           st.f_bavail * st.f_frsize < FULL_BYTES;
}

int index_commit(struct index_txn *t, bool durable)
{
    assert(!t->arrivals); /* UIDs would be given twice */
    int r = index_page_flush(t);

    index_kept_page_free(TAKE_PTR(t->kept));
    if (r < 0) {
        index_end(t);
        return r;
    }
    /* Without its meta page flushed a commit may be undone by a power cut, but the database stays whole. */
    mdb_env_set_flags(t->index->env, MDB_NOMETASYNC, !durable);
    index_call_begin();
    int rc = mdb_txn_commit(TAKE_PTR(t->txn));
    index_call_end();
    index_guard_idle();
    if (rc != MDB_SUCCESS)
        t->index->unwritten = true;
    if (rc == EIO && is_full(t->index))
        return -ENOSPC;
    return index_errno(rc);
}

void index_end(struct index_txn *t)
{
    index_kept_page_free(TAKE_PTR(t->kept));
    t->arrivals = NULL;
    if (!t->txn)
        return;
    index_call_begin();
    mdb_txn_abort(TAKE_PTR(t->txn));
    index_call_end();
    index_guard_idle();
}

/* ---- the account record ---- */

static uint32_t get_u32(const char *p)
{
    const unsigned char *b = (const unsigned char *)p;

    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static void put_u32(char *p, uint32_t n)
{
    for (int i = 0; i < 4; i++)
        p[i] = (char)(n >> (8 * i) & 255);
}

static int header_get(struct index_txn *t, uint32_t *ret_uidvalidity)
{
    MDB_val key = { 1, "a" }, value;
    int rc = index_lmdb_get(t, &key, &value);

    if (rc != MDB_SUCCESS)
        return index_errno(rc);
    const char *p = value.mv_data;
    if (value.mv_size != HEADER_SIZE || memcmp(p, magic, sizeof magic - 1) != 0 ||
        get_u32(p + sizeof magic - 1) != VERSION)
        return -EBADMSG;
    *ret_uidvalidity = get_u32(p + sizeof magic + 3);
    return 0;
}

static int header_put(struct index_txn *t, uint32_t uidvalidity)
{
    char bytes[HEADER_SIZE];
    MDB_val key = { 1, "a" }, value = { sizeof bytes, bytes };

    memcpy(bytes, magic, sizeof magic - 1);
    put_u32(bytes + sizeof magic - 1, VERSION);
    put_u32(bytes + sizeof magic + 3, uidvalidity);
    return index_errno(index_lmdb_put(t, &key, &value));
}

/* Write it down, outside the index first: who comes after its loss must know. */
static int uidvalidity_put(struct index_txn *t, int fd, uint32_t n)
{
    int r = index_validity_write(fd, n);

    return r < 0 ? r : header_put(t, n);
}

int index_uidvalidity_new(struct index_txn *t, uint32_t *ret)
{
    _cleanup_close_ int fd = -1;
    uint32_t last = 0, given, now = (uint32_t)clock_real();
    int r = header_get(t, &last);

    if (r == 0)
        r = index_validity_lock(t->index->validity, &fd, &given);
    if (r < 0)
        return r;
    if (given > last || last > INDEX_VALIDITY_MAX)
        last = given;
    *ret = now > last ? now : last + 1;
    return uidvalidity_put(t, fd, *ret);
}

int index_uidvalidity_note(struct index_txn *t, uint32_t taken)
{
    _cleanup_close_ int fd = -1;
    uint32_t last = 0, given;
    int r = header_get(t, &last);

    if (r < 0 || taken <= last || taken > INDEX_VALIDITY_MAX)
        return r;
    r = index_validity_lock(t->index->validity, &fd, &given);
    if (r < 0)
        return r;
    return taken > given ? uidvalidity_put(t, fd, taken) : header_put(t, given);
}

/* ---- opening ---- */

/* Nobody writes while it is read. */
static int check_whole(struct index *x)
{
    _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;
    int r = begin_change(x, &t);

    return r < 0 ? r : index_check(&t);
}

/* The file's header makes sense, and it is as long as its newest meta page says; unless the last pages were taken and given back within one transaction, as
 * happens now and then: then they are free, and all others there. */
static int check_size(struct index *x)
{
    MDB_envinfo info;
    MDB_stat stat;
    struct stat st;
    int fd, rc = mdb_env_get_fd(x->env, &fd);

    if (rc != MDB_SUCCESS || fstat(fd, &st) < 0)
        return -EBADMSG;
    x->inode = st.st_ino;
    int r = index_check_header(fd);
    if (r < 0)
        return r;
    mdb_env_info(x->env, &info);
    mdb_env_stat(x->env, &stat);
    return (uint64_t)st.st_size < (info.me_last_pgno + 1) * (uint64_t)stat.ms_psize ? check_whole(x) : 0;
}

/* A fresh database gets its header; an old one must have it. */
static int check_header(struct index *x)
{
    _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;
    uint32_t uidvalidity;
    MDB_stat stat;
    int r = begin(x, MDB_RDONLY, &t);

    if (r < 0)
        return r;
    int rc = mdb_dbi_open(t.txn, NULL, 0, &x->db);
    if (rc == MDB_SUCCESS)
        rc = mdb_stat(t.txn, x->db, &stat);
    if (rc != MDB_SUCCESS)
        return index_errno(rc);
    t.db = x->db;
    if (stat.ms_entries > 0)
        return header_get(&t, &uidvalidity) < 0 ? -EBADMSG : 0;
    index_end(&t);

    r = begin_change(x, &t);
    if (r < 0)
        return r;
    if (header_get(&t, &uidvalidity) == 0)
        return 0; /* another session was first */
    r = header_put(&t, 0);
    if (r < 0)
        return r;
    return index_commit(&t, true);
}

/* LMDB believes the file's header, and asks the kernel for what it says. */
static bool has_bad_header(const struct index *x)
{
    _cleanup_close_ int fd = open(x->data, O_RDONLY | O_CLOEXEC);

    return fd >= 0 && index_check_header(fd) == -EBADMSG;
}

/*
 * LMDB makes its file of locks without blocks and writes into it by memory: on a full disk that would be a signal, and not
 * an error. So it gets its blocks here, once.
 */
static int fill_lock(const struct index *x)
{
    struct stat st;

    if (stat(x->lock, &st) == 0 && st.st_size >= LOCK_SIZE && st.st_blocks * 512 >= st.st_size)
        return 0;

    _cleanup_close_ int fd = open(x->lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return -errno;
    int rc = posix_fallocate(fd, 0, LOCK_SIZE);

    return rc == ENOSPC || rc == EDQUOT ? -rc : 0; /* where it cannot be done it is as it was */
}

static int open_environment(struct index *x)
{
    int dead, rc = mdb_env_create(&x->env);

    if (rc != MDB_SUCCESS)
        return index_errno(rc);
    rc = fill_lock(x);
    if (rc < 0)
        return rc;
    mdb_env_set_mapsize(x->env, MAP_SIZE);
    mdb_env_set_maxreaders(x->env, MAX_READERS);
    mdb_env_set_assert(x->env, index_on_assertion);
    index_guard_busy(x);
    index_call_begin();
    rc = mdb_env_open(x->env, x->path, MDB_NOTLS, 0600);
    index_call_end();
    index_guard_idle();
    if ((rc == ENOMEM || rc == EINVAL) && has_bad_header(x))
        return -EBADMSG;
    if (rc != MDB_SUCCESS)
        return index_errno(rc);
    /* A session that was killed has left its reader slot, which would keep old pages for ever. */
    mdb_reader_check(x->env, &dead);
    rc = arrivals_open(&x->arrivals, x->arrived);
    return rc < 0 ? rc : check_size(x);
}

/* Somebody had trouble with it. What cannot be told from here, such as a full disk, costs each session a reading. */
static int check_doubted(struct index *x)
{
    if (access(x->doubted, F_OK) < 0)
        return 0;
    int r = check_whole(x);
    unlink(x->doubted);
    return r;
}

/* *end: where the paths end so far */
static char *path_of(char **end, const char *directory, const char *file)
{
    char *path = *end;

    *end += strlen(directory) + 1 + strlen(file) + 1;
    snprintf(path, (size_t)(*end - path), "%s/%s", directory, file);
    return path;
}

static struct index *index_new(const char *maildir)
{
    enum { PATHS = 10, NAMES_MAX = 64 };
    size_t n = sizeof(struct index) + PATHS * (strlen(maildir) + NAMES_MAX), size = (n + GUARD - 1) / GUARD * GUARD;
    char *area = mmap(NULL, GUARD + size + GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (area == MAP_FAILED)
        return NULL;
    if (mprotect(area + GUARD, size, PROT_READ | PROT_WRITE) < 0) {
        munmap(area, GUARD + size + GUARD);
        return NULL;
    }
    struct index *x = (struct index *)(area + GUARD);
    char *end = (char *)(x + 1);

    x->size = size;
    x->arrivals.fd = -1;
    x->path = path_of(&end, maildir, INDEX_DIRECTORY);
    x->data = path_of(&end, maildir, INDEX_DIRECTORY "/data.mdb");
    x->lock = path_of(&end, maildir, INDEX_DIRECTORY "/lock.mdb");
    x->aside = path_of(&end, maildir, INDEX_DIRECTORY ".damaged");
    x->aside_data = path_of(&end, maildir, INDEX_DIRECTORY ".damaged/data.mdb");
    x->aside_lock = path_of(&end, maildir, INDEX_DIRECTORY ".damaged/lock.mdb");
    x->aside_arrivals = path_of(&end, maildir, INDEX_DIRECTORY ".damaged/arrivals");
    x->doubted = path_of(&end, maildir, INDEX_DIRECTORY ".doubted");
    x->arrived = path_of(&end, maildir, INDEX_DIRECTORY "/arrivals");
    x->validity = path_of(&end, maildir, INDEX_VALIDITY_FILE);
    return x;
}

static int open_once(const char *maildir, struct index **ret)
{
    _cleanup_(index_close_ptr_) struct index *x = index_new(maildir);

    if (!x)
        return -ENOMEM;
    index_guard_begin(x);
    if (mkdir(x->path, 0700) < 0 && errno != EEXIST)
        return -errno;
    int r = open_environment(x);
    if (r == 0)
        r = check_header(x);
    if (r == 0)
        r = check_doubted(x);
    if (r < 0) {
        if (r == -EBADMSG)
            index_discard(x);
        else
            index_doubt(x);
        return r;
    }
    *ret = TAKE_PTR(x);
    return 0;
}

int index_open(const char *maildir, struct index **ret)
{
    int r = open_once(maildir, ret);

    return r == -EBADMSG ? open_once(maildir, ret) : r;
}

void index_close(struct index *x)
{
    if (!x)
        return;
    if (x->env)
        mdb_env_close(x->env);
    arrivals_close(&x->arrivals);
    index_guard_end(x);
    munmap((char *)x - GUARD, GUARD + x->size + GUARD);
}
