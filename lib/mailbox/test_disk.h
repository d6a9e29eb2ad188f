/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_disk.h - what a test program and LMDB write: recorded, or made to fail
 *
 * The functions below take the place of libc's for the whole process. What happens under `maildir` (test_account.h) becomes a
 * list of events, from which disk_after_power_cut() makes the directory that a power cut may leave:
 *
 *   - names change in the order of events, as a journaling file system keeps them; all up to an fsync of a file that is new or was
 *     renamed are there, and any number of later ones. A directory's time is that of its last change that is there.
 *   - what was written to a file and flushed is there; of the rest any part, each sector of 512 bytes by itself. A flush
 *     begun before a write does not cover it, and a write with O_DSYNC covers only itself.
 *   - a file has the last date that it was given before an fsync, or a later one.
 *
 * Flushes that change no name (fdatasync of the index) are taken to bring no name to the disk, although on some file systems
 * they would.
 */
#ifndef MAILBOX_TEST_DISK_H
#define MAILBOX_TEST_DISK_H

#include "mailbox/test_account.h"

#include <limits.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "base/mem.h"

enum disk_kind { DISK_WRITE, DISK_DATE, DISK_SYNC, DISK_NAME, DISK_RENAME, DISK_REMOVE };

struct disk_event {
    enum disk_kind kind;
    unsigned file;              /* number of the file that is written, flushed, or got a name */
    char *path, *to;            /* below maildir */
    char *bytes;
    size_t len, upto;           /* upto: a flush covers the events before this one */
    uint64_t offset;
    bool flushed;               /* a write with O_DSYNC; a flush that brings names to the disk as well */
    bool whole;                 /* a flush of a file that brings its date as well */
    struct timespec date, dir_time, to_dir_time;
};

static struct {
    pthread_mutex_t lock;
    bool recording;
    struct disk_event *events;
    size_t len, cap;
    struct {
        ino_t inode;
        bool named;             /* has a name that no flush has brought to the disk */
    } files[20000];
    unsigned n_files;
    int fail_at, error;         /* the fail_at-th call from now fails; 0: none */
    bool failed;
    time_t tick;                /* the clock of directories stands still from then on, for the removal of names; 0: it does not */
} disk = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- recording ---- */

static const char *below_maildir(const char *path)
{
    size_t n = strlen(maildir);

    return n > 0 && strncmp(path, maildir, n) == 0 && path[n] == '/' ? path + n + 1 : NULL;
}

/* The path of a name below a directory's descriptor; "" if it is none of ours. */
static void disk_path(int dirfd, const char *name, char ret[static PATH_MAX])
{
    char link[64], dir[PATH_MAX];

    ret[0] = '\0';
    if (name[0] == '/') {
        snprintf(ret, PATH_MAX, "%s", name);
    } else if (dirfd != AT_FDCWD) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", dirfd);
        ssize_t n = readlink(link, dir, sizeof dir - 1);
        if (n <= 0)
            return;
        dir[n] = '\0';
        if (strncmp(name, "../", 3) == 0) {
            *strrchr(dir, '/') = '\0';
            name += 3;
        }
        if ((size_t)snprintf(ret, PATH_MAX, "%s%s%s", dir, *name ? "/" : "", name) >= PATH_MAX)
            ret[0] = '\0';
    }
    if (!below_maildir(ret) || strstr(ret, "lock.mdb")) /* which no restart believes */
        ret[0] = '\0';
}

static struct timespec directory_time(const char *path)
{
    char dir[PATH_MAX];
    struct stat st = { .st_size = 0 };

    snprintf(dir, sizeof dir, "%s", path);
    *strrchr(dir, '/') = '\0';
    stat(dir, &st);
    return st.st_mtim;
}

static void set_directory_time(const char *path, struct timespec time)
{
    char dir[PATH_MAX];

    snprintf(dir, sizeof dir, "%s", path);
    *strrchr(dir, '/') = '\0';
    utimensat(AT_FDCWD, dir, (struct timespec[2]){ time, time }, 0);
}

