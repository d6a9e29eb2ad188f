/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shape_test.c - messages as bytes: what comes out is what went in, and nothing malformed goes in
 */
#include "ipc/shape.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"

struct letter {
    uint32_t weight;
    uint64_t serial;
    char street[8];
    struct str text;
};
IPC_SHAPE(letter, IPC_U32(letter, weight, 100), IPC_U64(letter, serial, UINT64_MAX),
          IPC_STR(letter, street), IPC_DYN(letter, text, 16), );

#define LEN(hex)     "\0\0\0" hex
#define WEIGHT(v, n) "weight\0" LEN(n) v
#define SERIAL(v, n) "serial\0" LEN(n) v
#define STREET(v, n) "street\0" LEN(n) v
#define TEXT(v, n)   "text\0" LEN(n) v
#define GOOD         WEIGHT("7", "\1") SERIAL("9", "\1") STREET("Hill", "\4") TEXT("a\0b", "\3")

static int decode(struct span wire, struct letter *l)
{
    struct span type;
    int r = ipc_decode_type(&wire, &type);

    if (r < 0)
        return r;
    assert_true(span_eq_str(type, "letter"));
    return ipc_decode_fields(wire, &letter_shape, l);
}

static void test_a_message_comes_out_as_it_went_in(void **state)
{
    _cleanup_(str_free) struct str out = STR_INIT;
    _cleanup_(letter_msg_done) struct letter in = { 100, UINT64_MAX, "1234567", STR_INIT },
                                         got = { 0, 0, "", STR_INIT };

    (void)state;
    str_add(&in.text, span_make("x\0\r\ny", 5));
    assert_int_equal(ipc_encode(&letter_shape, &in, &out), 0);
    assert_int_equal(decode(str_span(&out), &got), 0);
    assert_int_equal(got.weight, 100);
    assert_true(got.serial == UINT64_MAX);
    assert_string_equal(got.street, "1234567");
    assert_true(span_eq(str_span(&got.text), str_span(&in.text)));
}

static void test_a_member_out_of_range_is_not_sent(void **state)
{
    _cleanup_(str_free) struct str out = STR_INIT;
    _cleanup_(letter_msg_done) struct letter l = { 101, 0, "", STR_INIT };

    (void)state;
    str_add_str(&out, "before");
    assert_int_equal(ipc_encode(&letter_shape, &l, &out), -EMSGSIZE);
    l.weight = 1;
    memset(l.street, 'x', sizeof l.street);
    assert_int_equal(ipc_encode(&letter_shape, &l, &out), -EMSGSIZE);
    l.street[0] = '\0';
    str_add_str(&l.text, "seventeen letters");
    assert_int_equal(ipc_encode(&letter_shape, &l, &out), -EMSGSIZE);
    assert_string_equal(str_cstr(&out), "before");
}

static void test_a_malformed_message_is_refused(void **state)
{
    static const struct {
        const char *what;
        struct span wire;
        int want;
    } cases[] = {
        { "the good one", SPAN("letter\0" GOOD), 0 },
        { "another order",
          SPAN("letter\0" TEXT("a", "\1") STREET("", "\0") SERIAL("9", "\1") WEIGHT("7", "\1")), 0 },
        { "nothing", SPAN(""), -EPROTO },
        { "no end of the type", SPAN("letter"), -EPROTO },
        { "empty type", SPAN("\0" GOOD), -EPROTO },
        { "no field", SPAN("letter\0"), -EPROTO },
        { "a field missing", SPAN("letter\0" WEIGHT("7", "\1") SERIAL("9", "\1") STREET("Hill", "\4")),
          -EPROTO },
        { "a field twice", SPAN("letter\0" GOOD WEIGHT("7", "\1")), -EPROTO },
        { "an unknown field", SPAN("letter\0" GOOD "colour\0" LEN("\3") "red"), -EPROTO },
        { "an empty name", SPAN("letter\0" GOOD "\0" LEN("\0")), -EPROTO },
        { "too great a number",
          SPAN("letter\0" WEIGHT("101", "\3") SERIAL("9", "\1") STREET("", "\0") TEXT("", "\0")),
          -EPROTO },
        { "a negative number",
          SPAN("letter\0" WEIGHT("-1", "\2") SERIAL("9", "\1") STREET("", "\0") TEXT("", "\0")),
          -EPROTO },
        { "no number",
          SPAN("letter\0" WEIGHT("", "\0") SERIAL("9", "\1") STREET("", "\0") TEXT("", "\0")), -EPROTO },
        { "a number of 65 bits",
          SPAN("letter\0" WEIGHT("1", "\1") SERIAL("18446744073709551616", "\x14") STREET("", "\0")
                   TEXT("", "\0")),
          -EPROTO },
        { "too long a text",
          SPAN("letter\0" WEIGHT("1", "\1") SERIAL("9", "\1") STREET("12345678", "\x08") TEXT("", "\0")),
          -EPROTO },
        { "NUL in a text",
          SPAN("letter\0" WEIGHT("1", "\1") SERIAL("9", "\1") STREET("a\0b", "\3") TEXT("", "\0")),
          -EPROTO },
        { "too long a string",
          SPAN("letter\0" WEIGHT("1", "\1") SERIAL("9", "\1") STREET("", "\0")
                   TEXT("12345678901234567", "\x11")),
          -EPROTO },
        { "a length beyond the end", SPAN("letter\0" GOOD "more\0\xff\xff\xff\xff"), -EPROTO },
        { "half a length", SPAN("letter\0" GOOD "more\0\0\0"), -EPROTO },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(letter_msg_done) struct letter l = { 0, 0, "", STR_INIT };
        int r = decode(cases[i].wire, &l);

        if (r != cases[i].want)
            print_error("%s: %d, wanted %d\n", cases[i].what, r, cases[i].want);
        assert_int_equal(r, cases[i].want);
    }
}

static void test_a_message_cut_anywhere_is_refused(void **state)
{
    static const struct span wire = SPAN("letter\0" GOOD);

    (void)state;
    for (size_t cut = 0; cut < wire.len; cut++) {
        _cleanup_(letter_msg_done) struct letter l = { 0, 0, "", STR_INIT };
        char *copy = mem_dup_span(span_first(wire, cut));  /* so that a sanitizer sees each overrun */

        assert_int_equal(decode(span_make(copy, cut), &l), -EPROTO);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_message_comes_out_as_it_went_in),
        cmocka_unit_test(test_a_member_out_of_range_is_not_sent),
        cmocka_unit_test(test_a_malformed_message_is_refused),
        cmocka_unit_test(test_a_message_cut_anywhere_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
