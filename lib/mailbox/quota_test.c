/* SPDX-License-Identifier: Apache-2.0 */
/* quota_test.c - maildirsize */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <unistd.h>

#include "base/mem.h"
#include "mailbox/maildir.h"
#include "mailbox/quota.h"

static char maildir[64];

static int make(void **state)
{
    (void)state;
    snprintf(maildir, sizeof maildir, "/tmp/quota_test.XXXXXX");
    return mkdtemp(maildir) && maildir_create(maildir) == 0 ? 0 : -1;
}

static void shell(const char *fmt, ...)
{
    char command[512];
    va_list ap;

    va_start(ap, fmt);
    int n = snprintf(command, sizeof command, "cd %s && ", maildir);
    vsnprintf(command + n, sizeof command - (size_t)n, fmt, ap);
    va_end(ap);
    assert_int_equal(system(command), 0);
}

static int remove_all(void **state)
{
    (void)state;
    shell("rm -rf %s", maildir);
    return 0;
}

static void test_limits_are_read_as_they_are_written(void **state)
{
    static const struct {
        const char *in;
        int r;
        uint64_t bytes, messages;
    } cases[] = {
        { "1000S,20C", 0, 1000, 20 }, { "20C", 0, 0, 20 },          { "1000", 0, 1000, 0 },
        { " 1000S , 2C ", 0, 1000, 2 }, { "", -EINVAL, 0, 0 },      { "x", -EINVAL, 0, 0 },
        { "10M", -EINVAL, 0, 0 },     { "-5S", -EINVAL, 0, 0 },     { "S", -EINVAL, 0, 0 },
        { "10S,,", -EINVAL, 0, 0 },   { "99999999999999999999S", -EINVAL, 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct quota_limits got = { 0, 0 };
        int r = quota_limits_parse(span_of(cases[i].in), &got);

        if (r != cases[i].r || got.bytes != cases[i].bytes || got.messages != cases[i].messages)
            fail_msg("\"%s\": %d", cases[i].in, r);
    }
}

static void test_a_rule_of_a_users_file_gives_limits(void **state)
{
    static const struct {
        const char *in;
        int r;
        uint64_t bytes, messages;
    } cases[] = {
        { "*:storage=1G", 0, 1 << 30, 0 },        { "*:storage=10", 0, 10240, 0 },
        { "*:bytes=10M:messages=7", 0, 10 << 20, 7 }, { "*:storage=5B", 0, 5, 0 },
        { "*:bytes=2k", 0, 2048, 0 },             { "*:messages=3", 0, 0, 3 },
        { "*", -EINVAL, 0, 0 },                   { "*:", -EINVAL, 0, 0 },
        { "Trash:storage=1G", -EINVAL, 0, 0 },    { "*:storage=+1G", -EINVAL, 0, 0 },
        { "*:storage=", -EINVAL, 0, 0 },          { "*:storage=G", -EINVAL, 0, 0 },
        { "*:colour=1", -EINVAL, 0, 0 },          { "", -EINVAL, 0, 0 },
        { "*:storage=99999999999T", -EINVAL, 0, 0 }, { "*:storage=1G:ignore", -EINVAL, 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct quota_limits got = { 0, 0 };
        int r = quota_rule_parse(span_of(cases[i].in), &got);

        if (r != cases[i].r || got.bytes != cases[i].bytes || got.messages != cases[i].messages)
            fail_msg("\"%s\": %d", cases[i].in, r);
    }
}

static void test_a_rule_counts_more_than_tables_until_it_is_gone(void **state)
{
    const struct quota_limits tables = { 1000, 0 };
    struct quota q;

    (void)state;
    assert_int_equal(quota_set(maildir, &tables), 0);
    assert_int_equal(quota_set_rule(maildir, span_of("*:bytes=2000:messages=5")), 0);
    assert_int_equal(quota_set(maildir, &tables), 0);
    assert_int_equal(quota_load(maildir, &q), 0);
    assert_int_equal(q.limits.bytes, 2000);
    assert_int_equal(q.limits.messages, 5);
    assert_int_equal(quota_set_rule(maildir, span_of("*:rubbish")), -EINVAL);
    assert_int_equal(quota_set_rule(maildir, SPAN_NULL), 0);
    assert_int_equal(quota_load(maildir, &q), -ENOENT);
    assert_int_equal(quota_set(maildir, &tables), 0);
    assert_int_equal(quota_set_rule(maildir, SPAN_NULL), 0); /* those of the tables stay */
    assert_int_equal(quota_load(maildir, &q), 0);
    assert_int_equal(q.limits.bytes, 1000);
}

static void test_only_what_is_more_needs_room(void **state)
{
    (void)state;
    shell("printf '1000S,2C\n1500 3\n' >maildirsize");
    assert_int_equal(quota_check(maildir, 0, 0), 0);
    assert_int_equal(quota_check(maildir, -100, 0), 0);
    assert_int_equal(quota_check(maildir, 1, 0), -EDQUOT);
    assert_int_equal(quota_check(maildir, -100, 1), -EDQUOT);
}

static void test_what_comes_and_goes_is_counted(void **state)
{
    struct quota q;
    char gone[80];

    (void)state;
    assert_int_equal(quota_load(maildir, &q), -ENOENT);
    assert_int_equal(quota_check(maildir, 1 << 30, 1), 1);
    quota_add(maildir, 5, 1); /* without a quota: nothing */
    assert_int_equal(quota_load(maildir, &q), -ENOENT);

    shell("echo 12345 >cur/1.a,S=40:2, && echo 1 >cur/2.a,S=10:2,");
    shell("printf '100S,3C\\n40 1\\nrubbish\\n-10 x\\n20 1\\n-10 -1\\n' >maildirsize");
    assert_int_equal(quota_load(maildir, &q), 0);
    assert_int_equal(q.bytes, 50);
    assert_int_equal(q.messages, 1);
    quota_add(maildir, 30, 1);
    assert_int_equal(quota_check(maildir, 20, 1), 0);
    /* "full" by several lines is not believed: there are 50 bytes in two files */
    assert_int_equal(quota_check(maildir, 21, 1), 0);
    assert_int_equal(quota_check(maildir, 51, 1), -EDQUOT);
    assert_int_equal(quota_check(maildir, 1, 2), -EDQUOT);
    shell("mkdir gone gone/cur gone/new && echo >gone/cur/3.a,S=30:2, && rm cur/2.a*");
    snprintf(gone, sizeof gone, "%s/gone", maildir);
    quota_gone(maildir, gone);
    assert_int_equal(quota_load(maildir, &q), 0);
    assert_int_equal(q.bytes, 20);
    assert_int_equal(q.messages, 1);
}

static void test_folders_are_counted_when_the_file_is_old_or_long(void **state)
{
    struct quota q;

    (void)state;
    shell("mkdir -p .A/cur .A/new && echo 12345 >cur/1.a.b,S=300:2,S && echo 123 >.A/new/2.b");
    assert_int_equal(quota_set(maildir, &(struct quota_limits){ 1000, 0 }), 0);
    assert_int_equal(quota_load(maildir, &q), 0);
    assert_int_equal(q.bytes, 304);
    shell("printf '1000S\\n999 1\\n' >maildirsize");
    assert_int_equal(quota_check(maildir, 100, 1), -EDQUOT); /* young: believed */
    shell("touch -d '1 hour ago' maildirsize");
    assert_int_equal(quota_check(maildir, 100, 1), 0);

    shell("for i in $(seq 2000); do echo 100 1; done >>maildirsize");
    assert_int_equal(quota_load(maildir, &q), 0);
    assert_int_equal(q.bytes, 304);
    assert_int_equal(q.messages, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits_are_read_as_they_are_written),
        cmocka_unit_test(test_a_rule_of_a_users_file_gives_limits),
        cmocka_unit_test_setup_teardown(test_a_rule_counts_more_than_tables_until_it_is_gone, make, remove_all),
        cmocka_unit_test_setup_teardown(test_only_what_is_more_needs_room, make, remove_all),
        cmocka_unit_test_setup_teardown(test_what_comes_and_goes_is_counted, make, remove_all),
        cmocka_unit_test_setup_teardown(test_folders_are_counted_when_the_file_is_old_or_long, make,
                                        remove_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
