/* SPDX-License-Identifier: Apache-2.0 */
/* mime_test.c - the tree of parts, whole and broken */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "mail/mime.h"

/* The tree as text: leaves "type/subtype:octets:lines", multiparts "subtype(...)",
messages "message(...)". */
static void describe(const struct mime *m, uint32_t node, struct str *out)
{
    const struct mime_part *p = &m->parts[node];

    if (p->kind == MIME_LEAF) {
        str_addf(out, "%.*s/%.*s:%zu:%u", SPAN_ARG(p->type), SPAN_ARG(p->subtype),
        p->body.len, p->lines);
        return;
    }
    str_add(out, p->kind == MIME_MULTIPART ? p->subtype : p->type);
    str_add_char(out, '(');
    for (uint32_t i = p->first_child; i != MIME_NONE; i = m->parts[i].next) {
        if (i != p->first_child)
            str_add_char(out, ' ');
        describe(m, i, out);
    }
    str_add_char(out, ')');
}

static const struct {
    const char *message;
    size_t depth, parts;
    const char *want;
} cases[] = {
    { "", 10, 10, "text/plain:0:0" },
    { "Subject: a\r\n\r\nhi\r\n", 10, 10, "text/plain:4:1" },
    { "Subject: a\n\nhi\nyou", 10, 10, "text/plain:6:1" },
    { "\r\nhi\r\n", 10, 10, "text/plain:4:1" },
    { "Content-Type: text/html; charset=x\r\n\r\nhi\r\n", 10, 10, "text/html:4:1" },
    { "Content-Type: (c) Text (c) / (d) HTML (e) ; a=b\r\n\r\n", 10, 10, "Text/HTML:0:0" },
    { "Content-Type: nonsense\r\n\r\nx", 10, 10, "text/plain:1:0" },
    { "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n\r\n"
      "--b--\r\nend\r\n", 10, 10,
      "mixed(text/plain:3:0 text/plain:5:1)" },
    /* the boundary in quotes, folded, with padding after the delimiter; LF only */
    { "Content-Type: multipart/mixed;\n boundary=\"a b\"\n\npre\n--a b \t\n\none\n--a b--\n",
      10, 10,
      "mixed(text/plain:3:0)" },
    /* never closed */
    { "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n",
      10, 10, "mixed(text/plain:5:1)" },
    { "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n", 10, 10, "mixed(text/plain:3:0)" },
    { "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", 10, 10, "mixed(text/plain:0:0)" },
    /* no delimiter, no boundary: text that can be read */
    { "Content-Type: multipart/mixed; boundary=b\r\n\r\nhello\r\n", 10, 10, "text/plain:7:1" },
    { "Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\nx\r\n", 10, 10, "text/plain:10:3" },
    { "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b--\r\n", 10, 10, "text/plain:7:1" },
    /* a longer line is no delimiter */
    { "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n--bb\r\n--b--x\r\n--b--\r\n",
      10, 10,
      "mixed(text/plain:12:1)" },
    /* a header cut by a delimiter */
    { "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/x\r\n--b--\r\n",
      10, 10,
      "mixed(text/x:0:0)" },
    /* the outer delimiter ends the inner multipart */
    { "Content-Type: multipart/a; boundary=o\n\n--o\nContent-Type: multipart/b; boundary=i\n\n"
      "--i\n\nx\n--o\n\ny\n--i--\n--o--\n",
      10, 10, "a(b(text/plain:1:0) text/plain:7:1)" },
    /* messages inside */
    { "Content-Type: message/rfc822\n\nSubject: x\n\nhi\n", 10, 10, "message(text/plain:3:1)" },
    { "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeA==\n",
      10, 10,
      "application/octet-stream:17:1" },
    { "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\nhi\n--b--\n", 10, 10,
      "digest(message(text/plain:2:0))" },
    { "Content-Type: message/rfc822\n\nContent-Type: message/rfc822\n\n"
      "Content-Type: message/rfc822\n\na: b\n\nx", 2, 10,
      "message(message(application/octet-stream:7:2))" },
    { "Content-Type: multipart/x; boundary=b\n\n--b\n\n1\n--b\n\n2\n--b\n\n3\n--b--\n", 10, 3,
      "x(text/plain:1:0 text/plain:8:3)" },
    /* a field that is no field does not end the header */
    { "garbage\nContent-Type: text/x\n\nhi", 10, 10, "text/x:2:0" },
};

