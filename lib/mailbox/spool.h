/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spool.h - a message on its way into a Maildir: written below tmp/, then given its place by a rename
 */
#ifndef MAILBOX_SPOOL_H
#define MAILBOX_SPOOL_H

#include <pthread.h>

#include "base/own.h"
#include "mailbox/maildir.h"

struct spool {
    struct str tmp;         /* path of the file below tmp/; empty once it has been placed */
    struct str base;        /* the base name that it is to have */
    uint64_t size, vsize;
    bool flush_dir;         /* the directory must be flushed for the message to be safe */
    int fd;                 /* the file is flushed when it has its place; -1: it has been */
    struct str placed;      /* its path then, until it is settled */
    pthread_t flusher;      /* flushes it meanwhile */
    bool flushing;
    int flushed;            /* what the flusher has to say: 0 or -errno */
};
#define SPOOL_INIT ((struct spool){ .tmp = STR_INIT, .base = STR_INIT, .fd = -1, .placed = STR_INIT })

/* Release; a file that was not placed, or not settled (SPOOL_SOURCE_NONE), is unlinked. */
void spool_done(struct spool *s);

/* Who else has the message until it is safe */
enum spool_source {
    SPOOL_SOURCE_KEPT,      /* a file on the disk that is unlinked afterwards: a flush before the rename will do */
    SPOOL_SOURCE_NONE,      /* nobody: one flush after the rename, for content and name */
};

/*
 * Write a message in MAILDIR/tmp; one of SPOOL_SOURCE_NONE is dated later. 0; -ENOENT: no such Maildir; -EFBIG; -EIO:
 * content_fd has fewer bytes than m->size; -errno.
 */
int spool_write(const char *maildir, const struct maildir_save *m, enum spool_source source, struct spool *ret);

/* Allocate one of SPOOL_SOURCE_NONE, and give it to the device, while the caller has other things to do than to flush it. */
void spool_write_back(struct spool *s);

/*
 * Date a message of SPOOL_SOURCE_NONE before it is placed: its INTERNALDATE, and as nanoseconds its UID, for the scan that
 * finds the file after a power cut (scan_record.c). 1; 0: the file system does not keep such a date; -errno.
 */
int spool_date(const struct spool *s, int64_t received, uint32_t uid);
/* The UID in a file's date, if it is one of ours: else any number */
uint32_t spool_dated_uid(const struct timespec *mtime);

/* Rename to MAILDIR/sub/file. One of SPOOL_SOURCE_NONE is on disk when it is settled. */
int spool_place(struct spool *s, const char *maildir, const char *sub, const char *file);
/* Have a thread flush it, while the caller writes its index: the disk does both at once. The spool must not move until it is settled. */
void spool_flush_begin(struct spool *s);
/* The message of SPOOL_SOURCE_NONE is on disk, with its name. -errno: it is not, and spool_done() removes it. */
int spool_settle(struct spool *s);

/* Names that were made in a directory are on disk. */
int spool_flush_directory(const char *path);

/* A name that nobody else makes: "time.MusecPpid_n.host"; appended. */
void maildir_unique(struct str *ret);

/* path = maildir "/" sub "/" file; sub or file may be NULL. */
const char *maildir_path(struct str *path, const char *maildir, const char *sub, const char *file);

#endif
