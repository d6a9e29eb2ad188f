/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_test.c - every type of table that needs no service answers, reloads and refuses as it should
 */
#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "table/table.h"
#include "table/test_files.h"

static struct str problems;

static void keep_problem(const char *text)
{
    str_addf(&problems, "%s\n", text);
}

static const char map_source[] = "# people\n"
                                 "Alice@Example.COM  alice/\n"
                                 "bob@example.com\n"
                                 "   bob/ \n"
                                 "\n"
                                 "\"a b\"@example.com quoted/\r\n"
                                 "last@example.com the end";

static const struct lookup {
    const char *key, *want;
} map_lookups[] = {
    { "alice@example.com",     "alice/"  },
    { "ALICE@example.com",     "alice/"  },
    { "bob@example.com",       "bob/"    },
    { "\"a b\"@example.com",   "quoted/" },
    { "last@example.com",      "the end" },
    { "nobody@example.com",    "-"       },
    { "alice@example.co",      "-"       },
    { "",                      "-"       },
};

static void check_lookups(struct table *t, const struct lookup *rows, size_t n)
{
    _cleanup_(str_free) struct str value = STR_INIT;

    for (size_t i = 0; i < n; i++) {
        int r = table_get(t, span_of(rows[i].key), &value);

        if (strcmp(shown(r, &value), rows[i].want) != 0)
            fail_msg("%s: key \"%s\" gave \"%s\", not \"%s\"", table_name(t), rows[i].key,
                     shown(r, &value), rows[i].want);
    }
}

static void build(const char *type_name, struct span source)
{
    _cleanup_(str_free) struct str err = STR_INIT;

    if (table_build(span_of(type_name), source, TABLE_SOURCE_MAP, 0, NULL, NULL, &err) < 0)
        fail_msg("%s", str_cstr(&err));
}

static void test_map_sources_answer_the_same_in_every_format(void **state)
{
    static const char *const types[] = { "hash:", "btree:", "lmdb:", "texthash:" };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        _cleanup_(str_free) struct str name = STR_INIT;

        write_test_file("map", span_of(map_source));
        if (i < 3)
            build(in_test_dir(&name, types[i], "map"), span_of(map_source));
        _cleanup_(table_free_ptr_) struct table *t = open_test_table(types[i], "map");

        check_lookups(t, map_lookups, ARRAY_LEN(map_lookups));
        assert_false(table_is_pattern(t));
    }
}

static void test_small_tables_in_main_cf_answer(void **state)
{
    static const struct {
        const char *table, *key, *want;
    } rows[] = {
        { "inline:{a=b, C=d}",                 "a",        "b"       },
        { "inline:{a=b, C=d}",                 "c",        "d"       },
        { "inline:{a=b, C=d}",                 "d",        "-"       },
        { "inline:{{a = b c} x=1=2}",          "a",        "b c"     },
        { "inline:{{a = b c} x=1=2}",          "x",        "1=2"     },
        { "static:all",                        "anything", "all"     },
        { "static:all",                        "",         "all"     },
        { "static:{ two words }",              "k",        "two words" },
        { "fail:because",                      "k",        "E"       },
        { "unix:passwd.byname",                "root",     NULL      },
        { "unix:passwd.byname",                "no-such-user-here", "-" },
        { "unix:group.byname",                 "no-such-group-here", "-" },
        { "unix:passwd.byname",                "",         "-"       },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_(str_free) struct str value = STR_INIT, err = STR_INIT;
        _cleanup_(table_free_ptr_) struct table *t = NULL;

        if (table_open(span_of(rows[i].table), &t, &err) < 0)
            fail_msg("%s: %s", rows[i].table, str_cstr(&err));
        int r = table_get(t, span_of(rows[i].key), &value);

        if (!rows[i].want)
            assert_true(span_starts(str_span(&value), span_of("root:")));
        else if (strcmp(shown(r, &value), rows[i].want) != 0)
            fail_msg("%s: %s gave %s", rows[i].table, rows[i].key, shown(r, &value));
    }
}

