/* SPDX-License-Identifier: Apache-2.0 */
/* lot_test.c - a parked session ends when its client has been silent for imap_timeout, and not before */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/internal.h"
#include "io/loop.h"
#include "login/held.h"

enum { TIMEOUT_S = 1800, SOON_MS = 30 };
enum { OURS, THEIRS };

#define TIMED_OUT "* BYE Disconnected for inactivity.\r\n"
#define STOPPED   "* BYE [UNAVAILABLE] Server shutting down.\r\n"

static const struct {
    const char *what;
    bool idling;
    int64_t left_ms;            /* until the client has been silent for too long */
    int64_t keepalive_in_ms;    /* -1: there are none */
    const char *says, *reason;
} cases[] = {
    { "long silent",               true,  -1,               -1,      TIMED_OUT,                        "Disconnected for inactivity" },
    { "silent, not in IDLE",       false, -1,               -1,      TIMED_OUT,                        "Disconnected for inactivity" },
    { "for a moment yet",          true,  SOON_MS,          -1,      TIMED_OUT,                        "Disconnected for inactivity" },
    { "a keep-alive comes later",  true,  SOON_MS,          500,     TIMED_OUT,                        "Disconnected for inactivity" },
    { "a keep-alive comes first",  true,  60000,            SOON_MS, "* OK Still here\r\n" STOPPED,    "Server shutting down" },
    { "both at once",              true,  -1,               SOON_MS, TIMED_OUT,                        "Disconnected for inactivity" },
};

struct scene {
    struct running rd;
    struct params params;
    struct login_server server;
    struct held *held;
    int client[2];
    struct str heard;           /* by the client */
    uint64_t ended_ms;
};

static void park(void *arg)
{
    struct scene *s = arg;

    lot_park(s->held);
}

/* The client listens until its connection is closed. The suite stops after a keep-alive. */
static void listen_to_front(void *arg)
{
    struct scene *s = arg;
    char got[256];
    ssize_t n;

    do {
        assert_true(fiber_wait_fd(s->client[THEIRS], EPOLLIN, CLOCK_NEVER) > 0);
        n = read(s->client[THEIRS], got, sizeof got);
        assert_true(n >= 0);
        str_add(&s->heard, span_make(got, (size_t)n));
        if (span_find(span_make(got, (size_t)n), span_of("Still here")) >= 0)
            lot_stop();
    } while (n > 0);
    s->ended_ms = clock_ms();
}

static void set_up(struct scene *s, size_t i)
{
    const uint64_t now = clock_ms();

    *s = (struct scene){ .params = { .imap_timeout = TIMEOUT_S }, .heard = STR_INIT };
    s->rd.sv.params = &s->params;
    s->rd.sv.state = &s->server;
    s->rd.force_at = CLOCK_NEVER;
    s->rd.max_sessions = 10;
    list_init(&s->rd.sessions);
    s->params.imap_idle_notify_interval = cases[i].keepalive_in_ms < 0 ? 0 : 1; /* missed by a slow machine: the next one */
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s->client), 0);
    s->held = mem_new(struct held);
    s->held->sv = &s->rd.sv;
    s->held->client = stream_new(s->client[OURS]);
    s->held->idling = cases[i].idling;
    s->held->heard_ms = now + (uint64_t)(cases[i].left_ms - TIMEOUT_S * INT64_C(1000));
    s->held->client_hash = now + (uint64_t)cases[i].keepalive_in_ms; /* its keep-alives come at that moment of each interval */
    for (size_t d = 0; d < SESSION_WATCHED; d++)
        s->held->dirs[d] = -1;
    str_add_str(&s->held->who, "imap(bob)");
    str_add_str(&s->held->tally, " in=1 out=2");
}

static void assert_logged(int fd, const char *what, const char *reason)
{
    _cleanup_(str_free) struct str wanted = STR_INIT;
    char text[1024];

    log_flush();
    ssize_t n = pread(fd, text, sizeof text, 0);
    assert_true(n > 0);
    str_addf(&wanted, "imap(bob): Disconnected: %s in=1 out=2\n", reason);
    if (!span_ends_nocase(span_make(text, (size_t)n), str_span(&wanted)))
        fail_msg("%s: %.*s", what, (int)n, text);
}

static void test_a_parked_session_ends_with_bye_and_a_log_line_when_its_time_is_over(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int log_fd = memfd_create("log", MFD_CLOEXEC);
        struct scene s;

        log_to_fd("test", log_fd);
        set_up(&s, i);
        const uint64_t due_ms = s.held->heard_ms + TIMEOUT_S * UINT64_C(1000);
        fiber_start(park, &s);
        fiber_start(listen_to_front, &s);
        assert_int_equal(loop_run(), 0);
        assert_int_equal(fiber_count(), 0);
        if (!span_eq_str(str_span(&s.heard), cases[i].says))
            fail_msg("%s: %s", cases[i].what, str_cstr(&s.heard));
        if (strcmp(cases[i].says, TIMED_OUT) == 0 && s.ended_ms < due_ms)
            fail_msg("%s: %lld ms too early", cases[i].what, (long long)(due_ms - s.ended_ms));
        assert_logged(log_fd, cases[i].what, cases[i].reason);
        assert_int_equal(s.rd.n_sessions, 0);
        log_to_stderr("test");
        str_free(&s.heard);
        close(s.client[THEIRS]);
        close(log_fd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_parked_session_ends_with_bye_and_a_log_line_when_its_time_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
