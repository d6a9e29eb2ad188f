/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listing_test.c - packed listings come back as they were, and nothing else is taken
 */
#include "queue/listing.h"

#include <errno.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "ipc/msg_queue.h"

static const struct listed_message message = {
    .state = QUEUE_STATE_HOLD, .expire = true, .arrival = 1767225600, .size = INT64_MAX, .n_rcpts = 1,
    .id = SPAN("4fXkBr6Nq3z1C"), .sender = SPAN("a b@c.test"),
};
static const struct listed_rcpt rcpt = { .address = SPAN("x@y.test"), .reason = SPAN("timed out") };

static void test_records_come_back_as_they_were(void **state)
{
    _cleanup_(str_free) struct str s = STR_INIT;
    struct listed_message m;
    struct listed_rcpt r;

    (void)state;
    listing_put_message(&s, &message);
    listing_put_rcpt(&s, &rcpt);
    struct span in = str_span(&s);

    assert_int_equal(listing_take_message(&in, &m), 0);
    assert_int_equal(m.state, message.state);
    assert_true(m.expire);
    assert_int_equal(m.arrival, message.arrival);
    assert_int_equal(m.size, message.size);
    assert_int_equal(m.n_rcpts, 1);
    assert_true(span_eq(m.id, message.id));
    assert_true(span_eq(m.sender, message.sender));
    assert_int_equal(listing_take_rcpt(&in, &r), 0);
    assert_true(span_eq(r.address, rcpt.address));
    assert_int_equal(r.orig.len, 0);
    assert_true(span_eq(r.reason, rcpt.reason));
    assert_int_equal(in.len, 0);
}

static void test_a_record_that_is_cut_anywhere_is_refused(void **state)
{
    _cleanup_(str_free) struct str s = STR_INIT;
    struct listed_message m;
    struct listed_rcpt r;

    (void)state;
    listing_put_message(&s, &message);
    for (size_t len = 0; len < s.len; len++) {
        struct span in = span_first(str_span(&s), len);

        assert_int_equal(listing_take_message(&in, &m), -EPROTO);
    }
    str_reset(&s);
    listing_put_rcpt(&s, &rcpt);
    for (size_t len = 0; len < s.len; len++) {
        struct span in = span_first(str_span(&s), len);

        assert_int_equal(listing_take_rcpt(&in, &r), -EPROTO);
    }
}

static void test_what_is_out_of_range_is_refused(void **state)
{
    static const struct span bad[] = {
        SPAN("\x05\0\0\0\0\1A\0"),                                           /* no such state */
        SPAN("\0\2\0\0\0\1A\0"),                                             /* no boolean */
        SPAN("\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\0\0\1A\0"),         /* beyond 63 bits */
        SPAN("\0\0\0\0\xff\xff\xff\x7f\1A\0"),                               /* so many recipients */
        SPAN("\0\0\0\0\0\1/\0"),                                             /* no queue id */
    };
    struct listed_message m;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct span in = bad[i];

        if (listing_take_message(&in, &m) != -EPROTO)
            fail_msg("row %zu", i);
    }
}

static void test_a_long_reason_is_cut(void **state)
{
    _cleanup_(str_free) struct str s = STR_INIT, reason = STR_INIT;
    struct listed_rcpt r;

    (void)state;
    while (reason.len < 3 * LISTING_REASON)
        str_add_str(&reason, "and so on ");
    listing_put_rcpt(&s, &(struct listed_rcpt){ .reason = str_span(&reason) });
    struct span in = str_span(&s);

    assert_int_equal(listing_take_rcpt(&in, &r), 0);
    assert_int_equal(r.reason.len, LISTING_REASON);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_come_back_as_they_were),
        cmocka_unit_test(test_a_record_that_is_cut_anywhere_is_refused),
        cmocka_unit_test(test_what_is_out_of_range_is_refused),
        cmocka_unit_test(test_a_long_reason_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
