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

static void test_what_comes_and_goes_is_counted(void **state)
{
    struct quota q;

    (void)state;
    assert_int_equal(quota_load(maildir, &q), -ENOENT);
    assert_int_equal(quota_check(maildir, 1 << 30, 1), 1);
    quota_add(maildir, 5, 1); /* without a quota: nothing */
    assert_int_equal(quota_load(maildir, &q), -ENOENT);

    shell("printf '100S,3C\\n40 1\\nrubbish\\n-10 x\\n20 1\\n-10 -1\\n' >maildirsize");
    assert_int_equal(quota_load(maildir, &q), 0);
    assert_int_equal(q.bytes, 50);
    assert_int_equal(q.messages, 1);
    quota_add(maildir, 30, 1);
    assert_int_equal(quota_check(maildir, 20, 1), 0);
    assert_int_equal(quota_check(maildir, 21, 1), -EDQUOT);
    assert_int_equal(quota_check(maildir, 1, 2), -EDQUOT);
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
        cmocka_unit_test_setup_teardown(test_what_comes_and_goes_is_counted, make, remove_all),
        cmocka_unit_test_setup_teardown(test_folders_are_counted_when_the_file_is_old_or_long, make,
                                        remove_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
