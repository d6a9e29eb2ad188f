/* SPDX-License-Identifier: Apache-2.0 */
/* unbinary_test.c - binary parts become base64, and nothing else changes */
#include "mail/unbinary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/own.h"
#include "mail/mime.h"

#define BINARY "Content-Transfer-Encoding: binary\r\n"
#define BASE64 "Content-Transfer-Encoding: base64\r\n"
#define MIXED  "Content-Type: multipart/mixed; boundary=b\r\n"

static const struct {
    const char *what, *in, *want;
} cases[] = {
    { "no MIME", "Subject: x\r\n\r\na\nb\rc\r\n", "Subject: x\r\n\r\na\nb\rc\r\n" },
    { "one binary body with all line ends", BINARY "\r\na\nb\rc\r\n", BASE64 "\r\nYQpiDWMNCg==\r\n" },
    { "an empty message", "", "" },
    { "an empty body", BINARY "\r\n", BASE64 "\r\n" },
    { "a header that does not end", BINARY, BASE64 "\r\n" },
    { "parts", MIXED "\r\npre\r\n--b\r\n" BINARY "\r\na\n\r\n--b\r\n\r\ntext\r\n--b--\r\nepi\n",
      MIXED "\r\npre\r\n--b\r\n" BASE64 "\r\nYQo=\r\n--b\r\n\r\ntext\r\n--b--\r\nepi\n" },
    { "a delimiter after a bare LF, or that ends with one, is content",
      MIXED "\r\n--b\r\n" BINARY "\r\nx\n--b\r\ny\r\n--b\nz\r\n--b--\r\n",
      MIXED "\r\n--b\r\n" BASE64 "\r\neAotLWINCnkNCi0tYgp6\r\n--b--\r\n" },
    { "a delimiter after a bare CR is content", MIXED "\r\n--b\r\n" BINARY "\r\nx\r--b\r\n--b--\r\n",
      MIXED "\r\n--b\r\n" BASE64 "\r\neA0tLWI=\r\n--b--\r\n" },
    { "an empty part keeps its line end", MIXED "\r\n--b\r\n" BINARY "\r\n\r\n--b--\r\n",
      MIXED "\r\n--b\r\n" BASE64 "\r\n\r\n--b--\r\n" },
    { "a part without even that", MIXED "\r\n--b\r\n" BINARY "\r\n--b--\r\n", MIXED "\r\n--b\r\n" BASE64 "\r\n--b--\r\n" },
    { "a multipart that says binary holds 8bit", MIXED BINARY "\r\n--b\r\n\r\nx\r\n--b--",
      MIXED "Content-Transfer-Encoding: 8bit\r\n\r\n--b\r\n\r\nx\r\n--b--" },
    { "a message within", "Content-Type: message/rfc822\r\n" BINARY "\r\nSubject: y\r\n" BINARY "\r\n\n",
      "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: y\r\n" BASE64 "\r\nCg==\r\n" },
    { "the last of two encodings counts", "Content-Transfer-Encoding: 7bit\r\n" BINARY "\r\nx", BASE64 "\r\neA==\r\n" },
    { "so it does here", BINARY "Content-Transfer-Encoding: 7bit\r\n\r\nx",
      BINARY "Content-Transfer-Encoding: 7bit\r\n\r\nx" },
    { "case, blanks and comments", "CONTENT-transfer-encoding:\r\n BINARY (really)\r\n\r\nx", BASE64 "\r\neA==\r\n" },
    { "a part without an end", MIXED "\r\n--b\r\n" BINARY "\r\nx\r\n", MIXED "\r\n--b\r\n" BASE64 "\r\neA0K\r\n" },
    { "lines of the header that end with LF", "Subject: x\n" BINARY "\na", "Subject: x\n" BASE64 "\nYQ==\r\n" },
    { "a body that the header runs into", BINARY "no field\nx", BASE64 "\r\nbm8gZmllbGQKeA==\r\n" },
    { "an outer delimiter ends an inner part",
      MIXED "\r\n--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n" BINARY "\r\nx\r\n--b--\r\n",
      MIXED "\r\n--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n" BASE64 "\r\neA==\r\n--b--\r\n" },
};

static void convert(struct span in, size_t piece, struct str *out)
{
    _cleanup_(unbinary_done) struct unbinary u;

    unbinary_init(&u);
    while (in.len > 0) {
        unbinary_feed(&u, span_first(in, piece), out);
        in = span_from(in, piece < in.len ? piece : in.len);
    }
    unbinary_finish(&u, out);
}

static void test_binary_parts_become_base64_wherever_the_message_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t piece = 1; piece < 100; piece++) {
            _cleanup_(str_free) struct str out = STR_INIT;

            convert(span_of(cases[i].in), piece, &out);
            if (strcmp(str_cstr(&out), cases[i].want) != 0)
                fail_msg("%s, in pieces of %zu: %s", cases[i].what, piece, str_cstr(&out));
        }
    }
}

/* Every byte value, long stretches without LF, and CR LF where pieces of a long line meet */
static void test_a_large_binary_part_comes_back_byte_for_byte(void **state)
{
    _cleanup_(str_free) struct str in = STR_INIT, data = STR_INIT, out = STR_INIT, back = STR_INIT;
    struct mime tree = MIME_INIT;

    (void)state;
    for (size_t i = 0; i < 3 * MIME_WALK_LINE_MAX; i++)
        str_add_char(&data, i % 7919 == 0 ? '\n' : (char)(i * 31 + i / 256));
    for (size_t i = 0; i < MIME_WALK_LINE_MAX - 1; i++)
        str_add_char(&data, '\0');
    str_add_str(&data, "\r\n\r--b\n--b\r");
    str_add_str(&in, MIXED "\r\n--b\r\n" BINARY "\r\n");
    str_add(&in, str_span(&data));
    str_add_str(&in, "\r\n--b--\r\n");
    convert(str_span(&in), 4096, &out);
    assert_true(span_find(str_span(&out), span_make("\0", 1)) < 0);

    mime_parse(str_span(&out), 10, 10, NULL, &tree);
    assert_int_equal(tree.len, 2);
    mime_decode(tree.parts[1].body, MIME_BASE64, NULL, &back);
    assert_true(span_eq(str_span(&back), str_span(&data)));
    mime_done(&tree);
}

static void test_a_header_of_many_encodings_does_not_fill_memory(void **state)
{
    _cleanup_(str_free) struct str out = STR_INIT;
    _cleanup_(unbinary_done) struct unbinary u;

    (void)state;
    unbinary_init(&u);
    for (int i = 0; i < 100000; i++)
        unbinary_feed(&u, span_of(BINARY), &out);
    assert_in_range(u.encoding_fields.len, 1, MIME_WALK_FIELD_MAX);
    unbinary_finish(&u, &out);
    assert_string_equal(str_cstr(&out), BASE64 "\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_binary_parts_become_base64_wherever_the_message_is_cut),
        cmocka_unit_test(test_a_large_binary_part_comes_back_byte_for_byte),
        cmocka_unit_test(test_a_header_of_many_encodings_does_not_fill_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
