/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spool.c - a body that waits for what filters say
 *
 * Runs in: cleanup. Logs nothing.
 */
#include "cleanup/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/rand.h"

#define IN_MEMORY (256 * 1024)
#define PIECE     (64 * 1024)

void spool_done(struct spool *s)
{
    if (s->fd >= 0)
        close(s->fd);
    str_free(&s->mem);
    str_free(&s->piece);
    *s = SPOOL_INIT(s->dirfd);
}

uint64_t spool_size(const struct spool *s)
{
    return s->in_file + s->mem.len;
}

/* Not every file system has files without a name */
static int open_named(int dirfd)
{
    char name[32];
    uint64_t random;

    rand_bytes(&random, sizeof(random));
    snprintf(name, sizeof(name), ".spool-%016llx", (unsigned long long)random); /* no queue id */
    int fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return -errno;
    unlinkat(dirfd, name, 0);
    return fd;
}

static int write_out(struct spool *s)
{
    struct span rest = str_span(&s->mem);

    if (s->fd < 0) {
        int fd = openat(s->dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        if (fd < 0)
            fd = open_named(s->dirfd);
        if (fd < 0)
            return fd;
        s->fd = fd;
    }
    while (rest.len > 0) {
        ssize_t n = pwrite(s->fd, rest.ptr, rest.len, (off_t)s->in_file);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        s->in_file += (uint64_t)n;
        rest = span_from(rest, (size_t)n);
    }
    str_reset(&s->mem);
    return 0;
}

int spool_add(struct spool *s, struct span bytes)
{
    str_add(&s->mem, bytes);
    return s->mem.len > IN_MEMORY ? write_out(s) : 0;
}

int spool_read(struct spool *s, uint64_t offset, struct span *ret)
{
    if (offset >= s->in_file) {
        *ret = span_from(str_span(&s->mem), (size_t)(offset - s->in_file));
        return 0;
    }
    size_t want = s->in_file - offset < PIECE ? (size_t)(s->in_file - offset) : PIECE;

    str_reset(&s->piece);
    str_reserve(&s->piece, want);
    ssize_t n = pread(s->fd, s->piece.data, want, (off_t)offset);

    if (n <= 0)
        return n < 0 ? -errno : -EIO;
    str_advance(&s->piece, (size_t)n);
    *ret = str_span(&s->piece);
    return 0;
}
