/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spool.h - a body that waits for what filters say: in memory while it is small, else in a file without a name
 */
#ifndef CLEANUP_SPOOL_H
#define CLEANUP_SPOOL_H

#include "base/str.h"

struct spool {
    int dirfd;              /* where a file may be made; borrowed */
    int fd;                 /* -1: all is in mem */
    uint64_t in_file;       /* bytes written; the others follow in mem */
    struct str mem;
    struct str piece;       /* read last */
};

#define SPOOL_INIT(dir) ((struct spool){ .dirfd = (dir), .fd = -1 })

void spool_done(struct spool *s);
/* 0 or -errno. */
int spool_add(struct spool *s, struct span bytes);
uint64_t spool_size(const struct spool *s);
/* Bytes from offset on, some or all; empty at the end. Valid until the next call. 0 or -errno. */
int spool_read(struct spool *s, uint64_t offset, struct span *ret);

#endif