static struct disk_event *disk_add(enum disk_kind kind, unsigned file)
{
    MEM_GROW(disk.events, disk.len, disk.cap);
    disk.events[disk.len] = (struct disk_event){ .kind = kind, .file = file };
    return &disk.events[disk.len++];
}

/* The number of a file; a new one is given its name. */
static unsigned disk_file(const struct stat *st, const char *path)
{
    unsigned i = disk.n_files;

    while (i-- > 0)
        if (disk.files[i].inode == st->st_ino)
            return i;
    assert_true(disk.n_files < ARRAY_LEN(disk.files));
    i = disk.n_files++;
    disk.files[i].inode = st->st_ino;
    disk.files[i].named = true;
    struct disk_event *e = disk_add(DISK_NAME, i);
    e->to = mem_strdup(below_maildir(path));
    e->to_dir_time = directory_time(path);
    return i;
}

/* The last name of a file is gone: its inode may be another file's next time. */
static void disk_forget(ino_t inode)
{
    for (unsigned i = 0; i < disk.n_files; i++)
        if (disk.files[i].inode == inode)
            disk.files[i].inode = 0;
}

/* Is this call to fail? The lock is held. */
static bool disk_fails(void)
{
    if (disk.fail_at == 0 || --disk.fail_at > 0)
        return false;
    disk.failed = true;
    errno = disk.error;
    return true;
}

