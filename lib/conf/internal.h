/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal.h - what the files of lib/conf share
 */
#ifndef CONF_INTERNAL_H
#define CONF_INTERNAL_H

#include "base/hash.h"
#include "conf/conf.h"

struct conf_entry {
    struct hash_node node;  /* key: name */
    char *name, *value;
    int line;               /* of main.cf; 0: an override, or a default */
};

struct conf {
    char *dir;
    struct hash entries;            /* what main.cf sets and overrides set */
    struct conf_entry **order;      /* the same in file order */
    size_t len, cap;
    struct hash defaults;           /* defaults with @WORD@ filled in, made when first asked for */
    int copy_fd;                    /* a sealed copy of main.cf, or -1 */
};

/* Put name = value in, replacing an earlier one; line as in conf_entry. */
void conf_put(struct conf *c, struct span name, struct span value, int line);

/*
 * Walk over logical lines of main.cf or master.cf: '#' lines and empty lines are
 * skipped, a line that starts with white space continues the one before it.
 * Takes the next one off *in and builds it in *line (continuations joined
 * as they are); *number is the number of its first line. False at the end.
 */
struct conf_lines {
    struct span rest;
    int line;       /* of the next physical line */
};
bool conf_next_line(struct conf_lines *in, struct str *line, int *number);

/* The bytes of a file of at most max bytes. 0 or -errno (-EFBIG). */
int conf_read_file(const char *path, size_t max, struct str *ret);

#endif
