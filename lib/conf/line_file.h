/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line_file.h - a text file of lines "KEY<separator>rest" that is changed as a whole
 *
 * Read, change in memory, write FILE.tmp with the old file's owner and mode, flush, rename:
 * readers see the old file or the new one.
 */
#ifndef CONF_LINE_FILE_H
#define CONF_LINE_FILE_H

#include <sys/types.h>

#include "base/str.h"

struct line_file {
    const char *path;       /* borrowed */
    char separator;         /* ':' of passwd-file; ' ' means any blanks */
    struct str text;
};

/* Wait for, and take, the lock of those who change the file: PATH.lock. A descriptor that holds it, or -errno. */
int line_file_lock(const struct line_file *f);
/* Read the file; a missing one is empty. 0 or -errno. */
int line_file_read(struct line_file *f);
/* The rest of the key's line, or false. Keys compare without case. */
bool line_file_get(const struct line_file *f, struct span key, struct span *ret);
/* Replace the key's line, or append one. */
void line_file_set(struct line_file *f, struct span key, struct span rest);
bool line_file_remove(struct line_file *f, struct span key);
/* Visit keys in file order, comments left out. */
void line_file_keys(const struct line_file *f, void (*fn)(struct span key, void *arg), void *arg);
/* Write it durably. A file that is new gets this group (-1: keep) and mode. 0 or -errno. */
int line_file_write(const struct line_file *f, gid_t new_group, mode_t new_mode);

#endif
