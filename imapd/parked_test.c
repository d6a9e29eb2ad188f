/* SPDX-License-Identifier: Apache-2.0 */
/* parked_test.c - a session's state comes back as it was, and nothing else is believed */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "parked.h"

static void encode(struct str *bytes)
{
    struct seqrange saved[] = { { 3, 5 }, { 9, 9 } };
    struct imap s = { .condstore = true, .utf8 = true, .saved = { .items = saved, .len = 2, .cap = 2 }, .keywords_told = 3, .bad_commands = 2, .hidden = 1ull << 41 };

    s.stats.in = 1;
    s.stats.body_bytes = UINT64_MAX;
    str_add_str(&s.tag, "a17");
    parked_encode(&s, true, bytes);
    str_free(&s.tag);
}

static void test_every_part_comes_back(void **state)
{
    _cleanup_(str_free) struct str bytes = STR_INIT;
    struct parked p;

    (void)state;
    encode(&bytes);
    assert_int_equal(parked_decode(str_span(&bytes), &p), 0);
    assert_true(p.idling && p.condstore && p.utf8 && !p.rev2 && !p.qresync && !p.selected);
    assert_int_equal(p.keywords_told, 3);
    assert_int_equal(p.bad_commands, 2);
    assert_true(p.hidden == 1ull << 41);
    assert_int_equal(p.stats.in, 1);
    assert_int_equal(p.stats.out, 0);
    assert_true(p.stats.body_bytes == UINT64_MAX);
    assert_true(span_eq_str(p.tag, "a17"));
    assert_int_equal(p.saved.len, 2);
    assert_int_equal(p.saved.items[0].to, 5);
    seqset_done(&p.saved);
}

static void test_a_state_that_was_touched_anywhere_cut_or_lengthened_is_refused(void **state)
{
    _cleanup_(str_free) struct str bytes = STR_INIT;
    struct parked p;

    (void)state;
    encode(&bytes);
    for (size_t i = 0; i < bytes.len; i++) {
        bytes.data[i] ^= 0x10;
        assert_int_equal(parked_decode(str_span(&bytes), &p), -EBADMSG);
        bytes.data[i] ^= 0x10;
        assert_int_equal(parked_decode(span_first(str_span(&bytes), i), &p), -EBADMSG);
    }
    str_add_char(&bytes, 'x');
    assert_int_equal(parked_decode(str_span(&bytes), &p), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_part_comes_back),
        cmocka_unit_test(test_a_state_that_was_touched_anywhere_cut_or_lengthened_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