static ssize_t disk_write(int fd, const struct iovec *v, int n, off_t at)
{
    char path[PATH_MAX];
    struct stat st;
    ssize_t done;

    disk_path(fd, "", path);
    pthread_mutex_lock(&disk.lock);
    if (path[0] && disk_fails()) {
        done = -1;
    } else {
        off_t offset = at >= 0 ? at : (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
        done = at >= 0 ? syscall(SYS_pwritev, fd, v, n, at, 0) : syscall(SYS_writev, fd, v, n);
        int error = errno;
        if (done > 0 && disk.recording && path[0] && fstat(fd, &st) == 0) {
            struct disk_event *e = disk_add(DISK_WRITE, disk_file(&st, path));
            size_t fill = 0;

            e->bytes = mem_calloc((size_t)done, 1);
            for (int i = 0; i < n && fill < (size_t)done; i++) {
                size_t part = v[i].iov_len < (size_t)done - fill ? v[i].iov_len : (size_t)done - fill;
                memcpy(e->bytes + fill, v[i].iov_base, part);
                fill += part;
            }
            e->len = (size_t)done;
            e->offset = (uint64_t)offset;
            e->flushed = fcntl(fd, F_GETFL) & O_DSYNC;
        }
        errno = error;
    }
    pthread_mutex_unlock(&disk.lock);
    return done;
}

static int disk_sync(int fd, long call)
{
    char path[PATH_MAX];
    struct stat st;

    disk_path(fd, "", path);
    pthread_mutex_lock(&disk.lock);
    size_t upto = disk.len;
    bool fails = path[0] && disk_fails();
    pthread_mutex_unlock(&disk.lock);
    if (fails)
        return -1;
    int r = path[0] ? 0 : (int)syscall(call, fd); /* nobody cuts the power of this machine: no reason to wait for its disk */
    pthread_mutex_lock(&disk.lock);
    if (r == 0 && disk.recording && path[0] && fstat(fd, &st) == 0) {
        bool is_directory = S_ISDIR(st.st_mode);
        unsigned file = is_directory ? UINT_MAX : disk_file(&st, path);
        struct disk_event *e = disk_add(DISK_SYNC, file);
        e->upto = upto;
        e->flushed = is_directory || (disk.files[file].named && call == SYS_fsync);
        e->whole = call == SYS_fsync;
        if (!is_directory && call == SYS_fsync)
            disk.files[file].named = false;
    }
    pthread_mutex_unlock(&disk.lock);
    return r;
}

static int disk_date(int fd, const struct timespec times[2])
{
    char path[PATH_MAX];
    struct stat st;
    int r = -1;

    disk_path(fd, "", path);
    pthread_mutex_lock(&disk.lock);
    if (!path[0] || !disk_fails())
        r = (int)syscall(SYS_utimensat, fd, NULL, times, 0);
    if (r == 0 && disk.recording && path[0] && fstat(fd, &st) == 0) {
        unsigned file = disk_file(&st, path);

        disk_add(DISK_DATE, file)->date = st.st_mtim;
    }
    pthread_mutex_unlock(&disk.lock);
    return r;
}

/* rename, link and unlink; `to` is NULL for the last */
static int disk_change(enum disk_kind kind, long call, int fromfd, const char *from, int tofd, const char *to)
{
    char path[PATH_MAX], to_path[PATH_MAX] = "";
    struct stat st = { .st_ino = 0 }, replaced = { .st_ino = 0 };
    int r = -1;

    disk_path(fromfd, from, path);
    if (to)
        disk_path(tofd, to, to_path);
    pthread_mutex_lock(&disk.lock);
    if (!path[0] || !disk_fails()) {
        if (path[0] && disk.recording)
            fstatat(fromfd, from, &st, AT_SYMLINK_NOFOLLOW);
        if (to_path[0] && disk.recording)
            stat(to_path, &replaced);
        unsigned file = st.st_ino && S_ISREG(st.st_mode) ? disk_file(&st, path) : 0;
        struct timespec before = disk.tick && !to && path[0] ? directory_time(path) : (struct timespec){ 0 };
        r = to ? (int)syscall(call, fromfd, from, tofd, to, 0) : (int)syscall(call, fromfd, from, 0);
        int error = errno;
        if (r == 0 && before.tv_sec >= disk.tick && disk.tick)
            set_directory_time(path, before);
        if (r == 0 && st.st_ino && S_ISREG(st.st_mode)) {
            struct disk_event *e = disk_add(kind, file);
            e->path = mem_strdup(below_maildir(path));
            e->dir_time = directory_time(path);
            if (to_path[0]) {
                e->to = mem_strdup(below_maildir(to_path));
                e->to_dir_time = directory_time(to_path);
                disk.files[file].named = true;
                if (replaced.st_ino != st.st_ino && replaced.st_nlink == 1)
                    disk_forget(replaced.st_ino);
            } else if (st.st_nlink == 1) {
                disk_forget(st.st_ino);
            }
        }
        errno = error;
    }
    pthread_mutex_unlock(&disk.lock);
    return r;
}

/* ---- in the place of libc's: under other names here, since the headers may define some of them inline ---- */

#define TAKES_THE_PLACE_OF(name) __asm__(name) __attribute__((used))

ssize_t disk_as_write(int fd, const void *buf, size_t n) TAKES_THE_PLACE_OF("write");
ssize_t disk_as_pwrite(int fd, const void *buf, size_t n, off_t at) TAKES_THE_PLACE_OF("pwrite");
ssize_t disk_as_writev(int fd, const struct iovec *v, int n) TAKES_THE_PLACE_OF("writev");
int disk_as_futimens(int fd, const struct timespec times[2]) TAKES_THE_PLACE_OF("futimens");
int disk_as_fsync(int fd) TAKES_THE_PLACE_OF("fsync");
int disk_as_fdatasync(int fd) TAKES_THE_PLACE_OF("fdatasync");
int disk_as_rename(const char *from, const char *to) TAKES_THE_PLACE_OF("rename");
int disk_as_renameat(int fromfd, const char *from, int tofd, const char *to) TAKES_THE_PLACE_OF("renameat");
int disk_as_link(const char *from, const char *to) TAKES_THE_PLACE_OF("link");
int disk_as_unlink(const char *path) TAKES_THE_PLACE_OF("unlink");
int disk_as_unlinkat(int fd, const char *path, int flags) TAKES_THE_PLACE_OF("unlinkat");

ssize_t disk_as_write(int fd, const void *buf, size_t n)
{
    return disk_write(fd, &(struct iovec){ (void *)buf, n }, 1, -1);
}

ssize_t disk_as_pwrite(int fd, const void *buf, size_t n, off_t at)
{
    return disk_write(fd, &(struct iovec){ (void *)buf, n }, 1, at);
}

ssize_t disk_as_writev(int fd, const struct iovec *v, int n)
{
    return disk_write(fd, v, n, -1);
}

int disk_as_futimens(int fd, const struct timespec times[2])
{
    return disk_date(fd, times);
}

int disk_as_fsync(int fd)
{
    return disk_sync(fd, SYS_fsync);
}

int disk_as_fdatasync(int fd)
{
    return disk_sync(fd, SYS_fdatasync);
}

int disk_as_rename(const char *from, const char *to)
{
    return disk_change(DISK_RENAME, SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to);
}

int disk_as_renameat(int fromfd, const char *from, int tofd, const char *to)
{
    return disk_change(DISK_RENAME, SYS_renameat2, fromfd, from, tofd, to);
}

int disk_as_link(const char *from, const char *to)
{
    return disk_change(DISK_NAME, SYS_linkat, AT_FDCWD, from, AT_FDCWD, to);
}

int disk_as_unlink(const char *path)
{
    return disk_change(DISK_REMOVE, SYS_unlinkat, AT_FDCWD, path, 0, NULL);
}

int disk_as_unlinkat(int fd, const char *path, int flags)
{
    (void)flags; /* no directory is removed under the Maildir while we look */
    return disk_change(DISK_REMOVE, SYS_unlinkat, fd, path, 0, NULL);
}


/* ---- a power cut ---- */

struct disk_names {
    struct {
        char *path;
        unsigned file;
    } items[4000];
    size_t len;
    struct {
        char *path;
        struct timespec time;
    } dirs[20];
    size_t n_dirs;
};

static void names_set(struct disk_names *n, const char *path, unsigned file)
{
    size_t i = 0;

    while (i < n->len && strcmp(n->items[i].path, path) != 0)
        i++;
    if (i == n->len) {
        assert_true(n->len < ARRAY_LEN(n->items));
        n->items[n->len++].path = mem_strdup(path);
    }
    n->items[i].file = file;
}

static void names_remove(struct disk_names *n, const char *path)
{
    for (size_t i = 0; i < n->len; i++)
        if (strcmp(n->items[i].path, path) == 0) {
            free(n->items[i].path);
            n->items[i] = n->items[--n->len];
            return;
        }
}

static void names_touch(struct disk_names *n, const char *path, struct timespec time)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0, i = 0;

    while (i < n->n_dirs && !(strlen(n->dirs[i].path) == len && strncmp(n->dirs[i].path, path, len) == 0))
        i++;
    if (i == n->n_dirs) {
        assert_true(i < ARRAY_LEN(n->dirs));
        n->dirs[n->n_dirs++].path = mem_dup_span(span_make(path, len));
    }
    n->dirs[i].time = time;
}