static void test_the_tree_is_found_whatever_is_broken(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(mime_done) struct mime m = MIME_INIT;
        _cleanup_(str_free) struct str got = STR_INIT;

        mime_parse(span_of(cases[i].message), cases[i].depth, cases[i].parts, NULL, &m);
        describe(&m, 0, &got);
        if (!span_eq_str(str_span(&got), cases[i].want))
            fail_msg("case %zu: got %s, want %s", i, str_cstr(&got), cases[i].want);
    }
}

static void test_a_message_cut_anywhere_has_a_tree(void **state)
{
    struct span whole = span_of(cases[15].message);

    (void)state;
    for (size_t cut = 0; cut <= whole.len; cut++) {
        _cleanup_(mime_done) struct mime m = MIME_INIT;

        mime_parse(span_first(whole, cut), 10, 10, NULL, &m);
        assert_true(m.len >= 1);
        for (size_t i = 0; i < m.len; i++) {
            assert_true(m.parts[i].body.ptr + m.parts[i].body.len <= whole.ptr + cut);
            assert_true(m.parts[i].kind != MIME_MULTIPART || m.parts[i].first_child != MIME_NONE);
        }
    }
}

static void test_parameters_are_read_as_people_write_them(void **state)
{
    static const struct {
        const char *value, *name, *want; /* want NULL: not there */
    } params[] = {
        { "; charset=utf-8", "charset", "utf-8" },
        { " ;Charset = \"a\\\"b\" ; x=y", "CHARSET", "a\"b" },
        { "; name=my file (1).txt ; x=y", "name", "my file" },
        { "; name=my file.txt ; x=y", "x", "y" },
        { "; (comment;) a=b; c=d", "c", "d" },
        { "; a=\"unclosed; b=c", "b", NULL },
        { "; boundary=\"a\r\n b\"", "boundary", "a b" },
        { ";;; =x; y; a=", "a", "" },
        { "", "a", NULL },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(params); i++) {
        _cleanup_(str_free) struct str got = STR_INIT;
        bool found = mime_param_find(span_of(params[i].value), params[i].name, &got);

        if (found != (params[i].want != NULL) || (found && !span_eq_str(str_span(&got),
        params[i].want)))
            fail_msg("case %zu: got %s", i, found ? str_cstr(&got) : "nothing");
    }
}

static void test_transfer_encodings_are_undone_leniently(void **state)
{
    static const struct {
        enum mime_encoding encoding;
        const char *in, *want;
    } texts[] = {
        { MIME_IDENTITY, "a=20", "a=20" },
        { MIME_BASE64, "aGVs\r\nbG8=\r\n", "hello" },
        { MIME_BASE64, "aGVsbG8", "hello" },
        { MIME_BASE64, "aGk=!aGk=", "hihi" },
        { MIME_BASE64, "a", "" },
        { MIME_QUOTED_PRINTABLE, "a=3Db  \r\nc=\r\nd=e=", "a=b\r\ncd=e" },
        { MIME_QUOTED_PRINTABLE, "=zz=4", "=zz=4" },
        { MIME_UNKNOWN, "x", "" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        _cleanup_(str_free) struct str got = STR_INIT;

        mime_decode(span_of(texts[i].in), texts[i].encoding, NULL, &got);
        assert_string_equal(str_cstr(&got), texts[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_tree_is_found_whatever_is_broken),
        cmocka_unit_test(test_a_message_cut_anywhere_has_a_tree),
        cmocka_unit_test(test_parameters_are_read_as_people_write_them),
        cmocka_unit_test(test_transfer_encodings_are_undone_leniently),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
