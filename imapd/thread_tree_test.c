/* SPDX-License-Identifier: Apache-2.0 */
/* thread_tree_test.c - threads by subject and by references */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "thread_tree.h"

#define MAILS_MAX 12

/* A line for each message: "date subject id references", "-" for nothing; "r:" in front of the subject: a reply */
static size_t read_mails(const char *text, struct thread_mail *mails)
{
    struct span in = span_of(text), word;
    size_t n = 0;

    while (in.len > 0) {
        struct span line = span_cut(&in, '\n');
        struct thread_mail *m = &mails[n++];
        uint64_t date = 0;

        *m = (struct thread_mail){ .number = (uint32_t)n };
        span_word(&line, " ", &word);
        assert_int_equal(span_u64(word, 1000, &date), 0);
        m->date = (int64_t)date;
        span_word(&line, " ", &word);
        m->is_reply = span_take_nocase(&word, "r:");
        m->subject = span_eq_str(word, "-") ? SPAN_NULL : word;
        span_word(&line, " ", &word);
        m->id = span_eq_str(word, "-") ? SPAN_NULL : word;
        span_word(&line, " ", &word);
        m->references = span_eq_str(word, "-") ? SPAN_NULL : word;
    }
    return n;
}

typedef void algorithm(const struct thread_mail *mails, size_t n, struct str *ret);

static void check(algorithm *run, const char *in, const char *want)
{
    struct thread_mail mails[MAILS_MAX];
    _cleanup_(str_free) struct str got = STR_INIT;

    run(mails, read_mails(in, mails), &got);
    if (!span_eq_str(str_span(&got), want))
        fail_msg("%s\nwanted %s\ngot    %s", in, want, str_cstr(&got));
}

static void test_references_make_the_threads_of_rfc_5256(void **state)
{
    static const struct {
        const char *in, *want;
    } cases[] = {
        { "", "" },
        { "1 a <1> -", "(1)" },
        { "1 a <1> -\n2 b <2> <1>\n3 c <3> <1><2>", "(1 2 3)" },
        { "1 a <1> -\n2 b <2> <1>\n3 c <3> <1>", "(1 (2)(3))" },
        { "1 a <1> -\n3 b <2> <1>\n2 c <3> <1>", "(1 (3)(2))" },          /* by date */
        { "3 a <1> -\n2 b <2> -\n1 c <3> -", "(3)(2)(1)" },
        { "2 a <1> <x>\n1 b <2> <x>", "((2)(1))" },                       /* the parent is missing */
        { "1 a <1> <x>", "(1)" },                                         /* ... and has one child */
        { "1 a <1> <x><y>\n2 b <2> <x><y>\n3 c <3> <x>", "((1)(2)(3))" }, /* an inner dummy goes */
        { "1 a <1> <2>\n2 b <2> <1>", "(2 1)" },                          /* a loop: the later link is not made */
        { "1 a <1> <1>", "(1)" },
        { "1 a <1> -\n2 b <1> -\n3 c <3> <1>", "(1 3)(2)" },              /* of two with one id the first has it */
        { "1 a - -\n2 b - -", "(1)(2)" },
        { "1 a <1> <3>\n2 b <2> -\n3 c <3> <2>", "(2 3 1)" },
        { "1 a <3> -\n2 b <4> <1><2><3>", "(1 2)" },                      /* its own lack of references counts */
        /* subjects */
        { "1 a <1> -\n2 r:a <2> -", "(1 2)" },
        { "1 r:a <1> -\n2 a <2> -", "(2 1)" },
        { "1 a <1> -\n2 a <2> -", "((1)(2))" },
        { "1 r:a <1> -\n2 r:a <2> -\n3 r:a <3> -", "((1)(2)(3))" },
        { "1 - <1> -\n2 - <2> -", "(1)(2)" },
        { "1 a <1> <x>\n2 b <2> <x>\n3 a <3> -", "((1)(2)(3))" },
        { "1 a <1> <x>\n2 b <2> <x>\n3 a <3> <y>\n4 c <4> <y>", "((1)(2)(3)(4))" },
        { "1 a <1> -\n2 a <2> -\n3 r:a <3> -", "((1)(2)(3))" },
        { "5 a <1> -\n6 r:a <2> -\n1 b <3> -", "(3)(1 2)" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check(thread_references, cases[i].in, cases[i].want);
}

static void test_ordered_subject_has_one_level_below_the_first(void **state)
{
    static const struct {
        const char *in, *want;
    } cases[] = {
        { "", "" },
        { "1 a - -\n2 b - -\n3 a - -\n4 a - -", "(1 (3)(4))(2)" },
        { "3 a - -\n2 b - -\n1 a - -", "(3 1)(2)" },
        { "1 - - -\n2 - - -", "(1 2)" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check(thread_ordered_subject, cases[i].in, cases[i].want);
}

static void test_ids_are_found_in_what_people_write(void **state)
{
    static const struct {
        const char *in;
        size_t max;
        const char *want;
    } cases[] = {
        { " <a@b> <c@d>", 9, "<a@b><c@d>" },
        { "<a@b>\r\n\t<c\r\n @d>", 9, "<a@b><c@d>" },
        { "your mail of Monday <a@b> (x)", 9, "<a@b>" },
        { "<a><b><c>", 2, "<b><c>" },
        { "<a><b", 9, "<a>" },
        { "<><a>", 9, "<a>" },
        { "none", 9, "" },
        { "<a><b>", 0, "" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str got = STR_INIT;

        str_add_str(&got, "<before>");
        thread_ids(span_of(cases[i].in), cases[i].max, &got);
        assert_string_equal(str_cstr(&got) + 8, cases[i].want);
    }
}

/* As long as no stack could bear it */
static void test_a_thread_may_be_as_deep_as_the_mailbox_is_long(void **state)
{
    enum { N = 100000 };
    struct thread_mail *mails = mem_new_n(struct thread_mail, N);
    _cleanup_(str_free) struct str ids = STR_INIT, got = STR_INIT;

    (void)state;
    for (size_t i = 0; i < N; i++)
        str_addf(&ids, "<%06zu>", i);
    for (size_t i = 0; i < N; i++)
        mails[i] = (struct thread_mail){ .number = (uint32_t)i + 1, .date = (int64_t)i,
                                         .id = span_make(ids.data + 8 * i, 8),
                                         .references = span_make(ids.data + 8 * (i - (i > 0)), i > 0 ? 8 : 0) };
    thread_references(mails, N, &got);
    assert_true(span_starts(str_span(&got), span_of("(1 2 3 4 ")));
    assert_int_equal(span_chr(str_span(&got), ')'), (ptrdiff_t)got.len - 1);
    free(mails);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_references_make_the_threads_of_rfc_5256),
        cmocka_unit_test(test_ordered_subject_has_one_level_below_the_first),
        cmocka_unit_test(test_ids_are_found_in_what_people_write),
        cmocka_unit_test(test_a_thread_may_be_as_deep_as_the_mailbox_is_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
