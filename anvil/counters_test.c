/* SPDX-License-Identifier: Apache-2.0 */
#include "anvil/counters.h"

#include <stdarg.h> /* cmocka.h needs these before it */
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"

enum { WINDOW = 60000 };

static struct anvil_counts count(struct caller *caller, enum anvil_kind kind, const char *client, uint64_t now)
{
    struct anvil_event ev = { .kind = kind, .service = "smtp" };

    snprintf(ev.client, sizeof ev.client, "%s", client);
    return counters_event(caller, &ev, now);
}

static void test_each_event_moves_its_own_counts(void **state)
{
    static const struct {
        enum anvil_kind kind;
        const char *client;
        uint64_t at;
        uint32_t connections, rate;
    } steps[] = {
        { ANVIL_CONNECT, "192.0.2.1", 0, 1, 1 },
        { ANVIL_CONNECT, "192.0.2.1", 10, 2, 2 },
        { ANVIL_CONNECT, "192.0.2.2", 10, 1, 1 },
        { ANVIL_DISCONNECT, "192.0.2.1", 20, 1, 2 },
        { ANVIL_CONNECT, "192.0.2.1", 30, 2, 3 },
        { ANVIL_MESSAGE, "192.0.2.1", 30, 2, 1 },
        { ANVIL_MESSAGE, "192.0.2.1", 30, 2, 2 },
        { ANVIL_RCPT, "192.0.2.1", 30, 2, 1 },
        { ANVIL_AUTH, "192.0.2.1", 30, 2, 1 },
        { ANVIL_LOOK_NEWTLS, "192.0.2.1", 30, 2, 0 },
        { ANVIL_NEWTLS, "192.0.2.1", 30, 2, 1 },
        { ANVIL_LOOK_NEWTLS, "192.0.2.1", 30, 2, 1 },
        { ANVIL_CONNECT, "192.0.2.1", WINDOW - 1, 3, 4 },
        { ANVIL_CONNECT, "192.0.2.1", WINDOW, 4, 1 },         /* a new window: rates begin anew */
        { ANVIL_MESSAGE, "192.0.2.1", WINDOW, 4, 1 },
        { ANVIL_RESUME, "192.0.2.1", WINDOW, 5, 1 },
        { ANVIL_DISCONNECT, "192.0.2.3", WINDOW, 0, 0 },      /* never connected */
    };
    struct counters *c = counters_new(WINDOW);
    struct caller *caller = caller_new(c);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        struct anvil_counts got = count(caller, steps[i].kind, steps[i].client, steps[i].at);

        if (got.connections != steps[i].connections || got.rate != steps[i].rate)
            fail_msg("row %zu: %u connections, rate %u", i, got.connections, got.rate);
    }
    caller_free(caller);
    counters_free(c);
}

static void test_the_connections_of_a_dead_server_end_with_it_and_no_others(void **state)
{
    struct counters *c = counters_new(WINDOW);
    struct caller *a = caller_new(c), *b = caller_new(c);

    (void)state;
    count(a, ANVIL_CONNECT, "192.0.2.1", 0);
    count(a, ANVIL_CONNECT, "192.0.2.1", 0);
    assert_int_equal(count(b, ANVIL_CONNECT, "192.0.2.1", 0).connections, 3);
    count(b, ANVIL_DISCONNECT, "192.0.2.1", 0);
    assert_int_equal(count(b, ANVIL_DISCONNECT, "192.0.2.1", 0).connections, 2); /* those are a's */
    assert_int_equal(count(b, ANVIL_CONNECT, "192.0.2.1", 0).connections, 3);
    caller_free(a);
    assert_int_equal(count(b, ANVIL_MESSAGE, "192.0.2.1", 0).connections, 1);
    caller_free(b);
    counters_free(c);
}

static void test_who_is_gone_is_forgotten_when_the_window_is_over(void **state)
{
    struct counters *c = counters_new(WINDOW);
    struct caller *caller = caller_new(c);
    char client[32];

    (void)state;
    count(caller, ANVIL_CONNECT, "stays", 0);
    for (int i = 0; i < 100; i++) {
        snprintf(client, sizeof client, "192.0.2.%d", i);
        count(caller, ANVIL_MESSAGE, client, 5);
    }
    counters_sweep(c, 1000, WINDOW - 1);
    assert_int_equal(counters_len(c), 101);
    counters_sweep(c, 51, WINDOW + 5);
    assert_int_equal(counters_len(c), 51);
    counters_sweep(c, 1000, WINDOW + 5);
    assert_int_equal(counters_len(c), 1);
    assert_int_equal(count(caller, ANVIL_DISCONNECT, "stays", WINDOW + 5).connections, 0);
    counters_sweep(c, 1000, 3 * WINDOW);
    assert_int_equal(counters_len(c), 0);
    caller_free(caller);
    counters_free(c);
}

static struct str lines;

static void collect(const char *line)
{
    str_addf(&lines, "%s\n", line);
}

static void test_the_status_names_each_maximum_and_begins_anew(void **state)
{
    struct counters *c = counters_new(WINDOW);
    struct caller *caller = caller_new(c);

    (void)state;
    counters_status(c, collect);
    assert_int_equal(lines.len, 0);
    count(caller, ANVIL_CONNECT, "192.0.2.1", 0);
    count(caller, ANVIL_CONNECT, "192.0.2.2", 0);
    count(caller, ANVIL_CONNECT, "192.0.2.2", 0);
    count(caller, ANVIL_RCPT, "192.0.2.1", 0);
    counters_status(c, collect);
    assert_string_equal(str_cstr(&lines), "statistics: max connection rate 2/60s for (smtp:192.0.2.2)\n"
                                          "statistics: max connection count 2 for (smtp:192.0.2.2)\n"
                                          "statistics: max recipient rate 1/60s for (smtp:192.0.2.1)\n"
                                          "statistics: max cache size 2\n");
    str_reset(&lines);
    counters_status(c, collect);
    assert_int_equal(lines.len, 0);
    str_free(&lines);
    caller_free(caller);
    counters_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_event_moves_its_own_counts),
        cmocka_unit_test(test_the_connections_of_a_dead_server_end_with_it_and_no_others),
        cmocka_unit_test(test_who_is_gone_is_forgotten_when_the_window_is_over),
        cmocka_unit_test(test_the_status_names_each_maximum_and_begins_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
