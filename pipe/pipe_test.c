/* SPDX-License-Identifier: Apache-2.0 */
/* pipe_test.c - the line in master.cf, arguments, line ends, exit status */
#include "pipe/pipe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/mem.h"

static void test_a_line_of_master_cf_is_understood_or_refused(void **state)
{
    static const struct {
        const char *args[6];
        const char *refusal; /* NULL: accepted */
    } rows[] = {
        { { "flags=DRhu", "user=vmail", "argv=/bin/cat", "-", NULL }, NULL },
        { { "user=vmail", "argv=", "/bin/cat", NULL }, NULL },
        { { "user=vmail", "eol=\\r\\n", "size=100", "argv=/bin/cat", NULL }, NULL },
        { { "flags=DZ", "user=vmail", "argv=/bin/cat", NULL }, "unknown flag 'Z'" },
        { { "user=vmail", NULL }, "both user= and argv=" },
        { { "user=vmail", "argv=", NULL }, "both user= and argv=" },
        { { "argv=/bin/cat", NULL }, "both user= and argv=" },
        { { "user=vmail", "chroot=/x", "argv=/bin/cat", NULL }, "chroot= is not supported" },
        { { "user=vmail", "eol=\\t", "argv=/bin/cat", NULL }, "eol=: only" },
        { { "user=vmail", "size=many", "argv=/bin/cat", NULL }, "expected a number" },
        { { "colour=red", "user=vmail", "argv=/bin/cat", NULL }, "unknown attribute" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_(str_free) struct str err = STR_INIT;
        struct pipe_config c = { 0 };
        int r = pipe_config_parse(rows[i].args, &c, &err);

        if ((r == 0) != !rows[i].refusal || (rows[i].refusal && !strstr(str_cstr(&err), rows[i].refusal)))
            fail_msg("row %zu: %d %s", i, r, str_cstr(&err));
        if (r == 0)
            assert_string_equal(c.argv[0], "/bin/cat");
        pipe_config_done(&c);
    }
}

static void test_unknown_macro_names_are_refused(void **state)
{
    static const char *const good[] = { "$recipient", "a${user}b$(domain)", "$$x", "plain", NULL };
    static const char *const bad[] = { "${colour}", NULL };
    static const char *const client[] = { "x", "${client_address}", NULL };
    _cleanup_(str_free) struct str err = STR_INIT;

    (void)state;
    assert_int_equal(expand_check(good, &err), 0);
    assert_true(expand_check(bad, &err) < 0);
    assert_false(expand_needs_envelope(good));
    assert_true(expand_needs_envelope(client));
}

static void test_lines_are_the_same_wherever_the_message_is_cut(void **state)
{
    static const struct {
        unsigned flags;
        const char *eol, *in, *want;
    } rows[] = {
        { 0, "\n", "a\r\nFrom b\r\n.c\r\n", "a\nFrom b\n.c\n" },
        { PIPE_FROM_QUOTE | PIPE_DOTS, "\n", "From a\r\nFrom\r\nFro\r\n.\r\n..\r\n", ">From a\nFrom\nFro\n..\n...\n.\n" },
        { 0, "\r\n", "a\r\n\r\n\r\nb", "a\r\n\r\n\r\nb\r\n" },
        { PIPE_BLANK_LINE, "\n", "a\r\n", "a\n\n" },
        { 0, "\n", "a\rb\r\r\nc\r", "a\rb\r\nc\r\n" },
        { 0, "\n", "", "" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct span in = span_of(rows[i].in);

        for (size_t cut = 0; cut <= in.len; cut++) {
            struct content_state s = { .flags = rows[i].flags, .eol = span_of(rows[i].eol) };
            _cleanup_(str_free) struct str out = STR_INIT;

            content_convert(&s, span_first(in, cut), &out);
            content_convert(&s, span_from(in, cut), &out);
            content_end(&s, &out);
            if (strcmp(str_cstr(&out), rows[i].want) != 0)
                fail_msg("row %zu, cut at %zu: %s", i, cut, str_cstr(&out));
        }
    }
}

static void test_output_decides_only_where_the_command_failed(void **state)
{
    static const struct {
        int status;
        const char *output, *dsn, *text;
    } rows[] = {
        { 0, "", "2.0.0", "delivered via x service" },
        { 0, "5.1.1 no", "2.0.0", "delivered via x service (5.1.1 no)" },
        { 67 << 8, "5.2.2 full\n", "5.2.2", "full" },
        { 67 << 8, "2.0.0 fine", "5.1.1", "user unknown. Command output: 2.0.0 fine" },
        { 75 << 8, "line\nline", "4.3.0", "temporary failure. Command output: line?line" },
        { 200 << 8, "", "5.3.0", "Command died with status 200: \"c\"" },
        { 15, "", "4.3.0", "Command died with signal 15: \"c\"" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct command_end end = { .status = rows[i].status };
        _cleanup_(outcome_msg_done) struct outcome o = { 0 };

        str_add_str(&end.output, rows[i].output);
        status_judge(&end, "x", "c", &o);
        if (strcmp(o.dsn, rows[i].dsn) != 0 || strcmp(str_cstr(&o.text), rows[i].text) != 0)
            fail_msg("row %zu: %s %s", i, o.dsn, str_cstr(&o.text));
        str_free(&end.output);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_of_master_cf_is_understood_or_refused),
        cmocka_unit_test(test_unknown_macro_names_are_refused),
        cmocka_unit_test(test_lines_are_the_same_wherever_the_message_is_cut),
        cmocka_unit_test(test_output_decides_only_where_the_command_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
