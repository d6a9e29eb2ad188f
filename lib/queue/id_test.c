/* SPDX-License-Identifier: Apache-2.0 */
/*
 * id_test.c - queue ids are valid, unlike each other, in the order of time, and tell it
 */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>

#include "base/clock.h"
#include "base/mem.h"
#include "queue/queue.h"

static void test_ids_made_in_a_burst_differ_and_sort_in_the_order_they_were_made(void **state)
{
    char before[QUEUE_ID_MAX + 1], id[QUEUE_ID_MAX + 1];

    (void)state;
    queue_id_new(before);
    for (int i = 0; i < 10000; i++) {
        queue_id_new(id);
        assert_true(strcmp(before, id) < 0);
        memcpy(before, id, sizeof before);
    }
}

static void test_an_id_carries_the_time_it_was_made(void **state)
{
    char id[QUEUE_ID_MAX + 1];
    int64_t start = clock_real_us(), us = 0;

    (void)state;
    queue_id_new(id);
    assert_true(queue_id_valid(span_of(id)));
    assert_int_equal(strlen(id), 16);
    assert_int_equal(queue_id_time(span_of(id), &us), 0);
    assert_in_range(us, start, clock_real_us() + 20000);
}

static void test_only_letters_and_digits_are_a_valid_id(void **state)
{
    static const struct {
        const char *id;
        bool valid;
    } cases[] = {
        {"4cK9vQ1zRmz1234",                  true },
        {"A1B2C3",                           true },
        {"0123456789012345678901234567890",  true },
        {"01234567890123456789012345678901", false},
        {"",                                 false},
        {".",                                false},
        {"..",                               false},
        {".4cK9vQ1zRmz1234",                 false},
        {"4cK9/vQ1",                         false},
        {"4cK9 vQ1",                         false},
        {"4cK9\xc3\xa4",                     false},
        {"-",                                false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (queue_id_valid(span_of(cases[i].id)) != cases[i].valid)
            fail_msg("id \"%s\"", cases[i].id);
    assert_false(queue_id_valid(span_make("ab\0cd", 5)));
}

static void test_an_id_of_another_form_has_no_time(void **state)
{
    static const char *const cases[] = {
        "A1B2C3D4E5",
        "z",
        "000000000z1234",
        "AEIOUAEIOUz1234",
        "zzzzzzzzzzzzzzzzzzzzzzzzzzzz1",
        "0000000000",
        "BBBBBBzzzzz1234",
        "",
    };
    int64_t us = 77;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (queue_id_time(span_of(cases[i]), &us) != -EINVAL || us != 77)
            fail_msg("id \"%s\"", cases[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_made_in_a_burst_differ_and_sort_in_the_order_they_were_made),
        cmocka_unit_test(test_an_id_carries_the_time_it_was_made),
        cmocka_unit_test(test_only_letters_and_digits_are_a_valid_id),
        cmocka_unit_test(test_an_id_of_another_form_has_no_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
