/* SPDX-License-Identifier: Apache-2.0 */
/*
 * match_list_test.c - lists of names, addresses and networks
 */
#include "base/mem.h"
#include "table/table.h"
#include "table/test_files.h"

static struct match_list *open_list(const char *list, enum match_kind kind)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    struct match_list *l = NULL;

    if (match_list_open(list, kind, &l, &err) < 0)
        fail_msg("%s: %s", list, str_cstr(&err));
    return l;
}

static void test_names_and_addresses_match_as_their_kind_says(void **state)
{
    static const struct {
        enum match_kind kind;
        const char *list, *text;
        int want;
    } rows[] = {
        { MATCH_DOMAIN,         "a.example, b.example",          "B.EXAMPLE",         1 },
        { MATCH_DOMAIN,         "a.example",                     "x.a.example",       0 },
        { MATCH_DOMAIN,         "",                              "a",                 0 },
        { MATCH_DOMAIN,         "!a.example static:all",         "a.example",         0 },
        { MATCH_DOMAIN,         "!a.example static:all",         "b.example",         1 },
        { MATCH_DOMAIN,         "inline:{a.example=x}",          "A.example",         1 },
        { MATCH_DOMAIN,         "inline:{a.example=x}",          "x.a.example",       0 },
        { MATCH_DOMAIN,         "fail:x",                        "a",                -1 },
        { MATCH_DOMAIN,         "a fail:x",                      "a",                 1 },
        { MATCH_DOMAIN,         "[192.0.2.1]",                   "[192.0.2.1]",       1 },
        { MATCH_DOMAIN_PARENTS, "a.example",                     "x.y.A.example",     1 },
        { MATCH_DOMAIN_PARENTS, "a.example",                     "a.example",         1 },
        { MATCH_DOMAIN_PARENTS, "a.example",                     "xa.example",        0 },
        { MATCH_DOMAIN_PARENTS, ".a.example",                    "x.a.example",       1 },
        { MATCH_DOMAIN_PARENTS, ".a.example",                    "a.example",         0 },
        { MATCH_DOMAIN_PARENTS, "inline:{a.example=x}",          "y.x.a.example",     1 },
        { MATCH_DOMAIN_PARENTS, "!x.a.example a.example",        "y.x.a.example",     0 },
        { MATCH_ADDRESS,        "u@a.example",                   "U@A.EXAMPLE",       1 },
        { MATCH_ADDRESS,        "@a.example",                    "v@a.example",       1 },
        { MATCH_ADDRESS,        "a.example",                     "v@a.example",       1 },
        { MATCH_ADDRESS,        "a.example",                     "v@b.a.example",     0 },
        { MATCH_ADDRESS,        "inline:{@a.example=x}",         "v@a.example",       1 },
        { MATCH_HOST_ADDR,      "192.0.2.0/24",                  "192.0.2.77",        1 },
        { MATCH_HOST_ADDR,      "192.0.2.0/24",                  "192.0.3.1",         0 },
        { MATCH_HOST_ADDR,      "192.0.2.0/24",                  "::ffff:192.0.2.7",  1 },
        { MATCH_HOST_ADDR,      "[2001:db8::]/32",               "2001:db8:1::1",     1 },
        { MATCH_HOST_ADDR,      "[2001:db8::]/32 ",              "2001:db9::1",       0 },
        { MATCH_HOST_ADDR,      "[::1]",                         "::1",               1 },
        { MATCH_HOST_ADDR,      "!192.0.2.7 192.0.2.0/24",       "192.0.2.7",         0 },
        { MATCH_HOST_ADDR,      "0.0.0.0/0",                     "203.0.113.9",       1 },
        { MATCH_HOST_ADDR,      "0.0.0.0/0",                     "::1",               0 },
        { MATCH_HOST_ADDR,      "127.0.0.0/8 [::1]/128",         "::1",               1 },
        { MATCH_HOST_ADDR,      "inline:{192.0.2.1=x}",          "192.0.2.1",         1 },
        { MATCH_HOST_ADDR,      "example.com",                   "mx.example.com",    1 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_(match_list_free_ptr_) struct match_list *l = open_list(rows[i].list, rows[i].kind);
        int r = match_list_has(l, span_of(rows[i].text));

        if ((r > 0) - (r < 0) != rows[i].want)
            fail_msg("%s in \"%s\": %d", rows[i].text, rows[i].list, r);
    }
}

static void test_a_client_matches_by_name_or_address_but_never_as_unknown(void **state)
{
    _cleanup_(match_list_free_ptr_) struct match_list *l =
        open_list("unknown, example.com, 192.0.2.1", MATCH_HOST_ADDR);

    (void)state;
    assert_int_equal(match_list_has_client(l, span_of("a.example.com"), span_of("198.51.100.1")), 1);
    assert_int_equal(match_list_has_client(l, span_of("unknown"), span_of("192.0.2.1")), 1);
    assert_int_equal(match_list_has_client(l, span_of("unknown"), span_of("198.51.100.1")), 0);
    assert_int_equal(match_list_has_client(l, span_of("unknown"), span_of("not an address")), 0);
}

static void test_a_file_stands_for_its_items(void **state)
{
    _cleanup_(str_free) struct str list = STR_INIT, path = STR_INIT;

    (void)state;
    write_test_file("inner", span_of("# inner\nc.example\n"));
    in_test_dir(&path, "", "inner");
    str_addf(&list, "a.example,\n  !b.example\n%s\n", str_cstr(&path));
    write_test_file("outer", str_span(&list));
    in_test_dir(&path, "", "outer");
    _cleanup_(match_list_free_ptr_) struct match_list *l = open_list(str_cstr(&path), MATCH_DOMAIN);

    assert_int_equal(match_list_has(l, span_of("a.example")), 1);
    assert_int_equal(match_list_has(l, span_of("b.example")), 0);
    assert_int_equal(match_list_has(l, span_of("c.example")), 1);
}

static void test_wrong_items_are_refused(void **state)
{
    static const struct {
        const char *list, *want;
    } rows[] = {
        { "192.0.2.1/24",        "192.0.2.0/24"   },
        { "192.0.2.0/33",        "0 to 32"        },
        { "[2001:db8::]/129",    "0 to 128"       },
        { "[2001:db8::1",        "bad network"    },
        { "2001:db8::/32",       "unsupported table type \"2001\"" },
        { "!",                   "behind '!'"     },
        { "/no/such/file/here",  "No such file"   },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_(str_free) struct str err = STR_INIT;
        struct match_list *l = NULL;

        assert_true(match_list_open(rows[i].list, MATCH_HOST_ADDR, &l, &err) < 0);
        if (!strstr(str_cstr(&err), rows[i].want))
            fail_msg("%s: %s", rows[i].list, str_cstr(&err));
    }
}

static void test_a_file_that_names_itself_is_refused(void **state)
{
    _cleanup_(str_free) struct str path = STR_INIT, err = STR_INIT;
    struct match_list *l = NULL;

    (void)state;
    in_test_dir(&path, "", "self");
    write_test_file("self", str_span(&path));
    assert_true(match_list_open(str_cstr(&path), MATCH_DOMAIN, &l, &err) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_addresses_match_as_their_kind_says),
        cmocka_unit_test(test_a_client_matches_by_name_or_address_but_never_as_unknown),
        cmocka_unit_test(test_a_file_stands_for_its_items),
        cmocka_unit_test(test_wrong_items_are_refused),
        cmocka_unit_test(test_a_file_that_names_itself_is_refused),
    };

    return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
