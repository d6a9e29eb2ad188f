/* SPDX-License-Identifier: Apache-2.0 */
/* conf_test.c - main.cf: syntax, expansion, typed parameters */
#include "conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

static char dir[] = "/tmp/conf_test.XXXXXX";

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    _cleanup_(str_free) struct str path = STR_INIT;

    (void)state;
    str_addf(&path, "%s/main.cf", dir);
    unlink(str_cstr(&path));
    return rmdir(dir);
}

static void write_main_cf(const char *text)
{
    _cleanup_(str_free) struct str path = STR_INIT;

    str_addf(&path, "%s/main.cf", dir);
    _cleanup_close_ int fd = open(str_cstr(&path), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static int load(const char *text, struct conf **ret, struct str *err)
{
    write_main_cf(text);
    return conf_load(dir, ret, err);
}

static void test_lines_continue_and_comments_are_skipped_as_in_postconf_5(void **state)
{
    _cleanup_(conf_free_ptr_) struct conf *c = NULL;
    _cleanup_(str_free) struct str err = STR_INIT;

    (void)state;
    assert_int_equal(load("# note\n\na = one\n  two\n# in the middle\n\tthree\nb=\r\nc = x # y\n a\nc = last\n",
                          &c, &err), 0);
    assert_string_equal(conf_raw(c, "a"), "one  two\tthree");
    assert_string_equal(conf_raw(c, "b"), "");
    assert_string_equal(conf_raw(c, "c"), "last");
    assert_null(conf_raw(c, "no_such_name"));
}

static void test_a_broken_line_is_named_with_file_and_number(void **state)
{
    static const struct {
        const char *text, *wanted;
    } cases[] = {
        { "a = 1\nnonsense\n", "main.cf, line 2: \"nonsense\" is not of the form" },
        { "   a = 1\n", "main.cf, line 1: continues no line" },
        { "a b = 1\n", "line 1" },
        { "= 1\n", "line 1" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct conf *c = NULL;
        _cleanup_(str_free) struct str err = STR_INIT;
        assert_int_equal(load(cases[i].text, &c, &err), -EINVAL);
        assert_non_null(strstr(str_cstr(&err), cases[i].wanted));
    }
}

static void test_values_expand_as_in_postconf_5(void **state)
{
    static const struct {
        const char *text, *wanted; /* NULL: refused */
    } cases[] = {
        { "$a", "one" },
        { "${a}", "one" },
        { "$(a)", "one" },
        { "x$a.y", "xone.y" },
        { "$$a", "$a" },
        { "$unknown.", "." },
        { "$chain", "one two" },
        { "${a?yes}${empty?yes}", "yes" },
        { "${a:no}${empty:no}", "no" },
        { "${a?{yes}:{no}} ${empty?{yes}:{no}}", "yes no" },
        { "${a?with:colon}", "with:colon" },
        { "${a ? {$chain} : {no}}", "one two" },
        { "${{$a} == {one} ? {same} : {other}}", "same" },
        { "${{$a} != {one} ? {same} : {other}}", "other" },
        { "${{9} < {10} ? {number} : {text}}", "number" },
        { "${{b} >= {a} ? {after}}", "after" },
        { "${{1} > {2} ? {x}}", "" },
        { "$loop", NULL },
        { "${a", NULL },
        { "$", NULL },
        { "$-", NULL },
        { "${?x}", NULL },
        { "${a!x}", NULL },
        { "${{a} = {b}?{x}}", NULL },
        { "${{a} == b ? {x}}", NULL },
    };
    _cleanup_(conf_free_ptr_) struct conf *c = NULL;
    _cleanup_(str_free) struct str err = STR_INIT;

    (void)state;
    assert_int_equal(load("a = one\nchain = $a two\nempty =\nloop = $loop2\nloop2 = ${loop}\n", &c, &err), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        _cleanup_(str_free) struct str out = STR_INIT;
        int r = conf_expand(c, span_of(cases[i].text), &out, &err);
        if ((r == 0) != (cases[i].wanted != NULL) ||
            (r == 0 && strcmp(str_cstr(&out), cases[i].wanted) != 0))
            fail_msg("%s: got %d \"%s\"", cases[i].text, r, str_cstr(&out));
    }
}

static void test_a_kept_copy_outlives_changes_of_main_cf(void **state)
{
    _cleanup_(conf_free_ptr_) struct conf *kept = NULL, *copy = NULL;
    _cleanup_(str_free) struct str err = STR_INIT;

    (void)state;
    write_main_cf("a = one\n");
    assert_int_equal(conf_load_keep(dir, &kept, &err), 0);
    write_main_cf("a = two\n");
    assert_int_equal(write(conf_copy_fd(kept), "x", 1), -1);
    for (int i = 0; i < 2; i++) {       /* those who share the descriptor do not disturb each other */
        conf_free(copy);
        assert_int_equal(conf_load_copy(dir, conf_copy_fd(kept), &copy, &err), 0);
        assert_string_equal(conf_raw(copy, "a"), "one");
    }
    assert_int_equal(conf_copy_fd(copy), -1);
}

static void test_every_default_is_good_and_the_table_is_sorted(void **state)
{
    _cleanup_(conf_free_ptr_) struct conf *c = NULL;
    _cleanup_(params_free_ptr_) struct params *p = NULL;
    _cleanup_(str_free) struct str err = STR_INIT;

    (void)state;
    assert_int_equal(load("", &c, &err), 0);
    if (conf_params(c, &p, &err) < 0)
        fail_msg("%s", str_cstr(&err));
    assert_int_equal(p->smtpd_timeout, 300);
    assert_int_equal(p->maximal_queue_lifetime, 5 * 86400);
    assert_true(p->append_at_myorigin);
    for (size_t i = 1; i < param_rows_len; i++)
        if (strcmp(param_rows[i - 1].name, param_rows[i].name) >= 0)
            fail_msg("params.def: %s stands before %s", param_rows[i - 1].name, param_rows[i].name);
}

static void test_mydomain_is_the_host_name_without_its_first_label(void **state)
{
    _cleanup_(conf_free_ptr_) struct conf *c = NULL, *d = NULL;
    _cleanup_(str_free) struct str err = STR_INIT, out = STR_INIT;

    (void)state;
    assert_int_equal(load("myhostname = mx.example.org\n", &c, &err), 0);
    assert_int_equal(conf_get(c, "mydomain", &out, &err), 0);
    assert_string_equal(str_cstr(&out), "example.org");
    assert_int_equal(load("myhostname = mx.$mydomain\n", &d, &err), 0);
    str_reset(&out);
    assert_int_equal(conf_get(d, "myhostname", &out, &err), 0);
}

static void test_a_bad_value_is_refused_with_name_value_and_form(void **state)
{
    static const struct {
        const char *text, *wanted;
    } cases[] = {
        { "smtpd_timeout = soon\n", "main.cf, line 1: bad value for parameter smtpd_timeout: \"soon\": expected a time" },
        { "smtpd_timeout = 0\n", "from 1s to 1d" },
        { "disable_vrfy_command = maybe\n", "expected yes or no" },
        { "message_size_limit = 10M\n", "expected a whole number" },
        { "smtpd_tls_security_level = must\n",
          "smtpd_tls_security_level: \"must\": expected none, may or encrypt, or nothing" },
        { "smtpd_tls_security_level = may encrypt\n", "expected none, may or encrypt" },
        { "milter_default_action =\n", "expected accept, quarantine, reject, shutdown or tempfail" },
        { "auth_mechanisms = PLAIN, plian\n",
          "main.cf, line 1: bad value for parameter auth_mechanisms: \"plian\": expected a list of plain, login, scram-sha-1, " },
        { "inet_protocols = ,\n", "expected a list of all, ipv4 or ipv6" },
        { "smtp_sasl_mechanism_filter = !plain, !\n", "\"!\": expected a list of cram-md5, " },
        { "tls_dane_digests = !sha256\n", "\"!sha256\": expected a list of sha256 or sha512, or nothing" },
        { "hopcount_limit = 99999999999999999999\n", "hopcount_limit" },
        { "myorigin = $myorigin\n", "loop" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        _cleanup_(conf_free_ptr_) struct conf *c = NULL;
        struct params *p = NULL;
        _cleanup_(str_free) struct str err = STR_INIT;
        assert_int_equal(load(cases[i].text, &c, &err), 0);
        assert_true(conf_params(c, &p, &err) < 0);
        if (!strstr(str_cstr(&err), cases[i].wanted))
            fail_msg("%s: %s", cases[i].text, str_cstr(&err));
    }
}

static void test_a_bare_time_has_the_unit_of_its_default(void **state)
{
    static const struct {
        const char *text;
        char unit;
        int64_t wanted; /* -1: refused */
    } cases[] = {
        { "10", 's', 10 }, { "10", 'd', 864000 }, { "5m", 's', 300 }, { "2h", 's', 7200 },
        { "1w", 's', 604800 }, { "1x", 's', -1 }, { "", 's', -1 }, { "s", 's', -1 }, { "-1s", 's', -1 },
        { "99999999999999999999w", 's', -1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t n = -1;
        int r = conf_parse_time(span_of(cases[i].text), cases[i].unit, &n);
        assert_int_equal(r == 0 ? n : -1, cases[i].wanted);
    }
}

static void test_an_override_wins_over_main_cf(void **state)
{
    _cleanup_(conf_free_ptr_) struct conf *c = NULL;
    _cleanup_(str_free) struct str err = STR_INIT;
    int64_t n;

    (void)state;
    assert_int_equal(load("relay_limit = 3\n", &c, &err), 0);
    assert_int_equal(conf_override(c, span_of("relay_limit=7"), &err), 0);
    assert_int_equal(conf_get_int(c, "relay_limit", 1, &n, &err), 0);
    assert_int_equal(n, 7);
    assert_int_equal(conf_get_time(c, "relay_unset", 9, &n, &err), 0);
    assert_int_equal(n, 9);
    assert_int_equal(conf_override(c, span_of("relay_limit"), &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_continue_and_comments_are_skipped_as_in_postconf_5),
        cmocka_unit_test(test_a_broken_line_is_named_with_file_and_number),
        cmocka_unit_test(test_values_expand_as_in_postconf_5),
        cmocka_unit_test(test_a_kept_copy_outlives_changes_of_main_cf),
        cmocka_unit_test(test_every_default_is_good_and_the_table_is_sorted),
        cmocka_unit_test(test_mydomain_is_the_host_name_without_its_first_label),
        cmocka_unit_test(test_a_bad_value_is_refused_with_name_value_and_form),
        cmocka_unit_test(test_a_bare_time_has_the_unit_of_its_default),
        cmocka_unit_test(test_an_override_wins_over_main_cf),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
