/* SPDX-License-Identifier: Apache-2.0 */
/*
 * type.h - what a table type is, inside lib/table only
 *
 * table.c keeps name, reference count and reload; a type knows how to open one
 * version of its source, to answer a key from it, and perhaps to list or write it.
 */
#ifndef TABLE_TYPE_H
#define TABLE_TYPE_H

#include "base/span.h"
#include "base/str.h"
#include "io/fiber.h"
#include "table/dict.h"

enum {
    TABLE_KEY_MAX = 4096,           /* bytes of a key; a longer one is in no table */
    TABLE_VALUE_MAX = 1 << 20,      /* bytes of a value */
    TABLE_FILE_MAX = 256 << 20,     /* bytes of a text file that is held in memory */
};

enum table_type_flags {
    TABLE_FOLD    = 1 << 0,         /* keys are compared in lower case */
    TABLE_PATTERN = 1 << 1,         /* matches the whole key: no look-ups of parts */
    TABLE_ANY_KEY = 1 << 2,         /* also answers the empty key */
};

struct table_opening {
    const char *name;               /* what follows "type:" */
    const char *path;               /* name and suffix, for types that are a file */
    struct str *err;                /* why it cannot be opened: one line with file and line number */
    struct str *warn;               /* what is odd but tolerated (a duplicate key) */
};

typedef void table_pair_fn(struct span key, struct span value, void *arg);

struct table_type {
    const char *name;
    unsigned flags;
    const char *suffix;             /* of the file; NULL: the name is no file */
    int (*open)(const struct table_opening *o, void **ret);
    MAY_WAIT int (*get)(void *impl, struct span key, struct str *value); /* adds to value; 1, 0, -errno */
    void (*close)(void *impl);
    int (*each)(void *impl, table_pair_fn *fn, void *arg);      /* NULL: cannot be listed */
    int (*write)(const char *path, const struct dict *pairs);   /* NULL: is not made by postmap */
};

extern const struct table_type table_type_rows[];   /* sorted by name */
extern const size_t table_type_rows_len;
const struct table_type *table_type_find(struct span name);

/* Cut "type:name". NULL with *err when the form is wrong or the type is unknown. */
const struct table_type *table_type_cut(struct span type_name, struct span *ret_name, struct str *err);

/* ---- the functions that the rows name ---- */

int bdb_open(const struct table_opening *o, void **ret);
int bdb_get(void *impl, struct span key, struct str *value);
void bdb_close(void *impl);
int bdb_each(void *impl, table_pair_fn *fn, void *arg);
int bdb_write_hash(const char *path, const struct dict *pairs);
int bdb_write_btree(const char *path, const struct dict *pairs);

int lmdb_open(const struct table_opening *o, void **ret);
int lmdb_get(void *impl, struct span key, struct str *value);
void lmdb_close(void *impl);
int lmdb_each(void *impl, table_pair_fn *fn, void *arg);
int lmdb_write(const char *path, const struct dict *pairs);

int texthash_open(const struct table_opening *o, void **ret);
int passwd_file_open(const struct table_opening *o, void **ret);
int inline_open(const struct table_opening *o, void **ret);
int memory_get(void *impl, struct span key, struct str *value);
void memory_close(void *impl);
int memory_each(void *impl, table_pair_fn *fn, void *arg);

int static_open(const struct table_opening *o, void **ret);
int static_get(void *impl, struct span key, struct str *value);
void static_close(void *impl);

int fail_open(const struct table_opening *o, void **ret);
int fail_get(void *impl, struct span key, struct str *value);
void fail_close(void *impl);

int cidr_table_open(const struct table_opening *o, void **ret);
int regexp_open(const struct table_opening *o, void **ret);
int pcre_open(const struct table_opening *o, void **ret);
int rules_table_get(void *impl, struct span key, struct str *value);
void rules_table_close(void *impl);

int unix_open(const struct table_opening *o, void **ret);
MAY_WAIT int unix_get(void *impl, struct span key, struct str *value);
void unix_close(void *impl);

int proxy_open(const struct table_opening *o, void **ret);
MAY_WAIT int proxy_get(void *impl, struct span key, struct str *value);
void proxy_close(void *impl);

#endif
