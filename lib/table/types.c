/* SPDX-License-Identifier: Apache-2.0 */
/*
 * types.c - the table of table types
 *
 * Some systems no longer ship Berkeley DB. There the names hash and btree stay, so
 * that a main.cf need not change, and work on LMDB files.
 */
#include "config.h"
#include "base/mem.h"
#include "table/table.h"
#include "table/type.h"

#ifdef DB_LIBRARY
#define HASH_OPS  ".db", bdb_open, bdb_get, bdb_close, bdb_each, bdb_write_hash
#define BTREE_OPS ".db", bdb_open, bdb_get, bdb_close, bdb_each, bdb_write_btree
#else
#define HASH_OPS  LMDB_OPS
#define BTREE_OPS LMDB_OPS
#endif
#define LMDB_OPS   ".lmdb", lmdb_open, lmdb_get, lmdb_close, lmdb_each, lmdb_write
#define MEMORY_OPS memory_get, memory_close, memory_each, NULL
#define RULES_OPS  rules_table_get, rules_table_close, NULL, NULL

const struct table_type table_type_rows[] = {
    /* name          flags                          suffix and functions */
    { "btree",       TABLE_FOLD,                    BTREE_OPS },
    { "cidr",        TABLE_PATTERN,                 "", cidr_table_open, RULES_OPS },
    { "fail",        TABLE_ANY_KEY,                 NULL, fail_open, fail_get, fail_close, NULL, NULL },
    { "hash",        TABLE_FOLD,                    HASH_OPS },
    { "inline",      TABLE_FOLD,                    NULL, inline_open, MEMORY_OPS },
    { "lmdb",        TABLE_FOLD,                    LMDB_OPS },
    { "passwd-file", TABLE_FOLD,                    "", passwd_file_open, MEMORY_OPS },
    { "pcre",        TABLE_PATTERN | TABLE_ANY_KEY, "", pcre_open, RULES_OPS },
    { "proxy",       TABLE_ANY_KEY,                 NULL, proxy_open, proxy_get, proxy_close, NULL, NULL },
    { "regexp",      TABLE_PATTERN | TABLE_ANY_KEY, "", regexp_open, RULES_OPS },
    { "static",      TABLE_ANY_KEY,                 NULL, static_open, static_get, static_close, NULL, NULL },
    { "texthash",    TABLE_FOLD,                    "", texthash_open, MEMORY_OPS },
    { "unix",        TABLE_FOLD,                    NULL, unix_open, unix_get, unix_close, NULL, NULL },
};
const size_t table_type_rows_len = ARRAY_LEN(table_type_rows);

const char *const *table_types(void)
{
    static const char *names[ARRAY_LEN(table_type_rows) + 1];

    for (size_t i = 0; i < table_type_rows_len; i++)
        names[i] = table_type_rows[i].name;
    return names;
}

const struct table_type *table_type_find(struct span name)
{
    for (size_t i = 0; i < table_type_rows_len; i++)
        if (span_eq_str(name, table_type_rows[i].name))
            return &table_type_rows[i];
    return NULL;
}

const struct table_type *table_type_cut(struct span type_name, struct span *ret_name,
                                        struct str *err)
{
    struct span name = type_name;
    struct span type = span_cut(&name, ':');

    str_reset(err);
    if (type.len == type_name.len || type.len == 0 || name.len == 0 ||
        memchr(name.ptr, '\0', name.len)) {
        str_addf(err, "bad table name \"" SPAN_FMT "\": expected the form \"type:name\"",
                 SPAN_ARG(type_name));
        return NULL;
    }
    const struct table_type *row = table_type_find(type);

    if (!row) {
        str_addf(err, "unsupported table type \"" SPAN_FMT "\" in \"" SPAN_FMT "\"; known types:",
                 SPAN_ARG(type), SPAN_ARG(type_name));
        for (size_t i = 0; i < table_type_rows_len; i++)
            str_addf(err, " %s", table_type_rows[i].name);
        return NULL;
    }
    *ret_name = name;
    return row;
}
