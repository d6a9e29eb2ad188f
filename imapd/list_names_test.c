/* SPDX-License-Identifier: Apache-2.0 */
/* list_names_test.c - what LIST could name, and which names have something of interest below them */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "list_names.h"

static const struct {
    const char *mailboxes;      /* in order; "+" in front: subscribed */
    const char *noted;          /* names that tell their parents */
    const char *want;           /* "-": has no mailbox; "*": has something below */
} cases[] = {
    { "INBOX A A/b", "A/b", "A* A/b INBOX " },
    { "INBOX +A/b/c", "A/b/c", "A-* A/b-* A/b/c INBOX " },
    { "INBOX +A/b/c +A/b/d +A/e", "", "A- A/b- A/b/c A/b/d A/e INBOX " },
    { "INBOX +a/x +ab/x", "ab/x", "INBOX a- a/x ab-* ab/x " },
    { "INBOX +a/b/c +a/b/d", "a/b/d a/b/c", "INBOX a-* a/b-* a/b/c a/b/d " },
    { "INBOX a/b/c", "a/b/c INBOX", "INBOX a/b/c " },
};

static size_t make_infos(struct span words, struct mailbox_info *ret)
{
    struct span word;
    size_t n = 0;

    while (span_word(&words, " ", &word)) {
        bool subscribed = word.ptr[0] == '+';

        ret[n++] = (struct mailbox_info){ .name = mem_dup_span(span_from(word, subscribed)), .subscribed = subscribed };
    }
    return n;
}

static void note(struct list_names *l, struct span words)
{
    struct span word;

    while (span_word(&words, " ", &word))
        for (size_t i = 0; i < l->len; i++)
            if (span_eq(l->items[i].name, word))
                list_names_note_below(l, &l->items[i]);
}

static void test_parents_are_named_and_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(list_names_done) struct list_names l = LIST_NAMES_INIT;
        _cleanup_(str_free) struct str got = STR_INIT;
        struct mailbox_info infos[10];
        size_t n = make_infos(span_of(cases[i].mailboxes), infos);

        list_names_make(&l, infos, n);
        note(&l, span_of(cases[i].noted));
        for (size_t k = 0; k < l.len; k++)
            str_addf(&got, "%.*s%s%s ", SPAN_ARG(l.items[k].name), l.items[k].info ? "" : "-",
                     l.items[k].has_below ? "*" : "");
        assert_string_equal(got.data, cases[i].want);
        while (n > 0)
            free(infos[--n].name);
    }
}

/* n names: each a child of the one before it, all side by side, or all in one mailbox */
static struct mailbox_info *many(size_t n, const char *form)
{
    struct mailbox_info *infos = mem_calloc(n, sizeof *infos);

    for (size_t i = 0; i < n; i++) {
        _cleanup_(str_free) struct str name = STR_INIT;

        str_addf(&name, form, (unsigned)(i / 1000), (unsigned)(i % 1000));
        infos[i] = (struct mailbox_info){ .name = str_take(&name), .subscribed = true };
    }
    return infos;
}

static void test_the_work_for_thousands_of_names_is_that_of_sorting(void **state)
{
    static const char *const forms[] = { "box%03u%03u", "a/b/c/d/e/%03u%03u", "p%03u%03u/q/r", "%03u/%03u" };
    static const size_t n = 20000;

    (void)state;
    for (size_t f = 0; f < ARRAY_LEN(forms); f++) {
        _cleanup_(list_names_done) struct list_names l = LIST_NAMES_INIT;
        struct mailbox_info *infos = many(n, forms[f]);

        list_names_make(&l, infos, n);
        assert_true(l.len >= n);
        for (size_t i = 0; i < l.len; i++)
            list_names_note_below(&l, &l.items[i]);
        /* sorted once, and at most two looks at a parent for each name */
        assert_in_range(l.compared, 1, 3 * l.len * (size_t)(64 - __builtin_clzll(l.len)));
        account_list_free(infos, n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parents_are_named_and_told),
        cmocka_unit_test(test_the_work_for_thousands_of_names_is_that_of_sorting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
