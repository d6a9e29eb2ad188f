/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spool.c - write a message into a Maildir durably
 *
 * A message of up to 64 KiB costs six system calls: pread, open, write, fdatasync, rename, close,
 * and two fstat to see whether both files are on one device. Then the journal of
 * the file system commits the rename before whatever the caller unlinks afterwards; on two devices
 * only a flush of the directory gives that order.
 *
 * A message that nobody else has (APPEND) must have its name on disk as well before anybody is told. Flushing
 * the file after the rename gives both for one commit of the journal: a rename changes the inode of what is
 * renamed. Where more messages come before that, the content is set on its way to the device meanwhile; for a single one that is
 * an errand more (a tenth of the CPU time of an APPEND) and no gain of time. Should a power cut find the name there and not the content:
 * nobody has been promised that message.
 *
 * Runs in: local, virtual (on helper threads, as the mailbox owner), imapd.
 */
#include "mailbox/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "mailbox/lf.h"

#define PIECE     65536
#define SECOND_NS 1000000000u

/* ---- names ---- */

static char host_name[256];

/* Our host name as part of a file name: '/' and ':' are written as in maildir(5). */
static void find_host_name(void)
{
    char name[64] = "localhost";
    _cleanup_(str_free) struct str safe = STR_INIT;

    gethostname(name, sizeof name - 1);
    for (const char *p = name; *p; p++) {
        if (*p == '/')
            str_add_str(&safe, "\\057");
        else if (*p == ':')
            str_add_str(&safe, "\\072");
        else if (*p == ',')
            str_add_str(&safe, "\\054");
        else
            str_add_char(&safe, *p);
    }
    snprintf(host_name, sizeof host_name, "%s", str_cstr(&safe));
}

void maildir_unique(struct str *ret)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static atomic_uint counter;
    int64_t now = clock_real_us();

    pthread_once(&once, find_host_name);
    str_addf(ret, "%lld.M%06lldP%ld_%u.%s", (long long)(now / 1000000), (long long)(now % 1000000),
             (long)getpid(), atomic_fetch_add(&counter, 1), host_name);
}

const char *maildir_path(struct str *path, const char *maildir, const char *sub, const char *file)
{
    str_set(path, span_of(maildir));
    if (sub) {
        str_add_char(path, '/');
        str_add_str(path, sub);
    }
    if (file) {
        str_add_char(path, '/');
        str_add_str(path, file);
    }
    return str_cstr(path);
}

/* ---- writing ---- */

static int write_all(int fd, const char *buf, size_t n)
{
    while (n > 0) {
        ssize_t w = write(fd, buf, n);

        if (w < 0 && errno != EINTR)
            return -errno;
        if (w > 0) {
            buf += w;
            n -= (size_t)w;
        }
    }
    return 0;
}

static int read_piece(int fd, char *buf, size_t n, uint64_t offset)
{
    size_t got = 0;

    while (got < n) {
        ssize_t r = pread(fd, buf + got, n - got, (off_t)(offset + got));

        if (r < 0 && errno != EINTR)
            return -errno;
        if (r == 0)
            return -EIO;
        if (r > 0)
            got += (size_t)r;
    }
    return 0;
}

/* Convert piece by piece in one buffer: prepended lines first, then content. What has been read already
 * is converted from where it is, the rest in the buffer itself, each piece one byte behind the
 * place it is converted to (lf_feed). */
static int copy_message(int fd, const struct maildir_save *m, struct lf_writer *w)
{
    size_t piece = m->size < PIECE ? (size_t)m->size : PIECE;
    _cleanup_free_ char *buf = mem_calloc(m->prepend.len + (m->head.len > piece ? m->head.len : piece) + 3, 1);
    size_t fill = lf_feed(w, m->prepend, buf);
    uint64_t done = m->head.len;
    int r;

    fill += lf_feed(w, m->head, buf + fill);
    while (done < m->size) {
        size_t n = m->size - done < PIECE ? (size_t)(m->size - done) : PIECE;

        if (done > 0) {
            r = write_all(fd, buf, fill);
            if (r < 0)
                return r;
            fill = 0;
        }
        r = read_piece(m->content_fd, buf + fill + 1, n, m->offset + done);
        if (r < 0)
            return r;
        fill += lf_feed(w, span_make(buf + fill + 1, n), buf + fill);
        done += n;
    }
    fill += lf_finish(w, buf + fill);
    return write_all(fd, buf, fill);
}

