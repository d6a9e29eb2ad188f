/* SPDX-License-Identifier: Apache-2.0 */
#include "anvil/places.h"

#include <stdarg.h> /* cmocka.h needs these before it */
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/mem.h"

static size_t len(struct places *p, const char *protocol, const char *user, const char *client)
{
    struct group *g = group_hold(p, protocol, span_of(user), client);
    size_t n = g->len;

    group_release(g);
    return n;
}

static bool add(struct front *f, uint64_t id, const char *protocol, const char *user, const char *client)
{
    struct group *g = group_hold(f->places, protocol, span_of(user), client);
    bool added = place_add(f, id, g);

    group_release(g);
    return added;
}

static void test_sessions_are_counted_by_protocol_user_and_address_over_all_fronts(void **state)
{
    static const struct {
        int front;
        uint64_t id;
        const char *protocol, *user, *client;
        size_t count;
    } rows[] = {
        { 0, 1, "imap", "ann@a.test", "192.0.2.1", 1 },
        { 1, 1, "imap", "ann@a.test", "192.0.2.1", 2 },      /* another front's numbers are its own */
        { 0, 2, "pop3", "ann@a.test", "192.0.2.1", 1 },
        { 0, 3, "imap", "ann@a.test", "192.0.2.2", 1 },
        { 0, 4, "imap", "bob@a.test", "192.0.2.1", 1 },
        { 0, 5, "imap", "192.0.2.1 ann@a.test", "192.0.2.1", 1 },
        { 0, 6, "imap", "", "192.0.2.1", 1 },
        { 1, 7, "imap", "ann@a.test", "192.0.2.1", 3 },
    };
    struct places *p = places_new();
    struct front fronts[2];

    (void)state;
    for (int i = 0; i < 2; i++)
        front_init(&fronts[i], p, &fronts[i]);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_true(add(&fronts[rows[i].front], rows[i].id, rows[i].protocol, rows[i].user, rows[i].client));
        if (len(p, rows[i].protocol, rows[i].user, rows[i].client) != rows[i].count)
            fail_msg("row %zu: %zu", i, len(p, rows[i].protocol, rows[i].user, rows[i].client));
    }
    for (int i = 0; i < 2; i++)
        front_done(&fronts[i]);
    places_free(p);
}

static void test_a_front_ends_only_its_own_sessions_and_all_of_them_when_it_goes(void **state)
{
    struct places *p = places_new();
    struct front a, b;
    void *owners[4];

    (void)state;
    front_init(&a, p, &a);
    front_init(&b, p, &b);
    assert_true(add(&a, 1, "imap", "u", "c"));
    assert_true(add(&a, 2, "imap", "u", "c"));
    assert_true(add(&b, 3, "imap", "u", "c"));
    assert_false(add(&a, 2, "imap", "other", "c"));         /* a number that it has given already */
    place_remove(&b, 1);
    place_remove(&b, 99);
    assert_int_equal(len(p, "imap", "u", "c"), 3);

    struct group *g = group_hold(p, "imap", span_of("u"), "c");
    assert_int_equal(group_owners(g, owners, ARRAY_LEN(owners)), 2);
    assert_int_equal(group_owners(g, owners, 1), 1);
    front_done(&a);
    assert_int_equal(g->len, 1);
    assert_int_equal(group_owners(g, owners, ARRAY_LEN(owners)), 1);
    assert_ptr_equal(owners[0], &b);
    place_remove(&b, 3);
    assert_int_equal(g->len, 0);                            /* held, it stays without members */
    assert_true(place_add(&b, 4, g));
    group_release(g);
    assert_int_equal(len(p, "imap", "u", "c"), 1);
    front_done(&b);
    assert_int_equal(len(p, "imap", "u", "c"), 0);
    places_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sessions_are_counted_by_protocol_user_and_address_over_all_fronts),
        cmocka_unit_test(test_a_front_ends_only_its_own_sessions_and_all_of_them_when_it_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
