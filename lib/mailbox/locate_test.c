/* SPDX-License-Identifier: Apache-2.0 */
/* locate_test.c - which address has which Maildir */
#include "mailbox/locate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <pwd.h>

#include "base/mem.h"

static struct params params(void)
{
    struct params p;

    memset(&p, 0, sizeof p);
    p.virtual_mailbox_base = "/var/vmail";
    p.virtual_mailbox_maps = "inline:{ {ann@example.com = example.com/ann/}, {bob@example.com = bob},"
                             " {out@example.com = ../out/}, {low@example.com = low/}, {none@example.com = none/},"
                             " {@all.example = all/} }";
    p.virtual_uid_maps = "inline:{ {ann@example.com = 5000}, {@all.example = 5001}, {low@example.com = 99},"
                         " {out@example.com = 5000}, {bob@example.com = 5000} }";
    p.virtual_gid_maps = "static:5000";
    p.virtual_minimum_uid = 100;
    p.recipient_delimiter = "+";
    p.home_mailbox = "Maildir/";
    p.mydestination = "localhost, host.example";
    return p;
}

static struct locator *open_locator(const struct params *p)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    struct locator *l = NULL;
    int r = locator_open(NULL, p, &l, &err);

    if (r < 0)
        print_message("%s\n", str_cstr(&err));
    assert_int_equal(r, 0);
    return l;
}

static void test_a_virtual_address_has_this_maildir(void **state)
{
    static const struct {
        const char *address;
        int result;
        const char *maildir, *user;
    } cases[] = {
        { "ann@example.com", 1, "/var/vmail/example.com/ann", "ann@example.com" },
        { "Ann@Example.COM", 1, "/var/vmail/example.com/ann", "ann@example.com" },
        { "ann+x@example.com", 1, "/var/vmail/example.com/ann", "ann@example.com" },
        { "who@all.example", 1, "/var/vmail/all", "who@all.example" },
        { "none@example.org", 0, NULL, NULL },
        { "ann", 0, NULL, NULL },
        { "", 0, NULL, NULL },
        { "bob@example.com", -EINVAL, NULL, NULL },
        { "out@example.com", -EINVAL, NULL, NULL },
        { "low@example.com", -EINVAL, NULL, NULL },
        { "none@example.com", -EINVAL, NULL, NULL },
    };
    struct params p = params();
    _cleanup_(locator_free_ptr_) struct locator *l = open_locator(&p);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str err = STR_INIT;
        _cleanup_(location_done) struct location where = { 0 };

        print_message("case %zu: %s\n", i, cases[i].address);
        assert_int_equal(locate_virtual(l, span_of(cases[i].address), &where, &err), cases[i].result);
        assert_true((cases[i].result < 0) == (err.len > 0));
        if (cases[i].result <= 0)
            continue;
        assert_string_equal(where.maildir, cases[i].maildir);
        assert_string_equal(where.user, cases[i].user);
        assert_int_equal(where.gid, 5000);
        assert_null(where.home);
    }
}

static void test_a_local_domain_or_none_means_a_system_user(void **state)
{
    static const struct {
        const char *address;
        int result;
    } cases[] = {
        { "daemon", 1 },          { "Daemon@localhost", 1 },    { "daemon+x@host.example", 1 },
        { "nobody-such-x", 0 },   { "a:b", 0 },                 { "@localhost", 0 },
        { "root", -EINVAL },      { "daemon@other.example", 0 },
    };
    struct params p = params();
    _cleanup_(locator_free_ptr_) struct locator *l = open_locator(&p);
    const struct passwd *pw = getpwnam("daemon");

    (void)state;
    assert_non_null(pw);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str err = STR_INIT;
        _cleanup_(location_done) struct location where = { 0 };
        char maildir[300];

        print_message("case %zu: %s\n", i, cases[i].address);
        assert_int_equal(locate(l, span_of(cases[i].address), &where, &err), cases[i].result);
        if (cases[i].result <= 0)
            continue;
        snprintf(maildir, sizeof maildir, "%s/Maildir", pw->pw_dir);
        assert_string_equal(where.maildir, maildir);
        assert_string_equal(where.user, "daemon");
        assert_int_equal(where.uid, pw->pw_uid);
    }
}

static void test_a_home_mailbox_that_is_a_file_is_refused(void **state)
{
    struct params p = params();
    _cleanup_(str_free) struct str err = STR_INIT;
    _cleanup_(location_done) struct location where = { 0 };

    (void)state;
    p.home_mailbox = "Mailbox";
    _cleanup_(locator_free_ptr_) struct locator *l = open_locator(&p);
    assert_int_equal(locate_system(l, span_of("daemon"), &where, &err), -EINVAL);
    assert_non_null(strstr(err.data, "home_mailbox"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_virtual_address_has_this_maildir),
        cmocka_unit_test(test_a_local_domain_or_none_means_a_system_user),
        cmocka_unit_test(test_a_home_mailbox_that_is_a_file_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
