/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build_test.c - sources become databases; what is wrong in them is told
 */
#include "table/build.h"

#include <errno.h>

#include "base/mem.h"
#include "table/source.h"
#include "table/test_files.h"

static void keep_warning(const char *text, void *arg)
{
    str_addf(arg, "%s\n", text);
}

static void add_pair(struct span key, struct span value, void *arg)
{
    str_addf(arg, SPAN_FMT "=" SPAN_FMT ";", SPAN_ARG(key), SPAN_ARG(value));
}

/* Build DIR/b from text; what it then holds, and what was warned about. */
static void build(const char *type, const char *text, enum table_source kind, unsigned flags,
                  struct str *pairs, struct str *warnings)
{
    _cleanup_(str_free) struct str name = STR_INIT, err = STR_INIT;

    in_test_dir(&name, type, "b");
    str_reset(pairs);
    str_reset(warnings);
    if (table_build(str_span(&name), span_of(text), kind, flags, keep_warning, warnings, &err) < 0 ||
        table_dump(str_span(&name), add_pair, pairs, &err) < 0)
        fail_msg("%s", str_cstr(&err));
}

static void test_map_sources_are_read_as_postmap_does(void **state)
{
    static const struct {
        const char *text, *pairs, *warning;
    } rows[] = {
        { "a 1\nb 2\n",                  "a=1;b=2;",        "" },
        { "A 1\n",                       "a=1;",            "" },
        { "a 1\n  2\n# c\n\n\t3\nb 4",   "a=1  2\t3;b=4;",  "" },
        { "a 1\n#b 2\n  #x\nc 3",        "a=1;c=3;",        "" },
        { "a\t \t1 2 \t\r\n",            "a=1 2;",          "" },
        { "\"x y\"@d 1",                 "\"x y\"@d=1;",    "" },
        { "\"x \\\" y\"@d 1",            "\"x \\\" y\"@d=1;", "" },
        { "a 1\na 2\n",                  "a=1;",            "b" HASH_SUFFIX ": duplicate entry: \"a\"" },
        { "a\nb 1",                      "b=1;",            "b, line 1: expected format: key whitespace value" },
        { "  a 1\nb 1",                  "b=1;",            "b, line 1: expected format" },
        { "\"a 1\nb 1",                  "b=1;",            "b, line 1: unbalanced" },
        { "",                            "",                "" },
        { "\n \n#\n",                    "",                "" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_(str_free) struct str pairs = STR_INIT, warnings = STR_INIT;

        build("btree:", rows[i].text, TABLE_SOURCE_MAP, 0, &pairs, &warnings);
        if (strcmp(str_cstr(&pairs), rows[i].pairs) != 0 ||
            !strstr(str_cstr(&warnings), rows[i].warning) ||
            (warnings.len > 0) != (rows[i].warning[0] != '\0'))
            fail_msg("\"%s\" gave %s and %s", rows[i].text, str_cstr(&pairs), str_cstr(&warnings));
    }
}

static void test_alias_lines_are_read_as_aliases_5_says(void **state)
{
    static const struct {
        const char *line, *key, *value;
    } rows[] = {
        { "root: alice",                     "root",    "alice" },
        { "root : alice,bob,  carol",        "root",    "alice, bob, carol" },
        { "root:alice, ,bob,",               "root",    "alice, bob" },
        { "\"a b\": x",                      "a b",     "x" },
        { "cmd: \"|/bin/p a,b  c\", /file",  "cmd",     "\"|/bin/p a,b  c\", /file" },
        { "list: :include:/etc/list",        "list",    ":include:/etc/list" },
        { "c: alice (the (first)), bob",     "c",       "alice, bob" },
        { "c: |/bin/p   a",                  "c",       "|/bin/p a" },
        { "b: \\alice, a\\,b",               "b",       "\\alice, a\\,b" },
        { "no colon",                        NULL,      NULL },
        { ": x",                             NULL,      NULL },
        { "a:",                              NULL,      NULL },
        { "a: , ,",                          NULL,      NULL },
        { "a b: x",                          NULL,      NULL },
        { "a@b: x",                          NULL,      NULL },
        { "\"a: x",                          NULL,      NULL },
        { "a: \"x",                          NULL,      NULL },
        { "a: x (y",                         NULL,      NULL },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_(str_free) struct str key = STR_INIT, value = STR_INIT;
        const char *wrong = source_alias_line(span_of(rows[i].line), &key, &value);

        if (!rows[i].key ? !wrong
                         : wrong || strcmp(str_cstr(&key), rows[i].key) != 0 ||
                               strcmp(str_cstr(&value), rows[i].value) != 0)
            fail_msg("%s gave %s: %s (%s)", rows[i].line, str_cstr(&key), str_cstr(&value),
                     wrong ? wrong : "good");
    }
}

static void test_flags_say_what_a_duplicate_does(void **state)
{
    _cleanup_(str_free) struct str pairs = STR_INIT, warnings = STR_INIT;

    (void)state;
    build("btree:", "a 1\na 2\n", TABLE_SOURCE_MAP, TABLE_BUILD_REPLACE, &pairs, &warnings);
    assert_string_equal(str_cstr(&pairs), "a=2;");
    assert_string_equal(str_cstr(&warnings), "");
    build("btree:", "a 1\na 2\n", TABLE_SOURCE_MAP, TABLE_BUILD_QUIET, &pairs, &warnings);
    assert_string_equal(str_cstr(&pairs), "a=1;");
    assert_string_equal(str_cstr(&warnings), "");
    build("btree:", "A 1\n", TABLE_SOURCE_MAP, TABLE_BUILD_NO_FOLD, &pairs, &warnings);
    assert_string_equal(str_cstr(&pairs), "A=1;");
}

static void test_pairs_can_be_added_and_deleted(void **state)
{
    static const char *const types[] = { "hash:", "btree:", "lmdb:" };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        _cleanup_(str_free) struct str pairs = STR_INIT, warnings = STR_INIT, name = STR_INIT, err = STR_INIT;

        build(types[i], "a 1\n", TABLE_SOURCE_MAP, 0, &pairs, &warnings);
        build(types[i], "b 2\na 3\n", TABLE_SOURCE_MAP, TABLE_BUILD_UPDATE, &pairs, &warnings);
        assert_int_equal(pairs.len, strlen("a=1;b=2;"));
        assert_non_null(strstr(str_cstr(&warnings), "duplicate entry: \"a\""));
        in_test_dir(&name, types[i], "b");
        assert_int_equal(table_delete(str_span(&name), span_of("a"), &err), 1);
        assert_int_equal(table_delete(str_span(&name), span_of("a"), &err), 0);
        str_reset(&pairs);
        assert_int_equal(table_dump(str_span(&name), add_pair, &pairs, &err), 0);
        assert_string_equal(str_cstr(&pairs), "b=2;");
    }
}

