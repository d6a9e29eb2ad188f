/* SPDX-License-Identifier: Apache-2.0 */
/* queue_print_test.c - the listings byte for byte as scripts expect them */
#include "cli/queue_print.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/own.h"

#define S(text) { .data = (char *)(text), .len = sizeof(text) - 1 }

static struct queue_item_rcpt three[] = {
    { .address = S("bob@example.org") },
    { .address = S("carl@example.net"), .orig = S("c@example.net"), .reason = S("connect to mx: Connection refused") },
    { .address = S("dora@example.net") },
};
static const struct queue_item deferred = {
    .state = QUEUE_STATE_DEFERRED,
    .id = "4cK9vQ1zRmz3Dx",
    .arrival = 1762178709,
    .size = 2111,
    .sender = S("ann@example.com"),
    .n_rcpts = 3,
    .rcpts = three,
};
static struct queue_item_rcpt odd[] = { { .address = S("\x1b[31m\"q\"@example.org") } };
static const struct queue_item held = {
    .state = QUEUE_STATE_HOLD,
    .id = "4cK9vQ1zRmz3Dy",
    .arrival = 1762178709,
    .size = 1000,
    .forced_expire = true,
    .n_rcpts = 1,
    .rcpts = odd,
};

static int utc(void **state)
{
    (void)state;
    return setenv("TZ", "UTC", 1);
}

static void test_postqueue_p_has_the_columns_of_long_ids(void **state)
{
    _cleanup_(str_free) struct str s = STR_INIT;
    struct queue_totals totals = { 0 };

    (void)state;
    queue_print_text(&s, &deferred, "MAILER-DAEMON", &totals);
    queue_print_text(&s, &held, "MAILER-DAEMON", &totals);
    queue_print_text_end(&s, &totals);
    assert_string_equal(str_cstr(&s),
                        "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------\n"
                        "4cK9vQ1zRmz3Dx        2111 Mon Nov  3 14:05:09 ann@example.com\n"
                        "                                               bob@example.org\n"
                        "                                           (connect to mx: Connection refused)\n"
                        "                                               carl@example.net\n"
                        "                                                          (reason unavailable)\n"
                        "                                               dora@example.net\n"
                        "\n"
                        "4cK9vQ1zRmz3Dy!#      1000 Mon Nov  3 14:05:09 MAILER-DAEMON\n"
                        "                                               ?[31m\"q\"@example.org\n"
                        "\n"
                        "-- 3 Kbytes in 2 Requests.\n");
}

static void test_an_empty_queue_says_so(void **state)
{
    _cleanup_(str_free) struct str s = STR_INIT;
    struct queue_totals totals = { 0 };

    (void)state;
    queue_print_text_end(&s, &totals);
    assert_string_equal(str_cstr(&s), "Mail queue is empty\n");
}

static void test_postqueue_j_has_the_keys_in_order(void **state)
{
    _cleanup_(str_free) struct str s = STR_INIT;

    (void)state;
    queue_print_json(&s, &deferred, "MAILER-DAEMON");
    queue_print_json(&s, &held, "MAILER-DAEMON");
    assert_string_equal(
        str_cstr(&s),
        "{\"queue_name\": \"deferred\", \"queue_id\": \"4cK9vQ1zRmz3Dx\", \"arrival_time\": 1762178709, "
        "\"message_size\": 2111, \"forced_expire\": false, \"sender\": \"ann@example.com\", \"recipients\": "
        "[{\"orig_address\": \"bob@example.org\", \"address\": \"bob@example.org\"}, "
        "{\"orig_address\": \"c@example.net\", \"address\": \"carl@example.net\", "
        "\"delay_reason\": \"connect to mx: Connection refused\"}, "
        "{\"orig_address\": \"dora@example.net\", \"address\": \"dora@example.net\"}]}\n"
        "{\"queue_name\": \"hold\", \"queue_id\": \"4cK9vQ1zRmz3Dy\", \"arrival_time\": 1762178709, "
        "\"message_size\": 1000, \"forced_expire\": true, \"sender\": \"MAILER-DAEMON\", \"recipients\": "
        "[{\"orig_address\": \"\\u001b[31m\\\"q\\\"@example.org\", \"address\": \"\\u001b[31m\\\"q\\\"@example.org\"}]}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_postqueue_p_has_the_columns_of_long_ids),
        cmocka_unit_test(test_an_empty_queue_says_so),
        cmocka_unit_test(test_postqueue_j_has_the_keys_in_order),
    };
    return cmocka_run_group_tests(tests, utc, NULL);
}