static bool other_device(int fd, int content_fd)
{
    struct stat a, b;

    return fstat(fd, &a) < 0 || fstat(content_fd, &b) < 0 || a.st_dev != b.st_dev;
}

static int finish_file(int fd, const struct maildir_save *m, enum spool_source source)
{
    if (source == SPOOL_SOURCE_NONE)
        return 0;
    if (m->received != 0) {
        struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, { .tv_sec = m->received } };

        if (futimens(fd, times) < 0)
            return -errno;
    }
    return fdatasync(fd) < 0 ? -errno : 0;
}

int spool_date(const struct spool *s, int64_t received, uint32_t uid)
{
    bool fits = uid < SECOND_NS;
    struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, { .tv_sec = received, .tv_nsec = fits ? uid : 0 } };
    struct stat st;

    if (futimens(s->fd, times) < 0)
        return -errno;
    return fits && fstat(s->fd, &st) == 0 && st.st_mtim.tv_sec == received && spool_dated_uid(&st.st_mtim) == uid;
}

uint32_t spool_dated_uid(const struct timespec *mtime)
{
    return (uint32_t)mtime->tv_nsec;
}

int spool_write(const char *maildir, const struct maildir_save *m, enum spool_source source, struct spool *ret)
{
    struct lf_writer w = { 0 };

    if (m->max_size > 0 && m->size + m->prepend.len > m->max_size)
        return -EFBIG;
    maildir_unique(&ret->base);

    _cleanup_(str_free) struct str path = STR_INIT;
    _cleanup_close_ int fd = open(maildir_path(&path, maildir, "tmp", str_cstr(&ret->base)),
                                  O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return -errno;
    ret->tmp = TAKE(path, STR_INIT);
    int r = copy_message(fd, m, &w);
    if (r < 0)
        return r;
    r = finish_file(fd, m, source);
    if (r < 0)
        return r;
    ret->flush_dir = source == SPOOL_SOURCE_KEPT && other_device(fd, m->content_fd);
    if (source == SPOOL_SOURCE_NONE)
        ret->fd = TAKE_FD(fd);
    ret->size = w.size;
    ret->vsize = w.vsize;
    str_addf(&ret->base, ",S=%llu,W=%llu", (unsigned long long)w.size, (unsigned long long)w.vsize);
    return 0;
}

/* A file system that has no such call does it at the flush. */
void spool_write_back(struct spool *s)
{
    sync_file_range(s->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

int spool_flush_directory(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) < 0)
        return -errno;
    return 0;
}

/* ---- its place ---- */

static void *flush_file(void *arg)
{
    struct spool *s = arg;

    s->flushed = fsync(s->fd) < 0 ? -errno : 0;
    return NULL;
}

int spool_place(struct spool *s, const char *maildir, const char *sub, const char *file)
{
    _cleanup_(str_free) struct str to = STR_INIT;

    if (rename(str_cstr(&s->tmp), maildir_path(&to, maildir, sub, file)) < 0)
        return -errno;
    str_reset(&s->tmp);
    if (s->fd < 0)
        return s->flush_dir ? spool_flush_directory(maildir_path(&to, maildir, sub, NULL)) : 0;
    s->placed = TAKE(to, STR_INIT);
    return 0;
}

void spool_flush_begin(struct spool *s)
{
    s->flushing = pthread_create(&s->flusher, NULL, flush_file, s) == 0;
}

static void wait_for_flusher(struct spool *s)
{
    if (s->flushing)
        pthread_join(s->flusher, NULL);
    s->flushing = false;
}

int spool_settle(struct spool *s)
{
    if (s->flushing)
        wait_for_flusher(s);
    else
        flush_file(s);
    if (s->flushed == 0)
        str_reset(&s->placed);
    return s->flushed;
}

void spool_done(struct spool *s)
{
    wait_for_flusher(s);
    if (s->placed.len > 0)
        unlink(s->placed.data); /* the client is told that it was not stored */
    if (s->tmp.len > 0)
        unlink(str_cstr(&s->tmp));
    if (s->fd >= 0)
        close(s->fd);
    str_free(&s->tmp);
    str_free(&s->base);
    str_free(&s->placed);
}
