/* SPDX-License-Identifier: Apache-2.0 */
/* listing_test.c - mailboxes in order, with the parents that they lack; thousands of them cost what sorting costs */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "mailbox/listing.h"

static void done(struct listing *l)
{
    account_list_free(l->items, l->len);
}

static const struct {
    const char *mailboxes, *subscriptions; /* words; subscriptions as the file has them */
    const char *want;
} cases[] = {
    { "INBOX", "", "INBOX;" },
    { "b INBOX a", "a\nc\n", "INBOX;a subscribed;b;c noselect subscribed;" },
    { "INBOX x/y/z x/y/w x!", "", "INBOX;x noselect children;x!;x/y noselect children;x/y/w;x/y/z;" },
    { "INBOX x x/y", "x.q\n", "INBOX;x children;x/q noselect subscribed;x/y;" },
    { "A/b INBOX INBOX/x", "INBOX\n", "INBOX children subscribed;A noselect children;A/b;INBOX/x;" },
    { "INBOX aa/b a/b", "aa\n", "INBOX;a noselect children;a/b;aa noselect children subscribed;aa/b;" },
    { "INBOX", "inbox\nq\nInbox\nq\nINBOX\nr\nq\n", "INBOX subscribed;q noselect subscribed;r noselect subscribed;" },
};

static void test_names_are_sorted_and_parents_and_subscriptions_added(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(done) struct listing l = LISTING_INIT;
        _cleanup_(name_list_done) struct name_list subscribed = { 0 };
        _cleanup_(str_free) struct str text = STR_INIT;
        struct span words = span_of(cases[i].mailboxes), word;

        while (span_word(&words, " ", &word))
            listing_add(&l, mem_dup_span(word));
        subscriptions_parse(span_of(cases[i].subscriptions), &subscribed);
        listing_complete(&l, &subscribed);
        for (size_t k = 0; k < l.len; k++)
            str_addf(&text, "%s%s%s%s;", l.items[k].name, l.items[k].selectable ? "" : " noselect",
                     l.items[k].has_children ? " children" : "", l.items[k].subscribed ? " subscribed" : "");
        assert_string_equal(text.data, cases[i].want);
    }
}

/* What sorting n names takes at most, a few times over: n times the number of its bits. */
static size_t sorting(size_t n, size_t times)
{
    return times * n * (size_t)(64 - __builtin_clzll(n));
}

static void test_the_work_for_thousands_of_names_is_that_of_sorting(void **state)
{
    static const size_t counts[] = { 100, 20000 };
    static const char *const forms[] = { "box%zu", "a/b/c/d/e/box%zu", "p%zu/q/r", "%zu/a" };

    (void)state;
    for (size_t c = 0; c < ARRAY_LEN(counts); c++) {
        for (size_t f = 0; f < ARRAY_LEN(forms); f++) {
            _cleanup_(done) struct listing l = LISTING_INIT;
            _cleanup_(name_list_done) struct name_list subscribed = { 0 };
            _cleanup_(str_free) struct str text = STR_INIT, name = STR_INIT;

            for (size_t i = 0; i < counts[c]; i++) {
                str_reset(&name);
                str_addf(&name, forms[f], i * 7919 % counts[c]); /* in no order */
                if (i % 2 == 0)
                    listing_add(&l, mem_dup_span(str_span(&name)));
                str_addf(&text, "%s\n%s\n", name.data, name.data);
            }
            subscriptions_parse(str_span(&text), &subscribed);
            assert_int_equal(subscribed.len, counts[c]);
            assert_in_range(subscribed.compared, 1, sorting(2 * counts[c], 1));
            listing_complete(&l, &subscribed);
            assert_true(l.len >= counts[c]);
            assert_in_range(l.compared, 1, sorting(l.len, 6));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_sorted_and_parents_and_subscriptions_added),
        cmocka_unit_test(test_the_work_for_thousands_of_names_is_that_of_sorting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
