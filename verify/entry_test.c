/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/entry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"

static const struct params params = {
    .address_verify_positive_expire_time = 100,
    .address_verify_positive_refresh_time = 50,
    .address_verify_negative_expire_time = 20,
    .address_verify_negative_refresh_time = 10,
    .address_verify_negative_cache = true,
};

static void test_an_entry_is_read_as_it_was_written_and_nothing_else_is_one(void **state)
{
    static const char *const broken[] = { "", "0", "0:", "x:1:t", "3:1:t", "-1:1:t", "0:x:t", "0:1x:t", "0 :1:t" };
    _cleanup_(entry_done) struct entry e = { ADDRESS_UNDELIVERABLE, 1234, STR_INIT }, got = { 0 };
    _cleanup_(str_free) struct str text = STR_INIT;

    (void)state;
    str_add_str(&e.text, "host [::1] said: 550 a:b");
    entry_print(&e, &text);
    assert_string_equal(str_cstr(&text), "2:1234:host [::1] said: 550 a:b");
    assert_int_equal(entry_parse(str_span(&text), &got), 0);
    assert_int_equal(got.status, ADDRESS_UNDELIVERABLE);
    assert_int_equal(got.updated, 1234);
    assert_string_equal(str_cstr(&got.text), str_cstr(&e.text));
    for (size_t i = 0; i < ARRAY_LEN(broken); i++)
        if (entry_parse(span_of(broken[i]), &got) == 0)
            fail_msg("\"%s\" is taken for an entry", broken[i]);
}

static void test_a_success_lives_longer_than_a_failure(void **state)
{
    struct entry good = { ADDRESS_DELIVERABLE, 1000, STR_INIT }, bad = { ADDRESS_DEFERRED, 1000, STR_INIT };

    (void)state;
    assert_int_equal(entry_expires(&params, &good), 1100);
    assert_int_equal(entry_refreshes(&params, &good), 1050);
    assert_int_equal(entry_expires(&params, &bad), 1020);
    assert_int_equal(entry_refreshes(&params, &bad), 1010);
}

static void test_a_failure_does_not_undo_a_success_before_its_time(void **state)
{
    static const struct {
        enum address_status old, new;
        int64_t after;
        bool replaces;
    } cases[] = {
        { ADDRESS_DELIVERABLE,   ADDRESS_UNDELIVERABLE, 99,  false },
        { ADDRESS_DELIVERABLE,   ADDRESS_DEFERRED,      99,  false },
        { ADDRESS_DELIVERABLE,   ADDRESS_UNDELIVERABLE, 100, true  },
        { ADDRESS_DELIVERABLE,   ADDRESS_DELIVERABLE,   1,   true  },
        { ADDRESS_DEFERRED,      ADDRESS_UNDELIVERABLE, 1,   true  },
        { ADDRESS_UNDELIVERABLE, ADDRESS_DEFERRED,      1,   true  },
        { ADDRESS_UNDELIVERABLE, ADDRESS_DELIVERABLE,   1,   true  },
    };
    struct params without = params;

    (void)state;
    without.address_verify_negative_cache = false;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct entry old = { cases[i].old, 1000, STR_INIT };
        struct entry new = { cases[i].new, 1000 + cases[i].after, STR_INIT };

        if (entry_replaces(&params, &old, &new) != cases[i].replaces)
            fail_msg("row %zu", i);
        if (new.status != ADDRESS_DELIVERABLE)
            assert_false(entry_replaces(&without, &old, &new));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_entry_is_read_as_it_was_written_and_nothing_else_is_one),
        cmocka_unit_test(test_a_success_lives_longer_than_a_failure),
        cmocka_unit_test(test_a_failure_does_not_undo_a_success_before_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
