/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maps_test.c - lists of tables, and the order in which parts of an address are looked up
 */
#include "base/mem.h"
#include "table/table.h"
#include "table/test_files.h"

static struct maps *open_maps(const char *list)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    struct maps *m = NULL;

    if (maps_open(list, &m, &err) < 0)
        fail_msg("%s: %s", list, str_cstr(&err));
    return m;
}

static void test_the_first_table_that_has_the_key_answers(void **state)
{
    _cleanup_(maps_free_ptr_) struct maps *m =
        open_maps(" inline:{a=1, {b = two words}}, ,inline:{a=2\tc=3}\n static:rest");
    static const char *const rows[][2] = { { "a", "1" }, { "b", "two words" }, { "c", "3" }, { "d", "rest" } };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_(str_free) struct str value = STR_INIT;

        assert_int_equal(maps_get(m, span_of(rows[i][0]), &value), 1);
        assert_string_equal(str_cstr(&value), rows[i][1]);
    }
}

static void test_an_empty_list_finds_nothing(void **state)
{
    _cleanup_(maps_free_ptr_) struct maps *m = open_maps(" ,\t");
    _cleanup_(str_free) struct str value = STR_INIT;

    (void)state;
    assert_true(maps_empty(m));
    assert_int_equal(maps_get(m, span_of("a"), &value), 0);
}

static void test_a_wrong_table_in_the_list_is_named(void **state)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    struct maps *m = NULL;

    (void)state;
    assert_true(maps_open("inline:{a=b} hsah:/x", &m, &err) < 0);
    assert_non_null(strstr(str_cstr(&err), "hsah"));
}

static void test_parts_of_an_address_are_tried_in_the_order_of_the_manual(void **state)
{
    enum { VIRTUAL = MAPS_FULL | MAPS_AT_DOMAIN, LOCAL = VIRTUAL | MAPS_LOCALPART,
           TRANSPORT = MAPS_FULL | MAPS_DOMAIN };
    static const struct {
        const char *table, *address, *delimiters;
        unsigned forms;
        const char *want, *ext;
    } rows[] = {
        { "inline:{u+x@d=1 u@d=2 @d=3}",   "u+x@d",      "+",  VIRTUAL,   "1", ""   },
        { "inline:{u@d=2 @d=3}",           "u+x@d",      "+",  VIRTUAL,   "2", "+x" },
        { "inline:{u@d=2 @d=3}",           "u+x@d",      "",   VIRTUAL,   "3", ""   },
        { "inline:{u@d=2 @d=3}",           "u-x@d",      "+-", VIRTUAL,   "2", "-x" },
        { "inline:{u@d=2 @d=3}",           "u+x+y@d",    "+",  VIRTUAL,   "2", "+x+y" },
        { "inline:{u=2 @d=3}",             "u@d",        "+",  VIRTUAL,   "3", ""   },
        { "inline:{u=2 @d=3}",             "u+x@d",      "+",  LOCAL,     "2", "+x" },
        { "inline:{u+x=2 @d=3}",           "u+x@d",      "+",  LOCAL,     "2", ""   },
        { "inline:{u=2}",                  "U@D",        "",   LOCAL,     "2", ""   },
        { "inline:{u=2}",                  "u",          "",   MAPS_LOCALPART, "2", "" },
        { "inline:{owner=1}",              "owner-l@d",  "-",  LOCAL,     "-", ""   },
        { "inline:{l=1}",                  "l-request",  "-",  LOCAL,     "-", ""   },
        { "inline:{double=1}",             "double-bounce@d", "-", LOCAL, "-", ""   },
        { "inline:{x=1}",                  "+x@d",       "+",  LOCAL,     "-", ""   },
        { "inline:{a.b.c=1 .b.c=2}",       "u@a.b.c",    "",   TRANSPORT, "1", ""   },
        { "inline:{.b.c=2 .c=3}",          "u@a.b.c",    "",   TRANSPORT, "2", ""   },
        { "inline:{.c=3}",                 "u@a.b.c",    "",   TRANSPORT, "3", ""   },
        { "inline:{b.c=3 c=4}",            "u@a.b.c",    "",   TRANSPORT, "-", ""   },
        { "inline:{d=3}",                  "u@",         "",   TRANSPORT, "-", ""   },
        { "inline:{@=3}",                  "u@",         "",   LOCAL,     "-", ""   },
        { "inline:{ {\"a b\"@d=q} }",      "a b@d",      "",   VIRTUAL,   "q", ""   },
        { "inline:{ {a b@d=bare} }",       "a b@d",      "",   VIRTUAL,   "bare", "" },
        { "inline:{ {\"a\\\"b\"@d=q} }",   "a\"b@d",     "",   VIRTUAL,   "q", ""   },
        { "static:x",                      "u@d",        "",   LOCAL,     "x", ""   },
        { "fail:x",                        "u@d",        "",   LOCAL,     "E", ""   },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_(maps_free_ptr_) struct maps *m = open_maps(rows[i].table);
        _cleanup_(str_free) struct str value = STR_INIT, ext = STR_INIT;
        int r = maps_get_address(m, span_of(rows[i].address), rows[i].delimiters, rows[i].forms, &value,
                                 &ext);

        if (strcmp(shown(r, &value), rows[i].want) != 0 || strcmp(str_cstr(&ext), rows[i].ext) != 0)
            fail_msg("%s for %s gave %s (ext %s)", rows[i].table, rows[i].address, shown(r, &value),
                     str_cstr(&ext));
    }
}

static void test_a_pattern_sees_only_the_whole_address(void **state)
{
    _cleanup_(str_free) struct str list = STR_INIT, value = STR_INIT;

    (void)state;
    write_test_file("pattern", span_of("/^u@/ user\n/^@/ domain\n/^d$/ bare\n"));
    _cleanup_(maps_free_ptr_) struct maps *m = open_maps(in_test_dir(&list, "regexp:", "pattern"));
    unsigned all = MAPS_FULL | MAPS_AT_DOMAIN | MAPS_DOMAIN | MAPS_LOCALPART;

    assert_int_equal(maps_get_address(m, span_of("u+x@d"), "+", all, &value, NULL), 0);
    assert_int_equal(maps_get_address(m, span_of("u@d"), "+", all, &value, NULL), 1);
    assert_string_equal(str_cstr(&value), "user");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_table_that_has_the_key_answers),
        cmocka_unit_test(test_an_empty_list_finds_nothing),
        cmocka_unit_test(test_a_wrong_table_in_the_list_is_named),
        cmocka_unit_test(test_parts_of_an_address_are_tried_in_the_order_of_the_manual),
        cmocka_unit_test(test_a_pattern_sees_only_the_whole_address),
    };

    return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
