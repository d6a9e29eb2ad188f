/* SPDX-License-Identifier: Apache-2.0 */
/* preview_test.c - the first words of a message */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "preview.h"

static void preview(const char *message, struct str *ret)
{
    _cleanup_(mime_done) struct mime m = MIME_INIT;

    mime_parse(span_of(message), 10, 10, NULL, &m);
    preview_make(&m, ret);
    str_cstr(ret);
}

static void test_the_preview_is_the_first_text(void **state)
{
    static const struct {
        const char *in, *want;
    } cases[] = {
        { "\r\n", "" },
        { "Subject: a\r\n\r\n  Hello,\r\n\r\n\tyou  there \r\n", "Hello, you there" },
        { "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
          "=C4pfel\r\n", "\303\204pfel" },
        { "Content-Type: text/html\r\n\r\n<html><head><title>t</title></head><style>p {}</style>"
          "<p>One&nbsp;&amp; <b>two</b>&#33;<!-- > no --><script>x()</script>&bogus; 3 < 4",
          "One & two ! &bogus; 3" },
        { "Content-Type: text/html\r\n\r\n<style>never closed", "" },
        { "Content-Type: text/html\r\n\r\nGr&uuml;&szlig;e, &Auml;pfel&nbsp;&ndash; 5&#x20AC; &rsquo;&zwnj;&#x27;",
          "Gr\303\274\303\237e, \303\204pfel \342\200\223 5\342\202\254 \342\200\231\342\200\214'" },
        { "Content-Type: text/html\r\n\r\n&#xx; &#9999999; &#55296; &#", "&#xx; &#9999999; &#55296; &#" },
        { "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\nhtml\r\n"
          "--b\r\nContent-Type: text/plain\r\n\r\nplain\r\n--b--\r\n", "plain" },
        { "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n \r\n"
          "--b\r\nContent-Type: text/html\r\n\r\n<i>html</i>\r\n--b--\r\n", "html" },
        { "Content-Type: image/png\r\n\r\nx", "" },
        { "\r\na\377b\001c", "a\357\277\275b c" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str got = STR_INIT;

        preview(cases[i].in, &got);
        if (strcmp(str_cstr(&got), cases[i].want) != 0)
            fail_msg("row %zu: %s", i, got.data);
    }
}

static void test_the_preview_has_at_most_200_characters(void **state)
{
    _cleanup_(str_free) struct str in = STR_INIT, got = STR_INIT;

    (void)state;
    str_add_str(&in, "\r\n");
    for (int i = 0; i < 300; i++)
        str_add_str(&in, "\303\244");
    preview(str_cstr(&in), &got);
    assert_int_equal(got.len, 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_preview_is_the_first_text),
        cmocka_unit_test(test_the_preview_has_at_most_200_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
