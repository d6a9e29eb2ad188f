/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.h - open a file that was opened before and may have been replaced since
 *
 * Lookup tables and certificates are read again when they change. In a sandbox the new file may be
 * out of reach: there the skeleton of servers puts a function in the place of open(2)
 * that gets the descriptor from master (daemon/reopen.c).
 *
 * And files that never change: what master hands to servers.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/span.h"

/*
 * Open path for reading; close-on-exec, never waits for a FIFO. May wait, up to a second, in a fiber of a
 * server. The descriptor, or -errno; -ETIMEDOUT and -ECANCELED say nothing about the file.
 */
int file_open(const char *path);

/* Whom file_open() asks from now on; once per process. */
void file_open_with(int (*fn)(const char *path));

/* A file in memory that nobody can change any more; name is for /proc. Its descriptor (close-on-exec), or -errno. */
int file_seal(const char *name, struct span content);

#endif
