/* SPDX-License-Identifier: Apache-2.0 */
/* kept_test.c - records come back as they were made, or not at all */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <errno.h>

#include "base/own.h"
#include "kept.h"

static const struct kept sample = {
    SPAN("(NIL \"hello\" NIL NIL NIL NIL NIL NIL NIL NIL)"),
    SPAN("Subject: hello\r\nTo: a@example.com,\r\n b@example.com\r\n"),
    SPAN("(\"text\" \"plain\" NIL NIL NIL \"7bit\" 3 1 NIL NIL NIL NIL)"),
    SPAN("hello"),
    SPAN("0123456789abcdef"),
};

static void test_a_record_comes_back_as_it_was_made(void **state)
{
    _cleanup_(str_free) struct str bytes = STR_INIT;
    struct kept k, half = sample;

    (void)state;
    kept_encode(&sample, 5, &bytes);
    assert_int_equal(kept_decode(str_span(&bytes), 5, &k), 0);
    assert_true(span_eq(k.envelope, sample.envelope));
    assert_true(span_eq(k.header, sample.header));
    assert_true(span_eq(k.structure, sample.structure));
    assert_true(span_eq(k.preview, sample.preview));
    assert_true(span_eq(k.email_id, sample.email_id));

    half.structure = half.header = half.email_id = SPAN_NULL;
    half.preview.len = 0;
    kept_encode(&half, 5, &bytes);
    assert_int_equal(kept_decode(str_span(&bytes), 5, &k), 0);
    assert_null(k.structure.ptr);
    assert_null(k.email_id.ptr);
    assert_non_null(k.preview.ptr);
    assert_int_equal(k.preview.len, 0);
    half.preview = SPAN_NULL;
    kept_encode(&half, 5, &bytes);
    assert_int_equal(kept_decode(str_span(&bytes), 5, &k), 0);
    assert_null(k.preview.ptr);
    assert_int_equal(k.header.len, 0);
}

static void test_a_record_made_under_other_limits_does_not_count(void **state)
{
    _cleanup_(str_free) struct str bytes = STR_INIT;
    struct kept k;

    (void)state;
    kept_encode(&sample, 5, &bytes);
    assert_int_equal(kept_decode(str_span(&bytes), 6, &k), -EBADMSG);
}

static void test_every_flipped_bit_and_every_cut_is_noticed(void **state)
{
    _cleanup_(str_free) struct str bytes = STR_INIT;
    struct kept k;

    (void)state;
    kept_encode(&sample, 5, &bytes);
    for (size_t bit = 0; bit < bytes.len * 8; bit++) {
        bytes.data[bit / 8] = (char)(bytes.data[bit / 8] ^ 1 << bit % 8);
        assert_int_equal(kept_decode(str_span(&bytes), 5, &k), -EBADMSG);
        bytes.data[bit / 8] = (char)(bytes.data[bit / 8] ^ 1 << bit % 8);
    }
    for (size_t n = 0; n < bytes.len; n++)
        assert_int_equal(kept_decode(span_first(str_span(&bytes), n), 5, &k), -EBADMSG);
}

static void test_only_wanted_fields_are_kept_with_all_their_lines(void **state)
{
    _cleanup_(str_free) struct str out = STR_INIT;

    (void)state;
    kept_header(span_of("Received: from x\r\n by y\r\nSUBJECT: a\r\n b\r\nno field\r\nX-Spam: "
                        "1\r\nTo: c\r\n\r\n"),
                &out);
    assert_string_equal(str_cstr(&out), "SUBJECT: a\r\n b\r\nTo: c\r\n");
    str_reset(&out);
    kept_header(span_of("Subject: cut off"), &out);
    assert_string_equal(str_cstr(&out), "Subject: cut off\r\n");
    assert_true(kept_field(span_of("message-id")));
    assert_false(kept_field(span_of("Received")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_record_comes_back_as_it_was_made),
        cmocka_unit_test(test_a_record_made_under_other_limits_does_not_count),
        cmocka_unit_test(test_every_flipped_bit_and_every_cut_is_noticed),
        cmocka_unit_test(test_only_wanted_fields_are_kept_with_all_their_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
