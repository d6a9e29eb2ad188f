/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heap_test.c - the heap against a sorted array, the hash table against what was put in
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/heap.h"
#include "base/rand.h"

enum { N = 500 };

static void check_order(const struct heap *h)
{
    for (size_t i = 0; i < h->len; i++) {
        assert_int_equal(h->nodes[i]->pos, i + 1);
        if (i > 0)
            assert_true(h->nodes[(i - 1) / 2]->key <= h->nodes[i]->key);
    }
}

static void test_the_smallest_comes_first_whatever_was_moved_or_removed(void **state)
{
    static struct heap_node nodes[N];
    struct heap h = {0};
    uint64_t last = 0;

    (void)state;
    assert_null(heap_min(&h));
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < N; i++) {
            if (rand_below(3) == 0)
                heap_remove(&h, &nodes[i]); /* harmless when it is in none */
            else
                heap_put(&h, &nodes[i], rand_below(100));
        }
        check_order(&h);
    }
    while (h.len > 0) {
        struct heap_node *n = heap_min(&h);

        assert_true(n->key >= last);
        last = n->key;
        heap_remove(&h, n);
        assert_false(heap_has(n));
        check_order(&h);
    }
    heap_done(&h);
}

struct entry {
    struct hash_node node;
    char name[24];
    bool seen;
};

static void test_what_was_put_into_a_hash_is_found_until_removed(void **state)
{
    static struct entry entries[N];
    struct hash h = HASH_INIT;
    size_t n = 0;

    (void)state;
    assert_null(hash_get(&h, span_of("none")));
    assert_null(hash_next(&h, NULL));
    for (size_t i = 0; i < N; i++) {
        snprintf(entries[i].name, sizeof entries[i].name, "name %zu", i);
        entries[i].node.key = span_of(entries[i].name);
        hash_put(&h, &entries[i].node);
    }
    for (size_t i = 0; i < N; i += 2)
        hash_remove(&h, &entries[i].node);
    for (size_t i = 0; i < N; i++) {
        struct entry *e = HASH_ENTRY(hash_get(&h, span_of(entries[i].name)), struct entry, node);

        assert_ptr_equal(e, i % 2 ? &entries[i] : NULL);
    }
    for (struct hash_node *node = hash_next(&h, NULL), *next; node; node = next) {
        struct entry *e = HASH_ENTRY(node, struct entry, node);

        next = hash_next(&h, node);
        assert_false(e->seen);
        e->seen = true;
        hash_remove(&h, node);
        n++;
    }
    assert_int_equal(n, N / 2);
    assert_int_equal(h.len, 0);
    hash_done(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_smallest_comes_first_whatever_was_moved_or_removed),
        cmocka_unit_test(test_what_was_put_into_a_hash_is_found_until_removed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
