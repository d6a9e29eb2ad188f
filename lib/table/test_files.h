/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_files.h - a scratch directory and small files for the tests of tables
 */
#ifndef TABLE_TEST_FILES_H
#define TABLE_TEST_FILES_H

#include <fcntl.h>
#include <stdarg.h> /* cmocka.h needs these before it */
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "config.h"
#include "base/own.h"
#include "base/str.h"
#include "table/build.h"
#include "table/table.h"

/* What hash: and btree: files end in, with and without Berkeley DB. */
#ifdef DB_LIBRARY
#define HASH_SUFFIX ".db"
#else
#define HASH_SUFFIX ".lmdb"
#endif

static char test_dir[64];

static inline int make_test_dir(void **state)
{
    (void)state;
    snprintf(test_dir, sizeof test_dir, "/tmp/table-test-XXXXXX");
    return mkdtemp(test_dir) ? 0 : -1;
}

static inline int remove_test_dir(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", test_dir);
    return system(command);
}

/* "TYPE:DIR/NAME" or, with an empty prefix, the path. */
static inline const char *in_test_dir(struct str *s, const char *prefix, const char *name)
{
    str_reset(s);
    str_addf(s, "%s%s/%s", prefix, test_dir, name);
    return str_cstr(s);
}

/* As an administrator's editor does: a new file renamed over the old one. */
static inline void write_test_file(const char *name, struct span text)
{
    _cleanup_(str_free) struct str path = STR_INIT, tmp = STR_INIT;

    in_test_dir(&path, "", name);
    str_addf(&tmp, "%s.new", str_cstr(&path));
    _cleanup_close_ int fd = open(str_cstr(&tmp), O_WRONLY | O_CREAT | O_TRUNC, 0640);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text.ptr ? text.ptr : "", text.len), text.len);
    assert_int_equal(rename(str_cstr(&tmp), str_cstr(&path)), 0);
}

/* Open "type:DIR/name", which must succeed. */
static inline struct table *open_test_table(const char *type_and_colon, const char *name)
{
    _cleanup_(str_free) struct str full = STR_INIT, err = STR_INIT;
    struct table *t = NULL;

    in_test_dir(&full, type_and_colon, name);
    if (table_open(str_span(&full), &t, &err) < 0)
        fail_msg("%s: %s", str_cstr(&full), str_cstr(&err));
    return t;
}

/* What a look-up gives, as a text that shows in a failure: the value, "-" not found, "E" error. */
static inline const char *shown(int r, struct str *value)
{
    return r > 0 ? str_cstr(value) : r == 0 ? "-" : "E";
}

#endif