static void test_what_cannot_be_opened_says_why(void **state)
{
    static const struct {
        const char *type, *file, *text, *want;     /* file: NULL: the type is the whole name */
    } rows[] = {
        { "hash:",           "absent",  NULL, "postmap hash:" },
        { "lmdb:",           "absent",  NULL, "No such file"  },
        { "nosuch:x",        NULL,      NULL, "known types: btree" },
        { "plain",           NULL,      NULL, "type:name"     },
        { "hash:",           NULL,      NULL, "type:name"     },
        { "inline:a=b",      NULL,      NULL, "inline:{"      },
        { "inline:{a}",      NULL,      NULL, "name=value"    },
        { "unix:shadow",     NULL,      NULL, "passwd.byname" },
        { "proxy:nosuch:x",  NULL,      NULL, "known types"   },
        { "texthash:",       "t",       "a b\nkey\n",            "t, line 2: expected format: key whitespace value" },
        { "texthash:",       "t",       " leading blank\n",      "t, line 1: expected" },
        { "texthash:",       "t",       "a b\n\"open quote c\n", "t, line 2: unbalanced" },
        { "passwd-file:",    "t",       "ok:x:\nno colon\n",     "t, line 2: expected format: user:" },
        { "regexp:",         "t",       "# x\n/(/ y\n",          "t, line 2: bad pattern" },
        { "pcre:",           "t",       "/a/q y\n",              "unknown flag 'q'" },
        { "cidr:",           "t",       "192.0.2.1/24 x\n",      "192.0.2.0/24" },
        { "hash:",           "t.db-not", NULL,                   "No such file" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_(str_free) struct str name = STR_INIT, err = STR_INIT;
        struct table *t = NULL;

        if (rows[i].text)
            write_test_file(rows[i].file, span_of(rows[i].text));
        if (rows[i].file)
            in_test_dir(&name, rows[i].type, rows[i].file);
        else
            str_add_str(&name, rows[i].type);
        assert_true(table_open(str_span(&name), &t, &err) < 0);
        if (!strstr(str_cstr(&err), rows[i].want))
            fail_msg("%s: \"%s\" lacks \"%s\"", str_cstr(&name), str_cstr(&err), rows[i].want);
    }
}

static void test_a_file_that_is_no_database_is_refused(void **state)
{
    static const char *const types[] = { "hash:", "lmdb:" };
    static const char *const files[] = { "junk" HASH_SUFFIX, "junk.lmdb" };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        _cleanup_(str_free) struct str name = STR_INIT, err = STR_INIT;
        struct table *t = NULL;

        write_test_file(files[i], span_of("this is not a database, however long it may be\n"));
        in_test_dir(&name, types[i], "junk");
        assert_true(table_open(str_span(&name), &t, &err) < 0);
        assert_non_null(strstr(str_cstr(&err), files[i]));
    }
}

/* Longer than the interval between two looks at the file. */
static void wait_for_the_next_look(void)
{
    nanosleep(&(struct timespec){ 1, 100000000 }, NULL);
}

static void expect(struct table *t, const char *key, const char *want)
{
    _cleanup_(str_free) struct str value = STR_INIT;
    int r = table_get(t, span_of(key), &value);

    assert_string_equal(shown(r, &value), want);
}

static void test_a_new_version_is_served_and_a_broken_one_is_refused_and_reported_once(void **state)
{
    _cleanup_(str_free) struct str name = STR_INIT;

    (void)state;
    write_test_file("reload", span_of("k one\n"));
    build(in_test_dir(&name, "hash:", "reload"), span_of("k one\n"));
    const uint64_t opened = clock_ms();
    _cleanup_(table_free_ptr_) struct table *text = open_test_table("texthash:", "reload");
    _cleanup_(table_free_ptr_) struct table *hash = open_test_table("hash:", "reload");

    str_reset(&problems);
    write_test_file("reload", span_of("k two\n"));
    build(in_test_dir(&name, "hash:", "reload"), span_of("k two\n"));
    _cleanup_(str_free) struct str value = STR_INIT;
    bool found = table_get(text, span_of("k"), &value) > 0;
    if (clock_ms() - opened < 1000)         /* looked at less than a second ago */
        assert_string_equal(found ? str_cstr(&value) : "", "one");
    wait_for_the_next_look();
    expect(text, "k", "two");
    expect(hash, "k", "two");
    assert_int_equal(problems.len, 0);

    write_test_file("reload", span_of("k\n"));
    write_test_file("reload" HASH_SUFFIX, span_of("rubbish"));
    wait_for_the_next_look();
    expect(text, "k", "two");
    expect(hash, "k", "two");
    assert_non_null(strstr(str_cstr(&problems), "reload, line 1: expected format"));
    assert_non_null(strstr(str_cstr(&problems), "reload" HASH_SUFFIX));
}

