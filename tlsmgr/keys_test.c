/* SPDX-License-Identifier: Apache-2.0 */
/* keys_test.c - tests of keys.c: which key is there when */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/secret.h"
#include "tlsmgr/keys.h"

enum { PERIOD = 1000, T0 = 50000 };

static struct ticket_keys ask(struct ring *ring, uint64_t now_ms)
{
    struct ticket_keys keys = { .current = STR_INIT };

    ring_answer(ring, now_ms, &keys);
    return keys;
}

static void done(struct ticket_keys *keys)
{
    secret_free(&keys->current);
    secret_free(&keys->previous);
}

static void test_a_key_is_current_for_a_period_and_opens_tickets_for_another(void **state)
{
    static const struct {
        uint64_t at;            /* after the first question; questions before it are not asked */
        bool first_is_current, first_is_previous;
        uint64_t valid_ms;
    } cases[] = {
        { 0,                true,  false, PERIOD },
        { 400,              true,  false, 600    },
        { PERIOD - 1,       true,  false, 1      },
        { PERIOD,           false, true,  PERIOD },
        { 2 * PERIOD - 1,   false, true,  PERIOD },
        { 2 * PERIOD,       false, false, PERIOD },
        { 100 * PERIOD,     false, false, PERIOD },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ring ring = { .period_ms = PERIOD };
        struct ticket_keys first = ask(&ring, T0), then = ask(&ring, T0 + cases[i].at);
        bool current = span_eq(str_span(&first.current), str_span(&then.current));
        bool previous = span_eq(str_span(&first.current), str_span(&then.previous));

        assert_int_equal(first.current.len, TICKET_KEY_BYTES);
        assert_int_equal(first.previous.len, 0);
        assert_int_equal(then.current.len, TICKET_KEY_BYTES);
        if (current != cases[i].first_is_current || previous != cases[i].first_is_previous ||
            then.valid_ms != cases[i].valid_ms)
            fail_msg("row %zu: %d %d %llu", i, current, previous, (unsigned long long)then.valid_ms);
        done(&first);
        done(&then);
    }
}

static void test_a_forgotten_key_is_overwritten(void **state)
{
    static const char nothing[TICKET_KEY_BYTES];
    struct ring ring = { .period_ms = PERIOD };

    (void)state;
    ring_turn(&ring, T0);
    ring_turn(&ring, T0 + PERIOD);
    assert_true(ring.made[1]);
    ring_turn(&ring, T0 + 10 * PERIOD);
    assert_false(ring.made[1]);
    assert_memory_equal(ring.keys[1], nothing, TICKET_KEY_BYTES);
}

static void test_without_a_period_there_are_no_keys(void **state)
{
    struct ring ring = { .period_ms = 0 };
    struct ticket_keys keys = ask(&ring, T0);

    (void)state;
    assert_int_equal(keys.current.len, 0);
    assert_int_equal(keys.previous.len, 0);
    assert_int_equal(keys.valid_ms, 0);
    done(&keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_key_is_current_for_a_period_and_opens_tickets_for_another),
        cmocka_unit_test(test_a_forgotten_key_is_overwritten),
        cmocka_unit_test(test_without_a_period_there_are_no_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
