/* SPDX-License-Identifier: Apache-2.0 */
/* header_test.c - tests of header.c and header_decode.c */
#include "mail/header.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/own.h"

static const struct {
    const char *in;
    const char *want; /* "name=value;" for each field, then "|", then what is left */
} sections[] = {
    { "A: 1\r\nB: 2\r\n\r\nbody", "A= 1;B= 2;|body" },
    { "A: 1\nB: 2\n\nbody", "A= 1;B= 2;|body" },
    { "A: 1\r\n\t2\r\n 3\r\nB:\r\n\r\n", "A= 1\r\n\t2\r\n 3;B=;|" },
    { "A \t: 1\r\n\r\n", "A= 1;|" },
    { "A: 1\r\nno field\r\nB: 2\r\n", "A= 1;|no field\r\nB: 2\r\n" },
    { "\r\nbody", "|body" },
    { " folded first\r\nA: 1\r\n", "| folded first\r\nA: 1\r\n" },
    { ": empty name\r\n", "|: empty name\r\n" },
    { "A\x01: x\r\n", "|A\x01: x\r\n" },
    { "A: no line end", "A= no line end;|" },
    { "A:b:c\r\n", "A=b:c;|" },
    { "", "|" },
};

static void test_fields_are_taken_off_until_the_section_ends(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        _cleanup_(str_free) struct str got = STR_INIT;
        struct span in = span_of(sections[i].in);
        struct header_field f;

        while (header_next(&in, 1000, &f) == 1)
            str_addf(&got, SPAN_FMT "=" SPAN_FMT ";", SPAN_ARG(f.name), SPAN_ARG(f.value));
        str_add_char(&got, '|');
        str_add(&got, in);
        if (!span_eq_str(str_span(&got), sections[i].want))
            fail_msg("%s: %s", sections[i].in, str_cstr(&got));
    }
}

static void test_a_field_over_the_limit_is_cut_and_the_next_one_found(void **state)
{
    (void)state;
    struct span in = span_of("Abc: 12345\r\n 6789\r\nB: 2\r\n");
    struct header_field f;

    assert_int_equal(header_next(&in, 7, &f), -EMSGSIZE);
    assert_true(span_eq_str(f.name, "Abc"));
    assert_true(span_eq_str(f.value, " 12"));
    assert_true(span_eq_str(f.raw, "Abc: 12345\r\n 6789\r\n"));
    assert_int_equal(header_next(&in, 7, &f), 1);
    assert_true(span_eq_str(f.name, "B"));
}

static void test_a_field_is_found_whatever_its_case(void **state)
{
    (void)state;
    struct span value;
    struct span header = span_of("A: 1\r\nMessage-ID: <x>\r\nmessage-id: <y>\r\n\r\nTo: body\r\n");

    assert_true(header_find(header, "message-id", &value));
    assert_true(span_eq_str(value, " <x>"));
    assert_false(header_find(header, "To", &value));
}

static const struct {
    const char *value, *want;
} words[] = {
    { " plain", " plain" },
    { "=?utf-8?Q?B=C3=BCro_1?=", "B\xc3\xbcro 1" },
    { "=?UTF-8?B?QsO8cm8=?= x", "B\xc3\xbcro x" },
    { "=?UTF-8?B?QsO8cm8?= x", "B\xc3\xbcro x" }, /* without its padding */
    { "=?UTF-8?B?QsO8c?= x", "=?UTF-8?B?QsO8c?= x" },
    { "=?utf-8?Q?a?= =?utf-8?Q?b?=", "ab" },
    { "=?utf-8?Q?a?=\r\n =?utf-8?Q?b?= c", "ab c" },
    { "=?utf-8?Q?=C3?= =?utf-8?Q?=BC?=", "\xc3\xbc" }, /* cut within a character */
    { "=?iso-8859-1?Q?=FC?= =?utf-8?Q?=C3=BC?=", "\xc3\xbc\xc3\xbc" },
    { "=?utf-8*en?Q?a?=", "a" },
    { "x =?utf-8?Q?a?= y", "x a y" },
    { "=?no-such-charset?Q?a?= b", "=?no-such-charset?Q?a?= b" },
    { "=?utf-8?Q?=FF?=", "=?utf-8?Q?=FF?=" },
    { "=?utf-8?B?!!?=", "=?utf-8?B?!!?=" },
    { "=?utf-8?X?a?=", "=?utf-8?X?a?=" },
    { "=?utf-8?Q?a", "=?utf-8?Q?a" },
    { "=?=?=?", "=?=?=?" },
    { "=?utf-8?Q?a=?=", "a=" },
    { "a\r\n b\x01", "a b " },
    { "", "" },
};

static void test_encoded_words_become_utf_8_or_stay_as_they_are(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        _cleanup_(str_free) struct str got = STR_INIT;

        header_decode(span_of(words[i].value), &got);
        if (!span_eq_str(str_span(&got), words[i].want))
            fail_msg("%s: %s", words[i].value, str_cstr(&got));
    }
}

static void test_a_field_of_undecodable_words_takes_linear_time(void **state)
{
    (void)state;
    _cleanup_(str_free) struct str value = STR_INIT;
    _cleanup_(str_free) struct str got = STR_INIT;

    for (int i = 0; i < 20000; i++)
        str_add_str(&value, "=?x?Q?a?= ");

    clock_t start = clock(); /* CPU time: others may be at work */

    header_decode(str_span(&value), &got);
    assert_int_equal(got.len, value.len);
    assert_true(clock() - start < 2 * CLOCKS_PER_SEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields_are_taken_off_until_the_section_ends),
        cmocka_unit_test(test_a_field_over_the_limit_is_cut_and_the_next_one_found),
        cmocka_unit_test(test_a_field_is_found_whatever_its_case),
        cmocka_unit_test(test_encoded_words_become_utf_8_or_stay_as_they_are),
        cmocka_unit_test(test_a_field_of_undecodable_words_takes_linear_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
