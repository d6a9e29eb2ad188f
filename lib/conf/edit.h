/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edit.h - change main.cf and master.cf as an administrator would: comments and order stay
 *
 * A change is applied to text; conf_edit_begin() and conf_edit_commit() put it into the file,
 * under a lock, by FILE.tmp and rename, with the file's owner and mode.
 */
#ifndef CONF_EDIT_H
#define CONF_EDIT_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/span.h"
#include "base/str.h"

enum conf_change_op {
    CONF_SET,       /* replace every setting of the name; append when there is none */
    CONF_COMMENT,   /* '#' before its first and each continuation line */
    CONF_REMOVE,
};

/* Of main.cf: name, and for CONF_SET value. */
struct conf_change {
    enum conf_change_op op;
    struct span name, value;
};

/* Add to out the text with the changes; new settings come last, sorted by name. When a name is
 * changed twice the last change counts. */
void conf_edit_main(struct span text, const struct conf_change *changes, size_t n, struct str *out);

/* Of master.cf: all entries of that service and type; for CONF_SET entry is what replaces each, one
 * or more lines with their line ends. */
struct master_change {
    enum conf_change_op op;
    struct span service, type;
    struct span entry;
};

void conf_edit_master(struct span text, const struct master_change *changes, size_t n,
                      struct str *out);

/* ---- files ---- */

struct conf_edit {
    char *path, *tmp;
    int fd;             /* FILE.tmp, locked */
    struct stat st;     /* of the file */
    struct str text;    /* what it holds now */
    bool committed;
};

/* Lock DIR/FILE and read it. 0, or -errno with *err. conf_edit_done() in any case. */
int conf_edit_begin(const char *dir, const char *file, struct conf_edit *ret, struct str *err);
int conf_edit_commit(struct conf_edit *e, struct span text, struct str *err);
void conf_edit_done(struct conf_edit *e);   /* without a commit nothing has changed */

#endif
