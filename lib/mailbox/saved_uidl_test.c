/* SPDX-License-Identifier: Apache-2.0 */
/* saved_uidl_test.c - unique-ids of the server before us are found again by the files' names */
#include "mailbox/saved_uidl.h"

#include <stdio.h>

#include "mailbox/takeover.h"
#include "mailbox/test_account.h"

#define LONG "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggg"

static void test_courier_s_list_gives_the_ids_that_courier_gave(void **state)
{
    static const struct {
        const char *list, *lines;
    } cases[] = {
        { "/3 13 1275660208\n1.M2P3.h,S=13:2,S 2481 12:1275660208:0\n", "UID12-1275660208 1.M2P3.h,S=13\n" },
        { "/2 13\n1.h 24 12:127\n", "UID12-127 1.h\n" },
        { "/3 13 5\n1.h 24 12:0:1\n", "UID12 1.h\n" },
        { "/3 13 5\n1.h:2,S 24 0:0:0\n", "1.h 1.h\n" },
        { "/3 13 5\na name:2, 24 3:5:0\nb.h 24 4:5:0", "UID3-5 a name\nUID4-5 b.h\n" },
        { "/3 13 5\n\n1.h\n1.h 24\n 24 1:2:3\n1.h 24 x:5:0\n1.h 24 1\n1.h 24 4294967296:5:0\n2.h 24 6:5:0\n", "UID6-5 2.h\n" },
        { "/3 13 5\n" LONG " 24 0:0:0\n" LONG "h 24 0:0:0\n", LONG " " LONG "\n" },
        { "/1 13 5\n1.h 24 12:5:0\n", "" },
        { "", "" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str lines = STR_INIT;

        saved_uidls_parse_courier(span_of(cases[i].list), &lines);
        if (strcmp(str_cstr(&lines), cases[i].lines) != 0)
            fail_msg("case %zu: %s", i, lines.data);
    }
}

static void test_ids_of_both_servers_are_kept_in_a_file_of_ours(void **state)
{
    char dir[] = "/tmp/saved_uidl_test.XXXXXX", path[64], command[64];
    _cleanup_(takeover_done) struct takeover t = { .uidvalidity = 0 };
    _cleanup_(saved_uidls_done) struct saved_uidls l = SAVED_UIDLS_INIT, none = SAVED_UIDLS_INIT;

    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(saved_uidls_write(dir, &t), 0);
    assert_int_equal(saved_uidls_load(dir, &none), 0);
    assert_int_equal(none.len, 0);

    assert_true(takeover_parse(span_of("3 V5 N9\n1 W3 Pold:id/1 :1.h\n2 :2.h\n3 P :3.h\n4 Pa\tb S5 :4.h\n5 Pnew O3 :5.h:2,S\n"), &t));
    snprintf(path, sizeof path, "%s/courierpop3dsizelist", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("/3 9 7\n2.h:2,S 24 8:7:0\n1.h 24 9:7:0\n", f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(saved_uidls_write(dir, &t), 0);
    assert_int_equal(saved_uidls_load(dir, &l), 0);

    static const struct {
        const char *base, *id;
    } wanted[] = { { "1.h", "old:id/1" }, { "2.h", "UID8-7" }, { "3.h", "3.h" }, { "4.h", "" }, { "5.h", "new" }, { "", "" } };
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        if (!span_eq_str(saved_uidls_find(&l, span_of(wanted[i].base)), wanted[i].id))
            fail_msg("%s", wanted[i].base);
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_courier_s_list_gives_the_ids_that_courier_gave),
        cmocka_unit_test(test_ids_of_both_servers_are_kept_in_a_file_of_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
