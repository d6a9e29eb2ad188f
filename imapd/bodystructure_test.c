/* SPDX-License-Identifier: Apache-2.0 */
/* bodystructure_test.c - ENVELOPE, BODYSTRUCTURE and BODY of messages in tests/data/imap, letter by
 * letter */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "bodystructure.h"
#include "envelope.h"
#include "mailbox/lf.h"
#include "reply.h"

#define ADDRESSES_MAX 100

static void read_data(const char *name, const char *suffix, struct str *ret)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    const char *source = getenv("SOURCE_DIR");
    int c;

    str_addf(&path, "%s/tests/data/imap/%s.%s", source ? source : ".", name, suffix);

    FILE *f = fopen(path.data, "r");

    if (!f)
        fail_msg("cannot open %s", path.data);
    while ((c = getc(f)) != EOF)
        str_add_char(ret, (char)c);
    fclose(f);
}

static void describe(struct span message, struct str *out)
{
    _cleanup_(mime_done) struct mime m = MIME_INIT;

    mime_parse(message, 10, 100, NULL, &m);
    str_add_str(out, "ENVELOPE ");
    put_envelope(out, m.parts[0].header, ADDRESSES_MAX);
    str_add_str(out, "\nBODYSTRUCTURE ");
    put_bodystructure(out, &m, BODY_EXTENDED, ADDRESSES_MAX, NULL);
    str_add_str(out, "\nBODY ");
    put_bodystructure(out, &m, BODY_BASIC, ADDRESSES_MAX, NULL);
    str_add_str(out, "\n");
}

static void test_messages_are_described_as_written_down(void **state)
{
    static const char *const names[] = { "plain", "nested", "odd", "broken", "cut", "empty" };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        _cleanup_(str_free) struct str message = STR_INIT, want = STR_INIT, got = STR_INIT;

        read_data(names[i], "eml", &message);
        lf_expand(&message, 0);
        read_data(names[i], "want", &want);
        describe(str_span(&message), &got);
        if (!span_eq(str_span(&got), str_span(&want))) {
            fprintf(stderr, "--- %s\n%s---\n", names[i], got.data);
            fail_msg("%s is not described as in its .want file", names[i]);
        }
    }
}

/* Parentheses, quotes and literals of a response must close, whatever the message was. */
static bool is_balanced(struct span s)
{
    size_t depth = 0;

    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '"') {
            for (i++; i < s.len && s.ptr[i] != '"'; i++)
                i += s.ptr[i] == '\\';
            if (i >= s.len)
                return false;
        } else if (s.ptr[i] == '{') {
            struct span number = span_from(s, i + 1);
            uint64_t n;

            number = span_cut(&number, '}');
            if (span_u64(number, s.len, &n) < 0)
                return false;
            i += number.len + 3 + n;
        } else if (s.ptr[i] == '(') {
            depth++;
        } else if (s.ptr[i] == ')' && depth-- == 0) {
            return false;
        }
    }
    return depth == 0;
}

static void test_a_message_cut_anywhere_is_described_in_good_syntax(void **state)
{
    static const char *const names[] = { "nested", "odd", "cut" };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        _cleanup_(str_free) struct str message = STR_INIT, got = STR_INIT;

        read_data(names[i], "eml", &message);
        lf_expand(&message, 0);
        for (size_t cut = 0; cut < message.len; cut++) {
            str_reset(&got);
            describe(span_first(str_span(&message), cut), &got);
            if (!is_balanced(str_span(&got)))
                fail_msg("%s cut at %zu: %s", names[i], cut, got.data);
        }
    }
}

static void test_strings_are_quoted_or_literal(void **state)
{
    static const struct {
        const char *in;
        size_t len;
        const char *string, *astring;
    } cases[] = {
        { "abc", 3, "\"abc\"", "abc" },
        { "", 0, "\"\"", "\"\"" },
        { "NIL", 3, "\"NIL\"", "\"NIL\"" },
        { "a b", 3, "\"a b\"", "\"a b\"" },
        { "a\"\\", 3, "\"a\\\"\\\\\"", "\"a\\\"\\\\\"" },
        { "\xc3\xa9", 2, "{2}\r\n\xc3\xa9", "{2}\r\n\xc3\xa9" },
        { "a\r\nb", 4, "{4}\r\na\r\nb", "{4}\r\na\r\nb" },
        { "a\0b", 3, "{2}\r\nab", "{2}\r\nab" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str string = STR_INIT, astring = STR_INIT;

        put_string(&string, span_make(cases[i].in, cases[i].len));
        put_astring(&astring, span_make(cases[i].in, cases[i].len));
        assert_string_equal(string.data, cases[i].string);
        assert_string_equal(astring.data, cases[i].astring);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_are_described_as_written_down),
        cmocka_unit_test(test_a_message_cut_anywhere_is_described_in_good_syntax),
        cmocka_unit_test(test_strings_are_quoted_or_literal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
