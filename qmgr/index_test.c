/* SPDX-License-Identifier: Apache-2.0 */
/* index_test.c - messages by id, and visits in pieces while messages come and go */
#include "qmgr/index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "qmgr/message.h"

#define MANY 5000

static struct message *make(struct index *ix, unsigned n)
{
    struct message *m = mem_calloc(1, sizeof *m + 32);

    snprintf(m->id, 32, "4cK9vQ1z%u", n);
    index_put(ix, m);
    return m;
}

static void drop(struct index *ix, struct message *m)
{
    index_remove(ix, m);
    free(m);
}

static unsigned number_of(const struct message *m)
{
    uint32_t n = UINT32_MAX;

    span_u32(span_of(m->id + 8), UINT32_MAX, &n);
    return n;
}

static void test_what_was_put_is_found_and_what_was_removed_is_not(void **state)
{
    struct index ix = { 0 };
    struct message *made[MANY];

    (void)state;
    assert_null(index_get(&ix, span_of("4cK9vQ1z0")));
    for (unsigned i = 0; i < MANY; i++)
        made[i] = make(&ix, i);
    for (unsigned i = 0; i < MANY; i += 2)
        drop(&ix, made[i]);
    assert_int_equal(ix.len, MANY / 2);
    for (unsigned i = 0; i < MANY; i++) {
        char id[32];

        snprintf(id, sizeof id, "4cK9vQ1z%u", i);
        assert_ptr_equal(index_get(&ix, span_of(id)), i % 2 ? made[i] : NULL);
    }
    assert_null(index_get(&ix, span_of("4cK9vQ1z")));
    for (unsigned i = 1; i < MANY; i += 2)
        drop(&ix, made[i]);
    index_done(&ix);
}

static void test_a_visit_sees_what_is_there_all_the_time_exactly_once(void **state)
{
    struct index ix = { 0 };
    static unsigned seen[4 * MANY];
    struct message *made[4 * MANY];
    unsigned n = MANY;

    (void)state;
    for (unsigned i = 0; i < MANY; i++)
        made[i] = make(&ix, i);
    index_begin_visit(&ix);
    for (size_t slot = 0; slot < ix.n_slots; slot++) {
        for (const struct message *m = index_slot(&ix, slot); m; m = m->next)
            seen[number_of(m)]++;
        if (n < ARRAY_LEN(made)) { /* others come meanwhile */
            made[n] = make(&ix, n);
            n++;
        }
    }
    index_end_visit(&ix);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(seen[i], 1);
    for (unsigned i = MANY; i < n; i++)
        assert_true(seen[i] <= 1);
    for (unsigned i = 0; i < n; i++)
        drop(&ix, made[i]);
    index_done(&ix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_put_is_found_and_what_was_removed_is_not),
        cmocka_unit_test(test_a_visit_sees_what_is_there_all_the_time_exactly_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
