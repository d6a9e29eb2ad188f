/* SPDX-License-Identifier: Apache-2.0 */
/* delivery_line_test.c - delays and the line as log analysers expect them */
#include "queue/delivery_line.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"

static void test_delays_have_two_significant_digits(void **state)
{
    static const struct {
        int64_t us;
        int resolution;
        const char *want;
    } rows[] = {
        {0,         2, "0"       },
        {4000,      2, "0"       },
        {5000,      2, "0.01"    },
        {34000,     2, "0.03"    },
        {100000,    2, "0.1"     },
        {148000,    2, "0.15"    },
        {999999,    2, "1"       },
        {1240000,   2, "1.2"     },
        {2000000,   2, "2"       },
        {9960000,   2, "10"      },
        {12600000,  2, "13"      },
        {122000000, 2, "122"     },
        {-5,        2, "0"       },
        {1260000,   0, "1"       },
        {34567,     6, "0.035"   },
        {345,       6, "0.00035" },
        {7,         6, "0.000007"},
        {250000,    1, "0.3"     },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_(str_free) struct str s = STR_INIT;

        delivery_delay_add(&s, rows[i].us, rows[i].resolution);
        if (strcmp(str_cstr(&s), rows[i].want) != 0)
            fail_msg("row %zu: %s, wanted %s", i, str_cstr(&s), rows[i].want);
    }
}

static void test_the_line_has_the_keys_in_the_known_order(void **state)
{
    _cleanup_(str_free) struct str s = STR_INIT;
    struct delivery_line l = {
        .queue_id = "4cK9vQ1zRm",
        .to = SPAN("ann@example.com"),
        .orig = SPAN("a\n@example.com"),
        .relay = SPAN("mx1.example.com[192.0.2.7]:25"),
        .conn_use = 2,
        .times = {1000000, 1100000, 1100000, 1500000, 1800000},
        .resolution = 2,
        .dsn = "2.0.0",
        .status = outcome_status_name(OUTCOME_SENT),
        .text = SPAN("250 ok"),
    };

    (void)state;
    delivery_line_add(&s, &l);
    assert_string_equal(str_cstr(&s), "4cK9vQ1zRm: to=<ann@example.com>, orig_to=<\"a?\"@example.com>, "
                                      "relay=mx1.example.com[192.0.2.7]:25, conn_use=2, delay=0.8, "
                                      "delays=0.1/0/0.4/0.3, dsn=2.0.0, status=sent (250 ok)");
}

static void test_steps_that_were_not_reached_take_no_time(void **state)
{
    _cleanup_(str_free) struct str s = STR_INIT;
    struct delivery_line l = {
        .queue_id = "A",
        .to = SPAN("ann@example.com"),
        .orig = SPAN("ann@example.com"),
        .relay = SPAN("none"),
        .times = {.arrival_us = 1000000,
                  .active_us = 1100000,
                  .handoff_us = 1200000,
                  .done_us = 3200000},
        .resolution = 2,
        .dsn = "4.4.1",
        .status = outcome_status_name(OUTCOME_DEFERRED),
        .text = SPAN("connect to mx: timed out"),
    };

    (void)state;
    delivery_line_add(&s, &l);
    assert_string_equal(str_cstr(&s),
                        "A: to=<ann@example.com>, relay=none, delay=2.2, delays=0.1/0.1/2/0, "
                        "dsn=4.4.1, status=deferred (connect to mx: timed out)");
}

static void test_local_parts_are_quoted_where_they_need_it(void **state)
{
    _cleanup_(str_free) struct str s = STR_INIT;
    const struct delivery_line l = {
        .queue_id = "A",
        .to = SPAN("a b>, status=sent@example.com"),
        .orig = SPAN("a\"b@example.com"),
        .relay = SPAN("none"),
        .dsn = "2.0.0",
        .status = "sent",
    };

    (void)state;
    delivery_line_add(&s, &l);
    assert_string_equal(str_cstr(&s),
                        "A: to=<\"a b>, status=sent\"@example.com>, orig_to=<\"a\\\"b\"@example.com>, relay=none, "
                        "delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent ()");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delays_have_two_significant_digits),
        cmocka_unit_test(test_the_line_has_the_keys_in_the_known_order),
        cmocka_unit_test(test_local_parts_are_quoted_where_they_need_it),
        cmocka_unit_test(test_steps_that_were_not_reached_take_no_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
