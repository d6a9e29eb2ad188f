/* SPDX-License-Identifier: Apache-2.0 */
/*
 * master_text.h - entries of master.cf as words, as they are written ("-" for a default)
 *
 * For tools that show and change the file; servers use master_cf.h.
 */
#ifndef CONF_MASTER_TEXT_H
#define CONF_MASTER_TEXT_H

#include "base/own.h"
#include "base/span.h"
#include "base/str.h"

enum master_field {
    MASTER_SERVICE,
    MASTER_TYPE,
    MASTER_PRIVATE,
    MASTER_UNPRIVILEGED,
    MASTER_CHROOT,
    MASTER_WAKEUP,
    MASTER_PROCESS_LIMIT,
    MASTER_COMMAND,         /* the program only */
    MASTER_FIELDS,
};
extern const char *const master_field_names[MASTER_FIELDS];    /* as in postconf -F */

struct master_entry {
    char *fields[MASTER_FIELDS];
    char **args;            /* braces removed; "-oname=value" as two: "-o", "name=value" without
                               blanks around the '=' */
    size_t n_args, cap_args;
};

struct master_text {
    struct master_entry *entries;
    size_t len, cap;
};

/* 0, or -EINVAL with *err that names file and line. */
int master_text_parse(struct span text, const char *path, struct master_text *ret, struct str *err);
void master_text_done(struct master_text *m);

/* One entry from its words; the same rules. -EINVAL: fewer than eight fields. */
int master_entry_parse(struct span line, struct master_entry *ret);
void master_entry_done(struct master_entry *e);

/*
 * The entry in the layout of Postfix: fields at columns 0 11 17 25 33 41 49 57, arguments
 * with blanks in braces. FOLDED: each -o on a line of its own, others wrapped at 80 columns. No
 * line end.
 */
enum master_layout { MASTER_ONE_LINE, MASTER_FOLDED };
void master_entry_print(const struct master_entry *e, enum master_layout layout, struct str *out);

/* Program and arguments, as in "postconf -F". */
void master_entry_command(const struct master_entry *e, struct str *out);
/* Replace program and arguments by the words of a text. -EINVAL: there is none. */
int master_entry_set_command(struct master_entry *e, struct span command);
void master_entry_set_field(struct master_entry *e, enum master_field field, struct span value);

/* The value behind "-o name=", or NULL; the last one counts. */
const char *master_entry_option(const struct master_entry *e, struct span name);
/* Replace it, or put it behind the last -o. */
void master_entry_set_option(struct master_entry *e, struct span name, struct span value);
bool master_entry_remove_option(struct master_entry *e, struct span name);

#endif