static void test_a_file_that_is_gone_leaves_its_last_version_in_use(void **state)
{
    _cleanup_(str_free) struct str path = STR_INIT;

    (void)state;
    write_test_file("gone", span_of("k v\n"));
    _cleanup_(table_free_ptr_) struct table *t = open_test_table("texthash:", "gone");

    str_reset(&problems);
    assert_int_equal(unlink(in_test_dir(&path, "", "gone")), 0);
    wait_for_the_next_look();
    expect(t, "k", "v");
    assert_non_null(strstr(str_cstr(&problems), "using the old one"));
    size_t once = problems.len;

    wait_for_the_next_look();
    expect(t, "k", "v");
    assert_int_equal(problems.len, once);
}

static void test_a_table_named_twice_is_open_once(void **state)
{
    (void)state;
    write_test_file("twice", span_of("k v\n"));
    struct table *a = open_test_table("texthash:", "twice");
    struct table *b = open_test_table("texthash:", "twice");

    assert_ptr_equal(a, b);
    table_free(a);
    expect(b, "k", "v");
    table_free(b);
}

static void count_path(const char *path, void *arg)
{
    if (strstr(path, "paths"))
        ++*(int *)arg;
}

static void test_the_files_of_open_tables_are_listed(void **state)
{
    int n = 0;

    (void)state;
    write_test_file("paths", span_of("k v\n"));
    struct table *t = open_test_table("texthash:", "paths");

    table_foreach_path(count_path, &n);
    assert_int_equal(n, 1);
    table_free(t);
    table_foreach_path(count_path, &n);
    assert_int_equal(n, 1);
}

static void test_passwd_file_lines_give_all_behind_the_user(void **state)
{
    static const struct lookup rows[] = {
        { "alice@example.com", "{PLAIN}s:c:1000:1000::/home/a::extra=1" },
        { "ALICE@example.com", "{PLAIN}s:c:1000:1000::/home/a::extra=1" },
        { "bob",               "x:" },
        { "#bob",              "-" },
    };

    (void)state;
    write_test_file("users", span_of("# users\n\nAlice@example.com:{PLAIN}s:c:1000:1000::/home/a::extra=1\n"
                                     "bob:x:\r\n#bob:no:\nbob:second:\n"));
    str_reset(&problems);
    _cleanup_(table_free_ptr_) struct table *t = open_test_table("passwd-file:", "users");

    check_lookups(t, rows, ARRAY_LEN(rows));
    assert_non_null(strstr(str_cstr(&problems), "line 6: duplicate entry: \"bob\""));
}

static void test_an_over_long_key_is_not_found(void **state)
{
    _cleanup_(str_free) struct str key = STR_INIT, value = STR_INIT, name = STR_INIT;

    (void)state;
    for (int i = 0; i < 5000; i++)
        str_add_char(&key, 'a');
    build(in_test_dir(&name, "lmdb:", "long"), span_of("k v\n"));
    _cleanup_(table_free_ptr_) struct table *t = open_test_table("lmdb:", "long");

    assert_int_equal(table_get(t, str_span(&key), &value), 0);
    assert_int_equal(table_get(t, span_first(str_span(&key), 600), &value), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map_sources_answer_the_same_in_every_format),
        cmocka_unit_test(test_small_tables_in_main_cf_answer),
        cmocka_unit_test(test_what_cannot_be_opened_says_why),
        cmocka_unit_test(test_a_file_that_is_no_database_is_refused),
        cmocka_unit_test(test_a_new_version_is_served_and_a_broken_one_is_refused_and_reported_once),
        cmocka_unit_test(test_a_file_that_is_gone_leaves_its_last_version_in_use),
        cmocka_unit_test(test_a_table_named_twice_is_open_once),
        cmocka_unit_test(test_the_files_of_open_tables_are_listed),
        cmocka_unit_test(test_passwd_file_lines_give_all_behind_the_user),
        cmocka_unit_test(test_an_over_long_key_is_not_found),
    };

    table_on_problem(keep_problem);
    int failed = cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);

    str_free(&problems);
    return failed;
}