static void names_apply(struct disk_names *n, const struct disk_event *e)
{
    if (e->kind == DISK_WRITE || e->kind == DISK_DATE || e->kind == DISK_SYNC)
        return;
    if (e->kind != DISK_NAME) {
        names_remove(n, e->path);
        names_touch(n, e->path, e->dir_time);
    }
    if (e->to) {
        names_set(n, e->to, e->file);
        names_touch(n, e->to, e->to_dir_time);
    }
}

static void names_done(struct disk_names *n)
{
    for (size_t i = 0; i < n->len; i++)
        free(n->items[i].path);
    for (size_t i = 0; i < n->n_dirs; i++)
        free(n->dirs[i].path);
    free(n);
}

static unsigned disk_random(unsigned *seed, unsigned below)
{
    return (unsigned)rand_r(seed) % below;
}

/* Up to where names are there for certain, and up to where they happen to be. */
static size_t names_kept(size_t cut, unsigned *seed)
{
    size_t certain = 0;

    for (size_t i = 0; i < cut; i++)
        if (disk.events[i].kind == DISK_SYNC && disk.events[i].flushed && disk.events[i].upto > certain)
            certain = disk.events[i].upto;
    switch (disk_random(seed, 3)) {
    case 0:
        return certain;
    case 1:
        return cut;
    }
    return certain + disk_random(seed, (unsigned)(cut - certain) + 1);
}

