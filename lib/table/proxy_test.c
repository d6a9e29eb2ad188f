/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy_test.c - tables asked through proxymap: each answer, and connections that go away
 *
 * The service is a child that answers as its keys say.
 */
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/mem.h"
#include "io/socket.h"
#include "ipc/ipc.h"
#include "ipc/msg_map.h"
#include "table/table.h"
#include "table/test_files.h"

static pid_t service;

static const struct row {
    const char *key;
    uint32_t status;
    const char *value;
} rows[] = {
    { "found",     MAP_FOUND,     "the value"    },
    { "Found",     MAP_FOUND,     "as it is"     },  /* folding is the real table's affair */
    { "missing",   MAP_NOT_FOUND, ""             },
    { "later",     MAP_TEMPORARY, ""             },
    { "forbidden", MAP_REFUSED,   ""             },
    { "",          MAP_FOUND,     "of the empty" },
    { "last",      MAP_FOUND,     "goodbye"      },  /* then the connection is closed */
};

static const struct row *row_of(struct span key)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (span_eq_str(key, rows[i].key))
            return &rows[i];
    return NULL;
}

/* One query; false when the connection is to be closed. "dead": closed without an answer. */
static bool answer(struct ipc *c)
{
    struct map_query query = { 0 };
    struct map_answer reply = { 0 };
    bool go_on = false;

    if (ipc_recv(c, &map_query_shape, &query) == 0 && !span_eq_str(str_span(&query.key), "dead") &&
        span_eq_str(str_span(&query.table), "inline:{a=b}")) {
        const struct row *row = row_of(str_span(&query.key));

        reply.status = row->status;
        str_add_str(&reply.value, row->value);
        ipc_send(c, &map_answer_shape, &reply);
        go_on = ipc_flush(c) == 0 && strcmp(row->key, "last") != 0;
    }
    str_free(&query.table);
    str_free(&query.key);
    str_free(&reply.value);
    return go_on;
}

static void serve(int listener)
{
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        struct ipc *c;

        if (fd < 0)
            _exit(1);
        c = ipc_new(stream_new(fd));
        while (answer(c))
            continue;
        ipc_free(c);
    }
}

static int start_service(void **state)
{
    _cleanup_(str_free) struct str path = STR_INIT;

    make_test_dir(state);
    mkdir(in_test_dir(&path, "", "private"), 0700);
    int listener = socket_listen_unix(in_test_dir(&path, "", "private/proxymap"), 0600, 10);
    if (listener < 0)
        return listener;
    fcntl(listener, F_SETFL, 0);        /* accept() is to wait */
    service = fork();
    if (service == 0)
        serve(listener);
    close(listener);
    ipc_set_directory(test_dir);
    return 0;
}

static int end_service(void **state)
{
    kill(service, SIGKILL);
    waitpid(service, NULL, 0);
    ipc_set_directory("");
    return remove_test_dir(state);
}

static struct table *open_proxied(void)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    struct table *t = NULL;

    if (table_open(span_of("proxy:inline:{a=b}"), &t, &err) < 0)
        fail_msg("%s", str_cstr(&err));
    return t;
}

static void check(struct table *t, const char *key, const char *want)
{
    _cleanup_(str_free) struct str value = STR_INIT;
    int r = table_get(t, span_of(key), &value);

    if (strcmp(shown(r, &value), want) != 0)
        fail_msg("%s gave %s (%d)", key, shown(r, &value), r);
}

static void test_each_answer_of_the_service_comes_through(void **state)
{
    _cleanup_(table_free_ptr_) struct table *t = open_proxied();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check(t, rows[i].key,
              rows[i].status == MAP_FOUND ? rows[i].value : rows[i].status == MAP_NOT_FOUND ? "-" : "E");
}

static void test_a_kept_connection_that_was_closed_is_replaced(void **state)
{
    _cleanup_(table_free_ptr_) struct table *t = open_proxied();

    (void)state;
    for (int i = 0; i < 5; i++) {
        check(t, "found", "the value");
        check(t, "last", "goodbye");
    }
}

static void test_a_service_that_dies_over_the_question_is_a_temporary_failure(void **state)
{
    _cleanup_(table_free_ptr_) struct table *t = open_proxied();

    (void)state;
    check(t, "dead", "E");
    check(t, "found", "the value");
    check(t, "dead", "E");              /* now on a kept connection: asked once more, then given up */
}

static void test_a_proxied_pattern_is_a_pattern(void **state)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    _cleanup_(table_free_ptr_) struct table *t = NULL;

    (void)state;
    assert_int_equal(table_open(span_of("proxy:regexp:/no/such/file"), &t, &err), 0);
    assert_true(table_is_pattern(t));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_answer_of_the_service_comes_through),
        cmocka_unit_test(test_a_kept_connection_that_was_closed_is_replaced),
        cmocka_unit_test(test_a_service_that_dies_over_the_question_is_a_temporary_failure),
        cmocka_unit_test(test_a_proxied_pattern_is_a_pattern),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, start_service, end_service);
}
