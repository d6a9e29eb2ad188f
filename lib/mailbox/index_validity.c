/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_validity.c - the greatest UIDVALIDITY that an account has had, outside its index
 *
 * A client that meets a UIDVALIDITY again believes the UIDs that it has kept (RFC 3501 section 2.3.1.1). The time of day alone does
 * not keep an index that is made anew from giving one again: it may be lost within the second in which it was made, and clocks are set
 * back. So the last one lies in a file beside the index, ten digits and LF, which is written in place and flushed before a client can
 * hear of the number: as it is no longer than a sector, a power cut leaves the old or the new one. Deleted mailboxes count as well.
 *
 * Runs in: imapd, pop3d, as the mailbox owner. The file may hold anything; what is not a number is none.
 */
#include "mailbox/index_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

int index_validity_lock(const char *path, int *ret_fd, uint32_t *ret_greatest)
{
    _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    char text[16];
    uint32_t greatest = 0;

    /* The writer's lock of LMDB does not do: sessions may still have an index that was put aside. */
    if (fd < 0 || flock(fd, LOCK_EX) < 0)
        return -errno;
    ssize_t n = pread(fd, text, sizeof text, 0);
    if (n < 0)
        return -errno;
    struct span rest = span_make(text, (size_t)n), digits = span_cut(&rest, '\n');
    if (span_u32(digits, INDEX_VALIDITY_MAX, &greatest) < 0)
        greatest = 0;
    *ret_greatest = greatest;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int index_validity_write(int fd, uint32_t n)
{
    char text[16];
    int len = snprintf(text, sizeof text, "%010u\n", n);
    ssize_t written = pwrite(fd, text, (size_t)len, 0);

    if (written < 0)
        return -errno;
    if (written < len)
        return -ENOSPC;
    return fsync(fd) < 0 ? -errno : 0; /* not fdatasync: a new file's name has to be there as well */
}
