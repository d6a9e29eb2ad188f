/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edit_test.c - changes to main.cf and master.cf leave the rest of the file alone
 */
#include "conf/edit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/master_text.h"

static void test_main_cf_is_changed_in_place(void **state)
{
    static const struct {
        const char *before;
        struct conf_change changes[3];
        size_t n;
        const char *after;
    } rows[] = {
        { "# c\na = 1\n  2\n\nb=2\n", { { CONF_SET, SPAN("a"), SPAN("x") } }, 1, "# c\na = x\n\nb=2\n" },
        { "a = 1\n # in\n  2\nb=2\n", { { CONF_SET, SPAN("a"), SPAN("x  y") } }, 1, "a = x  y\n # in\nb=2\n" },
        { "a = 1\n# in\n  2\nb=2\n", { { CONF_COMMENT, SPAN("a"), SPAN("") } }, 1, "#a = 1\n# in\n#  2\nb=2\n" },
        { "a = 1\n# in\n  2\nb=2\n", { { CONF_REMOVE, SPAN("a"), SPAN("") } }, 1, "# in\nb=2\n" },
        { "a=1\nb=2\na=3\n", { { CONF_SET, SPAN("a"), SPAN("x") } }, 1, "a = x\nb=2\na = x\n" },
        { "b=2", { { CONF_SET, SPAN("z"), SPAN("1") }, { CONF_SET, SPAN("c"), SPAN("") } }, 2,
          "b=2\nc =\nz = 1\n" },
        { "a=1\n", { { CONF_SET, SPAN("a"), SPAN("2") }, { CONF_SET, SPAN("a"), SPAN("3") } }, 2, "a = 3\n" },
        { "", { { CONF_SET, SPAN("a"), SPAN("2") }, { CONF_SET, SPAN("a"), SPAN("3") } }, 2, "a = 3\n" },
        { "ab=1\n", { { CONF_REMOVE, SPAN("a"), SPAN("") } }, 1, "ab=1\n" },
        { "#a=1\n", { { CONF_SET, SPAN("a"), SPAN("2") } }, 1, "#a=1\na = 2\n" },
        { "", { { CONF_COMMENT, SPAN("a"), SPAN("") }, { CONF_REMOVE, SPAN("b"), SPAN("") } }, 2, "" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_(str_free) struct str out = STR_INIT;

        conf_edit_main(span_of(rows[i].before), rows[i].changes, rows[i].n, &out);
        if (strcmp(str_cstr(&out), rows[i].after) != 0)
            fail_msg("\"%s\" became \"%s\"", rows[i].before, str_cstr(&out));
    }
}

static void test_master_cf_entries_are_replaced_commented_and_removed(void **state)
{
    static const char before[] = "# services\nsmtp inet n - n - - smtpd\n  -o a=b\n# in\n  -o c=d\n"
                                 "smtp unix - - n - - smtp\n";
    static const struct {
        struct master_change change;
        const char *after;
    } rows[] = {
        { { CONF_SET, SPAN("smtp"), SPAN("inet"), SPAN("new\n") },
          "# services\nnew\n# in\nsmtp unix - - n - - smtp\n" },
        { { CONF_COMMENT, SPAN("smtp"), SPAN("inet"), SPAN("") },
          "# services\n#smtp inet n - n - - smtpd\n#  -o a=b\n# in\n#  -o c=d\nsmtp unix - - n - - smtp\n" },
        { { CONF_REMOVE, SPAN("smtp"), SPAN("unix"), SPAN("") },
          "# services\nsmtp inet n - n - - smtpd\n  -o a=b\n# in\n  -o c=d\n" },
        { { CONF_SET, SPAN("x"), SPAN("inet"), SPAN("x\n") },
          "# services\nsmtp inet n - n - - smtpd\n  -o a=b\n# in\n  -o c=d\nsmtp unix - - n - - smtp\nx\n" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_(str_free) struct str out = STR_INIT;

        conf_edit_master(span_of(before), &rows[i].change, 1, &out);
        assert_string_equal(str_cstr(&out), rows[i].after);
    }
}

static void parse(const char *line, struct master_entry *e)
{
    assert_int_equal(master_entry_parse(span_of(line), e), 0);
}

static void test_an_entry_prints_in_postfix_layout(void **state)
{
    static const struct {
        const char *line, *one, *folded;
    } rows[] = {
        { "smtp inet n - n - - smtpd -v -o a=b -o { c = d e } -oe=f {g h} -D",
          "smtp       inet  n       -       n       -       -       smtpd -v -o a=b -o {c=d e} -o e=f {g h} -D",
          "smtp       inet  n       -       n       -       -       smtpd -v\n    -o a=b\n    -o {c=d e}\n"
          "    -o e=f\n    {g h} -D" },
        { "scalemail-backend unix - n n - 2 pipe",
          "scalemail-backend unix - n       n       -       2       pipe",
          "scalemail-backend unix - n       n       -       2       pipe" },
        { "postlog unix-dgram n - n - 1 postlogd",
          "postlog    unix-dgram n  -       n       -       1       postlogd",
          "postlog    unix-dgram n  -       n       -       1       postlogd" },
        { "a unix - n n - - pipe flags=DRXhu user=vmail argv=/usr/bin/maildrop -d ${recipient}",
          "a          unix  -       n       n       -       -       pipe flags=DRXhu user=vmail argv=/usr/bin/maildrop -d ${recipient}",
          "a          unix  -       n       n       -       -       pipe flags=DRXhu\n"
          "    user=vmail argv=/usr/bin/maildrop -d ${recipient}" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_(str_free) struct str out = STR_INIT;
        _cleanup_(master_entry_done) struct master_entry e = { 0 };

        parse(rows[i].line, &e);
        master_entry_print(&e, MASTER_ONE_LINE, &out);
        assert_string_equal(str_cstr(&out), rows[i].one);
        str_reset(&out);
        master_entry_print(&e, MASTER_FOLDED, &out);
        assert_string_equal(str_cstr(&out), rows[i].folded);
    }
}

static void test_options_of_an_entry_are_set_and_removed(void **state)
{
    _cleanup_(str_free) struct str out = STR_INIT;
    _cleanup_(master_entry_done) struct master_entry e = { 0 };

    (void)state;
    parse("smtp inet n - n - - smtpd -v -o a=b -o c=d=e x", &e);
    assert_string_equal(master_entry_option(&e, span_of("c")), "d=e");
    assert_null(master_entry_option(&e, span_of("b")));
    master_entry_set_option(&e, span_of("a"), span_of("1 2"));
    master_entry_set_option(&e, span_of("z"), span_of("9"));
    assert_true(master_entry_remove_option(&e, span_of("c")));
    assert_false(master_entry_remove_option(&e, span_of("c")));
    master_entry_command(&e, &out);
    assert_string_equal(str_cstr(&out), "smtpd -v -o {a=1 2} -o z=9 x");
    assert_int_equal(master_entry_set_command(&e, span_of(" lmtpd -o q=r")), 0);
    assert_int_equal(master_entry_set_command(&e, span_of(" ")), -22);
    str_reset(&out);
    master_entry_command(&e, &out);
    assert_string_equal(str_cstr(&out), "lmtpd -o q=r");
}

static void test_an_option_goes_behind_the_program_when_it_is_the_first(void **state)
{
    _cleanup_(str_free) struct str out = STR_INIT;
    _cleanup_(master_entry_done) struct master_entry e = { 0 };

    (void)state;
    parse("smtp inet n - n - - smtpd -v", &e);
    master_entry_set_option(&e, span_of("a"), span_of(""));
    master_entry_command(&e, &out);
    assert_string_equal(str_cstr(&out), "smtpd -o a= -v");
}

static void test_a_line_with_too_few_fields_is_named(void **state)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    struct master_text m;

    (void)state;
    assert_true(master_text_parse(span_of("a inet n - n - - x\n\nb inet n\n  - -\n"), "master.cf", &m, &err) < 0);
    assert_non_null(strstr(str_cstr(&err), "master.cf, line 3: expected eight fields"));
}

static void test_a_file_changes_at_commit_and_keeps_its_mode(void **state)
{
    char dir[] = "/tmp/edit-test-XXXXXX", path[64], tmp[64], text[64] = "";
    _cleanup_(str_free) struct str err = STR_INIT;
    struct stat st;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/main.cf", dir);
    snprintf(tmp, sizeof tmp, "%s/main.cf.tmp", dir);
    _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT, 0640);
    assert_int_equal(write(fd, "a = 1\n", 6), 6);

    struct conf_edit e;
    assert_int_equal(conf_edit_begin(dir, "main.cf", &e, &err), 0);
    assert_string_equal(str_cstr(&e.text), "a = 1\n");
    conf_edit_done(&e);
    assert_int_equal(access(tmp, F_OK), -1);

    assert_int_equal(conf_edit_begin(dir, "main.cf", &e, &err), 0);
    assert_int_equal(conf_edit_commit(&e, span_of("b = 2\n"), &err), 0);
    conf_edit_done(&e);
    assert_int_equal(access(tmp, F_OK), -1);
    _cleanup_close_ int again = open(path, O_RDONLY);
    assert_int_equal(read(again, text, sizeof text - 1), 6);
    assert_string_equal(text, "b = 2\n");
    assert_int_equal(fstat(again, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);

    assert_true(conf_edit_begin(dir, "absent.cf", &e, &err) < 0);
    assert_non_null(strstr(str_cstr(&err), "absent.cf"));
    conf_edit_done(&e);
    unlink(path);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_main_cf_is_changed_in_place),
        cmocka_unit_test(test_master_cf_entries_are_replaced_commented_and_removed),
        cmocka_unit_test(test_an_entry_prints_in_postfix_layout),
        cmocka_unit_test(test_options_of_an_entry_are_set_and_removed),
        cmocka_unit_test(test_an_option_goes_behind_the_program_when_it_is_the_first),
        cmocka_unit_test(test_a_line_with_too_few_fields_is_named),
        cmocka_unit_test(test_a_file_changes_at_commit_and_keeps_its_mode),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
