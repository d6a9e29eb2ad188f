/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build.h - making table files: postmap, postalias
 */
#ifndef TABLE_BUILD_H
#define TABLE_BUILD_H

#include "base/str.h"

enum table_source { TABLE_SOURCE_MAP, TABLE_SOURCE_ALIASES };

enum table_build_flags {
    TABLE_BUILD_REPLACE = 1 << 0,   /* -r: a duplicate replaces */
    TABLE_BUILD_QUIET   = 1 << 1,   /* -w: a duplicate is ignored silently */
    TABLE_BUILD_NO_FOLD = 1 << 2,   /* -f */
    TABLE_BUILD_UPDATE  = 1 << 3,   /* -i: add to what is there */
    TABLE_BUILD_PLAIN_MODE = 1 << 4, /* -p: mode 0644 instead of the source's mode and owner */
    TABLE_BUILD_FILES   = 1 << 5,   /* -F: values name files, whose contents are stored as Base64 */
};

/*
 * Parse the source text of "type:file" and write the database beside it: under a temporary name,
 * flushed, then renamed, so that readers see the old one or the new one.
 * warn gets one text per duplicate or malformed line. 0, or negative with *err.
 */
int table_build(struct span type_name, struct span source, enum table_source kind, unsigned flags,
                void (*warn)(const char *text, void *arg), void *arg, struct str *err);

/* postmap -s: every pair. postmap -d: 1 deleted, 0 not there; the key is taken as it is, not
 * folded. */
int table_dump(struct span type_name, void (*fn)(struct span key, struct span value, void *arg),
               void *arg, struct str *err);
int table_delete(struct span type_name, struct span key, struct str *err);

#endif