static void test_the_database_gets_the_mode_of_its_source(void **state)
{
    _cleanup_(str_free) struct str pairs = STR_INIT, warnings = STR_INIT, path = STR_INIT;
    struct stat st;

    (void)state;
    write_test_file("b", span_of("a 1\n"));
    build("hash:", "a 1\n", TABLE_SOURCE_MAP, 0, &pairs, &warnings);
    assert_int_equal(stat(in_test_dir(&path, "", "b" HASH_SUFFIX), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
}

static void test_many_and_large_pairs_fit(void **state)
{
    static const char *const types[] = { "hash:", "btree:", "lmdb:" };
    _cleanup_(str_free) struct str source = STR_INIT, value = STR_INIT;

    (void)state;
    for (int i = 0; i < 20000; i++)
        str_addf(&source, "key-%d value-%d\n", i, i);
    str_add_str(&source, "big ");
    for (int i = 0; i < 200000; i++)
        str_add_char(&source, 'x');
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        _cleanup_(str_free) struct str name = STR_INIT, err = STR_INIT;

        in_test_dir(&name, types[i], "many");
        if (table_build(str_span(&name), str_span(&source), TABLE_SOURCE_MAP, 0, NULL, NULL, &err) < 0)
            fail_msg("%s", str_cstr(&err));
        _cleanup_(table_free_ptr_) struct table *t = open_test_table(types[i], "many");

        assert_int_equal(table_get(t, span_of("key-19999"), &value), 1);
        assert_string_equal(str_cstr(&value), "value-19999");
        assert_int_equal(table_get(t, span_of("big"), &value), 1);
        assert_int_equal(value.len, 200000);
    }
}

static void test_a_failure_leaves_the_old_database_and_no_other_file(void **state)
{
    _cleanup_(str_free) struct str pairs = STR_INIT, warnings = STR_INIT, name = STR_INIT, err = STR_INIT;

    (void)state;
    build("hash:", "a 1\n", TABLE_SOURCE_MAP, 0, &pairs, &warnings);
    write_test_file("b" HASH_SUFFIX, span_of("broken"));
    in_test_dir(&name, "hash:", "b");
    assert_true(table_build(str_span(&name), span_of("c 1\n"), TABLE_SOURCE_MAP, TABLE_BUILD_UPDATE, NULL,
                            NULL, &err) < 0);
    assert_non_null(strstr(str_cstr(&err), "b" HASH_SUFFIX));
    assert_true(table_build(span_of("hash:/nonexistent/dir/x"), span_of("c 1\n"), TABLE_SOURCE_MAP, 0, NULL,
                            NULL, &err) < 0);
    assert_non_null(strstr(str_cstr(&err), "/nonexistent/dir/x" HASH_SUFFIX));
    assert_true(table_build(span_of("regexp:/x"), span_of(""), TABLE_SOURCE_MAP, 0, NULL, NULL, &err) < 0);
}

static void test_values_that_name_files_are_stored_as_the_base64_of_their_contents(void **state)
{
    _cleanup_(str_free) struct str pairs = STR_INIT, warnings = STR_INIT, source = STR_INIT, file = STR_INIT,
                                   name = STR_INIT, err = STR_INIT;

    (void)state;
    write_test_file("one.pem", span_of("first\n"));
    write_test_file("two.pem", span_of("second\n"));
    in_test_dir(&file, "", "one.pem");
    str_addf(&source, "a %s\n.b %s, ", str_cstr(&file), str_cstr(&file));
    in_test_dir(&file, "", "two.pem");
    str_add_str(&source, str_cstr(&file));
    build("btree:", str_cstr(&source), TABLE_SOURCE_MAP, TABLE_BUILD_FILES, &pairs, &warnings);
    assert_string_equal(pairs.data, ".b=Zmlyc3QKc2Vjb25kCg==;a=Zmlyc3QK;");

    in_test_dir(&name, "btree:", "b");
    assert_int_equal(table_build(str_span(&name), span_of("a /nowhere/x.pem\n"), TABLE_SOURCE_MAP,
                                 TABLE_BUILD_FILES, keep_warning, &warnings, &err), -ENOENT);
    assert_true(span_find(str_span(&err), span_of("line 1")) >= 0);
    assert_true(span_find(str_span(&err), span_of("/nowhere/x.pem")) >= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_that_name_files_are_stored_as_the_base64_of_their_contents),
        cmocka_unit_test(test_map_sources_are_read_as_postmap_does),
        cmocka_unit_test(test_alias_lines_are_read_as_aliases_5_says),
        cmocka_unit_test(test_flags_say_what_a_duplicate_does),
        cmocka_unit_test(test_pairs_can_be_added_and_deleted),
        cmocka_unit_test(test_the_database_gets_the_mode_of_its_source),
        cmocka_unit_test(test_many_and_large_pairs_fit),
        cmocka_unit_test(test_a_failure_leaves_the_old_database_and_no_other_file),
    };

    return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
