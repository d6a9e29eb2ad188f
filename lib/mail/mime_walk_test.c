/* SPDX-License-Identifier: Apache-2.0 */
/* mime_walk_test.c - messages that stream by, cut anywhere */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "mail/mime_walk.h"

/* What happened, one letter and the first word each: P M N O fields, E end of header, B body, D delimiter */
struct trace {
    struct str events, text;
};

static void note(struct trace *t, char letter, struct span raw)
{
    struct span word = span_first(raw, 1);

    str_add_char(&t->events, letter);
    if (letter != 'E' && word.len > 0 && word.ptr[0] > ' ')
        str_add(&t->events, word);
    str_add_char(&t->events, ' ');
    str_add(&t->text, raw);
}

static void on_field(void *arg, enum mime_walk_class class, struct span raw)
{
    note(arg, "PMNO"[class], raw);
}

static void on_end(void *arg, const struct mime_walk_entity *entity, struct span empty_line)
{
    struct trace *t = arg;

    str_addf(&t->events, "%c%s%s", "78BX"[entity->encoding], entity->composite ? "c" : "", entity->text ? "t" : "");
    note(t, 'E', empty_line);
}

static void on_body(void *arg, struct span line)
{
    note(arg, 'B', line);
}

static void on_delimiter(void *arg, struct span line)
{
    note(arg, 'D', line);
}

static const struct mime_walk_events events = { on_field, on_end, on_body, on_delimiter };

static void walk(struct span in, size_t cut, struct trace *t)
{
    struct mime_walk w;

    mime_walk_init(&w, &events, t);
    mime_walk_feed(&w, span_first(in, cut));
    mime_walk_feed(&w, span_from(in, cut));
    mime_walk_finish(&w);
    mime_walk_done(&w);
}

static const struct {
    const char *message, *wanted;
} cases[] = {
    { "A: 1\r\nC: 2\r\n  3\r\n\r\nbody\r\n", "PA PC 7tE Bb " },
    { "A: 1\r\nno field\r\nx\r\n", "PA 7tE Bn Bx " },
    { "", "7tE " },
    { "A: 1", "PA 7tE " },
    { " x: 1\r\n\r\n", "7tE B B " },
    { "Content-Transfer-Encoding: 8bit\r\n\r\nx", "MC 8tE Bx " },
    { "Content-Transfer-Encoding: base64\r\nContent-Type: image/png\r\n\r\nx", "MC MC XE Bx " },
    { "Content-Type: multipart/mixed; boundary=b\r\n\r\np\r\n--b\r\nA: 1\r\n\r\nx\r\n--b--\r\ne\r\n",
      "MC 7cE Bp D- MA 7tE Bx D- Be " },
    { "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n--b\r\n\r\n--bx\r\n--b-- \r\n",
      "MC 7cE D- 7tE D- 7tE B- D- " },
    { "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n"
      "--b\r\n\r\ny\r\n--c\r\n",
      "MC 7cE D- MC 7cE D- 7tE Bx D- 7tE By B- " },
    { "Content-Type: message/rfc822\r\n\r\nS: 1\r\nMIME-Version: 1\r\n\r\nx", "MC 7cE NS MM 7tE Bx " },
    { "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nUzog\r\n", "MC MC XE BU " },
    { "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nS: 1\r\n\r\nx\r\n--b--\r\n",
      "MC 7cE D- 7cE NS 7tE Bx D- " },
    { "Content-Type: multipart/mixed\r\n\r\n--b\r\n", "MC 7E B- " },
};

static void test_fields_parts_and_lines_are_found_wherever_the_pieces_are_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct span in = span_of(cases[i].message);

        for (size_t cut = 0; cut <= in.len; cut++) {
            struct trace t = { STR_INIT, STR_INIT };

            walk(in, cut, &t);
            if (strcmp(str_cstr(&t.events), cases[i].wanted) != 0)
                fail_msg("case %zu cut at %zu: %s", i, cut, str_cstr(&t.events));
            assert_true(span_eq(str_span(&t.text), in));
            str_free(&t.events);
            str_free(&t.text);
        }
    }
}

static void test_endless_fields_lines_and_nesting_come_out_as_they_went_in(void **state)
{
    static const char *const pieces[] = { "A: x\r\n b", " ccccccccc\r\n", "ddddddddd",
                                          "Content-Type: message/rfc822\r\n\r\n" };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        _cleanup_(str_free) struct str in = STR_INIT;
        struct trace t = { STR_INIT, STR_INIT };

        str_add_str(&in, "B: x\r\n");
        for (int n = 0; n < 30000; n++)
            str_add_str(&in, pieces[i]);
        walk(str_span(&in), in.len / 2, &t);
        assert_true(span_eq(str_span(&t.text), str_span(&in)));
        str_free(&t.events);
        str_free(&t.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields_parts_and_lines_are_found_wherever_the_pieces_are_cut),
        cmocka_unit_test(test_endless_fields_lines_and_nesting_come_out_as_they_went_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
