/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fields_test.c - what filters do to a header stays within the fields they name
 */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "cleanup/fields.h"

#define SECTION "Received: ours\r\nReceived: theirs\r\nSubject: a\r\n b\r\nX: 1\r\nx: 2\r\n"

enum op { ADD, INSERT, CHANGE, DELETE };

static void a_change_gives_the_header_that_was_asked_for(void **state)
{
    static const struct {
        enum op op;
        uint32_t n;
        const char *name, *value;
        int result;
        const char *want;
    } cases[] = {
        { ADD, 0, "Y", "v", 0, SECTION "Y: v\r\n" },
        { ADD, 0, "Y", "v\n\tw", 0, SECTION "Y: v\r\n\tw\r\n" },
        { ADD, 0, "Y", "v\r\nBcc: x", 0, SECTION "Y: v\r\n\tBcc: x\r\n" },
        { ADD, 0, "Y", "v\n\nbody", 0, SECTION "Y: v\r\n\t\r\n\tbody\r\n" },
        { ADD, 0, "Y", "a\rb", 0, SECTION "Y: ab\r\n" },
        { ADD, 0, "Y", "", 0, SECTION "Y: \r\n" },
        { ADD, 0, "", "v", -EINVAL, SECTION },
        { ADD, 0, "Y:", "v", -EINVAL, SECTION },
        { ADD, 0, "Y\r\nZ", "v", -EINVAL, SECTION },
        { INSERT, 0, "Y", "v", 0, "Y: v\r\n" SECTION },
        { INSERT, 1, "Y", "v", 0,
          "Received: ours\r\nY: v\r\nReceived: theirs\r\nSubject: a\r\n b\r\nX: 1\r\nx: 2\r\n" },
        { INSERT, UINT32_MAX, "Y", "v", 0, SECTION "Y: v\r\n" },
        { CHANGE, 1, "received", "new", 0,
          "Received: ours\r\nreceived: new\r\nSubject: a\r\n b\r\nX: 1\r\nx: 2\r\n" },
        { CHANGE, 2, "X", "new", 0,
          "Received: ours\r\nReceived: theirs\r\nSubject: a\r\n b\r\nX: 1\r\nX: new\r\n" },
        { CHANGE, 0, "Subject", "s", 0,
          "Received: ours\r\nReceived: theirs\r\nSubject: s\r\nX: 1\r\nx: 2\r\n" },
        { CHANGE, 3, "X", "3", 0, SECTION "X: 3\r\n" },
        { CHANGE, 2, "Received", "r", 0, SECTION "Received: r\r\n" },
        { DELETE, 1, "Subject", "", 0, "Received: ours\r\nReceived: theirs\r\nX: 1\r\nx: 2\r\n" },
        { DELETE, 2, "X", "", 0, "Received: ours\r\nReceived: theirs\r\nSubject: a\r\n b\r\nX: 1\r\n" },
        { DELETE, 3, "X", "", 0, SECTION },
        { DELETE, 2, "Received", "", 0, SECTION },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(fields_done) struct fields f = { 0 };
        _cleanup_(str_free) struct str got = STR_INIT;
        struct span name = span_of(cases[i].name), value = span_of(cases[i].value);
        int r = 0;

        fields_parse(span_of(SECTION), 0, &f);
        switch (cases[i].op) {
        case ADD:
            r = fields_add(&f, name, value, FIELDS_ADD_BLANK);
            break;
        case INSERT:
            r = fields_insert(&f, cases[i].n, name, value, FIELDS_ADD_BLANK);
            break;
        case CHANGE:
            r = fields_change(&f, cases[i].n, name, value, FIELDS_ADD_BLANK);
            break;
        case DELETE:
            fields_delete(&f, cases[i].n, name);
            break;
        }
        fields_join(&f, &got);
        if (r != cases[i].result || strcmp(str_cstr(&got), cases[i].want) != 0)
            fail_msg("case %zu: %d\n%s", i, r, str_cstr(&got));
        assert_int_equal(f.bytes, got.len);
    }
}

static void our_own_received_field_is_not_shown(void **state)
{
    static const struct {
        const char *name, *value;
    } want[] = {
        { "Received", " theirs" }, { "Subject", " a\r\n b" }, { "X", " 1" }, { "x", " 2" },
    };
    _cleanup_(fields_done) struct fields f = { 0 };
    struct span name, value;

    (void)state;
    fields_parse(span_of(SECTION), 0, &f);
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_true(fields_get(&f, i, &name, &value));
        assert_true(span_eq_str(name, want[i].name));
        assert_true(span_eq_str(value, want[i].value));
    }
    assert_false(fields_get(&f, ARRAY_LEN(want), &name, &value));
}

static void a_section_that_grows_without_end_is_refused(void **state)
{
    _cleanup_(fields_done) struct fields f = { 0 };
    static char value[65536];
    int r = 0;

    (void)state;
    memset(value, 'x', sizeof(value));
    for (int i = 0; i < 1000 && r == 0; i++)
        r = fields_add(&f, span_of("X"), span_make(value, sizeof(value)), FIELDS_ADD_BLANK);
    assert_int_equal(r, -E2BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_gives_the_header_that_was_asked_for),
        cmocka_unit_test(our_own_received_field_is_not_shown),
        cmocka_unit_test(a_section_that_grows_without_end_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
