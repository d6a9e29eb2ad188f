/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.c - open a file that was opened before and may have been replaced since
 *
 * Runs in: every program that reads tables or certificates. Logs nothing.
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/own.h"

static int open_directly(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    return fd < 0 ? -errno : fd;
}

static int (*opener)(const char *path) = open_directly;

void file_open_with(int (*fn)(const char *path))
{
    opener = fn;
}

int file_open(const char *path)
{
    return opener(path);
}

int file_seal(const char *name, struct span content)
{
    _cleanup_close_ int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return -errno;
    if (write(fd, content.ptr, content.len) != (ssize_t)content.len)
        return -EIO;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
        return -errno;
    return TAKE_FD(fd);
}
