/* SPDX-License-Identifier: Apache-2.0 */
/* digest_test.c - packing and unpacking, and that nothing shared is left behind */
#include "qmgr/digest.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct queue_rcpt rcpt_of(const char *address, const char *orig, const char *text)
{
    return (struct queue_rcpt){ .address = (char *)address, .orig = (char *)orig,
                                .text = (char *)text, .state = RCPT_DEFERRED };
}

static void assert_rcpt(const struct digests *ds, struct digest_view *v, const char *address,
                        const char *orig, const char *text)
{
    _cleanup_(str_free) struct str a = STR_INIT, reason = STR_INIT;
    struct digest_rcpt r;

    assert_true(digest_next(v, &r));
    digest_add_address(ds, &r, &a);
    digest_add_reason(ds, &r, &reason);
    assert_string_equal(str_cstr(&a), address);
    assert_string_equal(str_cstr(&reason), text);
    assert_true(span_eq_str(r.orig, orig));
}

static void assert_nothing_left(const struct digests *ds)
{
    assert_int_equal(ds->domains.by_text.len, 0);
    assert_int_equal(ds->reasons.by_text.len, 0);
}

static void digests_done(struct digests *ds)
{
    names_done(&ds->domains);
    names_done(&ds->reasons);
}

static void test_what_goes_in_comes_out(void **state)
{
    struct digests ds = { NAMES_INIT, NAMES_INIT };
    struct queue_rcpt rcpts[] = {
        rcpt_of("ann@example.com", NULL, "host mx said: 450 <ann@example.com>: greylisted, ann@example.com"),
        rcpt_of("bob@example.com", "b@old.example", "host mx said: 450 <bob@example.com>: greylisted, bob@example.com"),
        rcpt_of("\"a@b\"@example.org", NULL, NULL),
        rcpt_of("root", NULL, "a \1 in it"),
        rcpt_of("gone@example.com", NULL, "sent"),
    };
    struct queue_envelope e = { .sender = (char *)"list@a.test", .rcpts = rcpts,
                                .n_rcpts = ARRAY_LEN(rcpts), .content_size = 123456789,
                                .arrival_us = 1800000000123456, .expire = false };
    _cleanup_(str_free) struct str sender = STR_INIT;
    struct digest_view v;
    struct digest_rcpt r;

    (void)state;
    rcpts[4].state = RCPT_SENT;
    struct digest *d = digest_new(&ds, &e);

    digest_set_expire(d);
    digest_open(&ds, d, &v, &sender);
    assert_string_equal(str_cstr(&sender), "list@a.test");
    assert_true(v.expire && !v.partial);
    assert_int_equal(v.arrival, 1800000000);
    assert_int_equal(v.size, 123456789);
    assert_int_equal(v.n_rcpts, 4);
    assert_int_equal(ds.reasons.by_text.len, 1); /* the same but for the address */
    assert_rcpt(&ds, &v, "ann@example.com", "", rcpts[0].text);
    assert_rcpt(&ds, &v, "bob@example.com", "b@old.example", rcpts[1].text);
    assert_rcpt(&ds, &v, "\"a@b\"@example.org", "", "");
    assert_rcpt(&ds, &v, "root", "", "");
    assert_false(digest_next(&v, &r));
    digest_free(&ds, d);
    assert_nothing_left(&ds);
    digests_done(&ds);
}

static void test_many_recipients_are_left_in_the_file(void **state)
{
    struct digests ds = { NAMES_INIT, NAMES_INIT };
    static struct queue_rcpt rcpts[1000];
    struct queue_envelope e = { .sender = (char *)"", .rcpts = rcpts, .n_rcpts = 1000 };
    _cleanup_(str_free) struct str sender = STR_INIT;
    struct digest_view v;
    struct digest_rcpt r;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rcpts); i++)
        rcpts[i] = rcpt_of("ann@example.com", NULL, "busy");
    struct digest *d = digest_new(&ds, &e);

    digest_open(&ds, d, &v, &sender);
    assert_int_equal(sender.len, 0);
    assert_true(v.partial);
    assert_int_equal(v.n_rcpts, 1000);
    assert_false(digest_next(&v, &r));
    digest_free(&ds, d);
    assert_nothing_left(&ds);
    digests_done(&ds);
}

static void test_reasons_without_end_do_not_fill_the_memory(void **state)
{
    struct digests ds = { NAMES_INIT, NAMES_INIT };
    static struct digest *made[70000];
    _cleanup_(str_free) struct str sender = STR_INIT;
    struct digest_view v;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(made); i++) {
        char text[64];
        struct queue_rcpt rcpt = rcpt_of("ann@example.com", NULL, text);
        struct queue_envelope e = { .sender = (char *)"x@a.test", .rcpts = &rcpt, .n_rcpts = 1 };

        snprintf(text, sizeof text, "busy (id %zu)", i);
        made[i] = digest_new(&ds, &e);
    }
    assert_int_equal(ds.reasons.by_text.len, 65536);
    digest_open(&ds, made[69999], &v, &sender);
    assert_true(v.partial);
    for (size_t i = 0; i < ARRAY_LEN(made); i++)
        digest_free(&ds, made[i]);
    assert_nothing_left(&ds);
    digests_done(&ds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_goes_in_comes_out),
        cmocka_unit_test(test_many_recipients_are_left_in_the_file),
        cmocka_unit_test(test_reasons_without_end_do_not_fill_the_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