/* What of a file's writes there is: what was flushed, and of the others none, all, or some sectors. */
static void write_content(int fd, unsigned file, size_t cut, unsigned *seed)
{
    enum { NONE, ALL, SOME } others = disk_random(seed, 3);
    size_t flushed = 0;

    for (size_t i = 0; i < cut; i++)
        if (disk.events[i].kind == DISK_SYNC && disk.events[i].file == file && disk.events[i].upto > flushed)
            flushed = disk.events[i].upto;
    for (size_t i = 0; i < cut; i++) {
        const struct disk_event *e = &disk.events[i];

        if (e->kind != DISK_WRITE || e->file != file)
            continue;
        for (size_t at = 0; at < e->len;) {
            size_t n = 512 - (e->offset + at) % 512;

            if (n > e->len - at)
                n = e->len - at;
            if (i < flushed || e->flushed || others == ALL || (others == SOME && disk_random(seed, 2)))
                assert_int_equal(syscall(SYS_pwrite64, fd, e->bytes + at, n, e->offset + at), n);
            at += n;
        }
    }
}

/* The last date that was flushed with the file, or any later one */
static void set_date(int fd, unsigned file, size_t cut, unsigned *seed)
{
    struct timespec date = { .tv_sec = 0 };
    size_t flushed = 0;

    for (size_t i = 0; i < cut; i++)
        if (disk.events[i].kind == DISK_SYNC && disk.events[i].whole && disk.events[i].file == file)
            flushed = disk.events[i].upto;
    for (size_t i = 0; i < cut; i++)
        if (disk.events[i].kind == DISK_DATE && disk.events[i].file == file && (i < flushed || disk_random(seed, 2)))
            date = disk.events[i].date;
    syscall(SYS_utimensat, fd, NULL, (struct timespec[2]){ date, date }, 0);
}

/* Fill the directory `to`, which has the directories already, with what is there when power is cut at event `cut`. */
UNUSED static void disk_after_power_cut(const char *to, size_t cut, unsigned *seed)
{
    struct disk_names *n = mem_new(struct disk_names);
    size_t kept = names_kept(cut, seed);
    char path[PATH_MAX];

    for (size_t i = 0; i < kept; i++)
        names_apply(n, &disk.events[i]);
    for (size_t i = 0; i < n->len; i++) {
        snprintf(path, sizeof path, "%s/%s", to, n->items[i].path);
        int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        if (fd < 0)
            fail_msg("%s: %s", path, strerror(errno));
        write_content(fd, n->items[i].file, cut, seed);
        set_date(fd, n->items[i].file, cut, seed);
        close(fd);
    }
    for (size_t i = 0; i < n->n_dirs; i++) {
        snprintf(path, sizeof path, "%s/%s", to, n->dirs[i].path);
        utimensat(AT_FDCWD, path, (struct timespec[2]){ n->dirs[i].time, n->dirs[i].time }, 0);
    }
    names_done(n);
}

/* Forget what was recorded. */
UNUSED static void disk_reset(void)
{
    for (size_t i = 0; i < disk.len; i++) {
        free(disk.events[i].path);
        free(disk.events[i].to);
        free(disk.events[i].bytes);
    }
    disk.len = 0;
    disk.n_files = 0;
}

#endif
