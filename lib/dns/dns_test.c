/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_test.c - look-ups against a name server of a few lines in a thread
 *
 * It answers by the first label of the name: ok, nx, nodata, servfail, slow,
 * mute, junk, big (by TCP only).
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "dns/dns.h"
#include "io/loop.h"

static struct server {
    int udp, tcp, stop[2];
    unsigned port, asked;
    pthread_t thread;
} server;

static const struct behaviour {
    struct span label;
    unsigned char flags, rcode; /* of header bytes 2 and 3 */
    bool records;
    enum { BY_UDP, AFTER_A_WHILE, NEVER, JUNK, BY_TCP } how;
} behaviours[] = {
    {SPAN("ok"),       0x81, 0xa0, true,  BY_UDP       },
    {SPAN("nx"),       0x81, 0x83, false, BY_UDP       },
    {SPAN("nodata"),   0x81, 0x80, false, BY_UDP       },
    {SPAN("servfail"), 0x81, 0x82, false, BY_UDP       },
    {SPAN("slow"),     0x81, 0x80, true,  AFTER_A_WHILE},
    {SPAN("mute"),     0x81, 0x80, false, NEVER        },
    {SPAN("junk"),     0x81, 0x80, true,  JUNK         },
    {SPAN("big"),      0x81, 0x80, true,  BY_TCP       },
};

/* rdata - some for each type; at p, returns its length */
static size_t rdata(unsigned type, unsigned char *p)
{
    static const unsigned char v6[] = {0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    static const struct {
        unsigned type;
        struct span bytes;
    } rows[] = {
        {DNS_A,    SPAN("\x7f\0\0\2")       },
        {DNS_MX,   SPAN("\0\5\2mx\xc0\x0c") },
        {DNS_PTR,  SPAN("\4host\7example\0")},
        {DNS_TXT,  SPAN("\5hello\1!")       },
        {DNS_TLSA, SPAN("\3\1\1xyz")        },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].type == type) {
            memcpy(p, rows[i].bytes.ptr, rows[i].bytes.len);
            return rows[i].bytes.len;
        }
    }
    memcpy(p, v6, sizeof v6);
    return sizeof v6;
}

/* answer - turn the question in msg into its answer; returns the length, 0 for none */
static size_t answer(unsigned char *msg, size_t len, bool tcp)
{
    static const unsigned char rr[] = {0xc0, 12, 0, 0, 0, 1, 0, 0, 0, 60, 0, 0};
    struct span label = span_make(msg + 13, msg[12]);
    size_t name_len = strlen((char *)msg + 12) + 1;
    unsigned type = msg[12 + name_len + 1];
    const struct behaviour *b = &behaviours[0]; /* reverse names, too */

    for (size_t i = 0; i < ARRAY_LEN(behaviours); i++)
        if (span_eq_nocase(behaviours[i].label, label))
            b = &behaviours[i];
    if (b->how == NEVER)
        return 0;
    if (b->how == AFTER_A_WHILE)
        usleep(1000 * 1000);
    len = 12 + name_len + 4; /* without the EDNS0 record */
    msg[11] = 0;
    msg[2] = b->flags | (b->how == BY_TCP && !tcp ? 2 : 0);
    msg[3] = b->rcode;
    if (!b->records || (b->how == BY_TCP && !tcp))
        return len;
    msg[7] = b->how == JUNK ? 9 : 1;
    memcpy(msg + len, rr, sizeof rr);
    msg[len + 3] = (unsigned char)type;
    msg[len + 11] = (unsigned char)rdata(type, msg + len + 12);
    return len + 12 + msg[len + 11];
}

static void serve_udp(void)
{
    union sockaddr_any from;
    socklen_t from_len = sizeof from;
    unsigned char msg[1500];
    ssize_t n = recvfrom(server.udp, msg, 600, 0, &from.sa, &from_len);

    if (n < 17)
        return;
    server.asked++;
    size_t len = answer(msg, (size_t)n, false);
    if (len > 0)
        sendto(server.udp, msg, len, 0, &from.sa, from_len);
}

static void serve_tcp(void)
{
    _cleanup_close_ int fd = accept(server.tcp, NULL, NULL);
    unsigned char msg[1500];

    if (recv(fd, msg, 2, MSG_WAITALL) != 2)
        return;
    ssize_t n = recv(fd, msg + 2, (size_t)msg[1], MSG_WAITALL);
    if (n < 17)
        return;
    size_t len = answer(msg + 2, (size_t)n, true);
    msg[0] = (unsigned char)(len >> 8);
    msg[1] = (unsigned char)len;
    send(fd, msg, len + 2, MSG_NOSIGNAL);
}

static void *serve(void *unused)
{
    struct pollfd pfds[] = {
        {server.udp,     POLLIN, 0},
        {server.tcp,     POLLIN, 0},
        {server.stop[0], POLLIN, 0}
    };

    while (poll(pfds, 3, -1) > 0 && !pfds[2].revents) {
        if (pfds[0].revents)
            serve_udp();
        if (pfds[1].revents)
            serve_tcp();
    }
    return unused;
}

/* A port that is free for UDP may have a TCP socket of somebody else: then negative. */
static int listen_on_both(void)
{
    union sockaddr_any a;
    socklen_t len = sizeof a;

    socket_addr_parse(span_of("127.0.0.1"), 0, &a);
    server.udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server.udp, &a.sa, sizeof a.in), 0);
    getsockname(server.udp, &a.sa, &len);
    server.port = socket_addr_port(&a);
    server.tcp = socket_listen_inet(&a, 10);
    return server.tcp;
}

static int start_server(void **state)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    char servers[64];

    (void)state;
    while (listen_on_both() < 0)
        close(server.udp);
    assert_int_equal(pipe(server.stop), 0);
    assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
    snprintf(servers, sizeof servers, " 127.0.0.1:%u ", server.port);
    assert_int_equal(dns_init(servers, 2000, &err), 0);
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    assert_int_equal(write(server.stop[1], "", 1), 1);
    pthread_join(server.thread, NULL);
    close(server.udp);
    close(server.tcp);
    close(server.stop[0]);
    close(server.stop[1]);
    return 0;
}

/* One look-up and what it gave. */
struct look_up {
    const char *name;
    enum dns_type type;
    int64_t wait_ms;
    int r;
    struct dns_answer answer;
};

static void look_up(void *arg)
{
    struct look_up *l = arg;

    l->r = dns_query(l->name, l->type, clock_deadline_ms(l->wait_ms), &l->answer);
}

/* in_fiber, outside - the two ways to call the library */
static void in_fiber(struct look_up *l)
{
    fiber_start(look_up, l);
    assert_int_equal(loop_run(), 0);
}

static void outside(struct look_up *l)
{
    look_up(l);
}

static void test_each_kind_of_answer_has_its_status(void **state)
{
    static const struct {
        const char *name;
        enum dns_type type;
        enum dns_status status;
        bool authentic;
        const char *text;
    } cases[] = {
        {"ok.example",       DNS_A,    DNS_OK,        true,  ""},
        {"ok.example.",      DNS_AAAA, DNS_OK,        true,  ""},
        {"ok.example",       DNS_MX,   DNS_OK,        true,  ""},
        {"ok.example",       DNS_TXT,  DNS_OK,        true,  ""},
        {"ok.example",       DNS_TLSA, DNS_OK,        true,  ""},
        {"nx.example",       DNS_MX,   DNS_NOT_FOUND, false,
         "Host or domain name not found. Name service error for name=nx.example type=MX: Host not "
         "found"                                               },
        {"nodata.example",   DNS_A,    DNS_NO_DATA,   false,
         "Host or domain name not found. Name service error for name=nodata.example type=A: "
         "Host found but no data record of requested type"     },
        {"servfail.example", DNS_A,    DNS_TEMPORARY, false,
         "Host or domain name not found. Name service error for name=servfail.example type=A: "
         "Host not found, try again"                           },
        {"junk.example",     DNS_A,    DNS_INVALID,   false,
         "Host or domain name not found. Name service error for name=junk.example type=A: "
         "Malformed or unexpected name server reply"           },
        {"big.example",      DNS_TXT,  DNS_OK,        false, ""},
        {"not a name",       DNS_A,    DNS_INVALID,   false,
         "Host or domain name not found. Name service error for name=not a name type=A: "
         "Malformed or unexpected name server reply"           },
    };
    void (*const ways[])(struct look_up *) = {in_fiber, outside};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases) * 2; i++) {
        size_t k = i / 2;
        struct look_up l = {.name = cases[k].name, .type = cases[k].type};

        ways[i % 2](&l);
        if (l.r != 0 || l.answer.status != cases[k].status ||
            l.answer.authentic != cases[k].authentic || strcmp(l.answer.text, cases[k].text) != 0 ||
            (l.answer.len > 0) != (l.answer.status == DNS_OK))
            fail_msg("row %zu (way %zu): %d %d %s", k, i % 2, l.r, l.answer.status, l.answer.text);
        dns_answer_done(&l.answer);
    }
}

static void test_a_deadline_ends_the_wait_and_a_late_answer_does_no_harm(void **state)
{
    void (*const ways[])(struct look_up *) = {in_fiber, outside};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct look_up l = {.name = "slow.example", .type = DNS_A, .wait_ms = 50};
        struct look_up next = {.name = "ok.example", .type = DNS_A};
        uint64_t begun = clock_ms();

        ways[i](&l);
        assert_int_equal(l.answer.status, DNS_TEMPORARY);
        assert_true(clock_ms() - begun >= 49);
        ways[i](&next); /* the late answer arrives meanwhile */
        assert_int_equal(next.answer.status, DNS_OK);
        dns_answer_done(&next.answer);
    }
}

static void test_a_server_that_never_answers_is_given_up_after_the_timeout(void **state)
{
    struct look_up l = {.name = "mute.example", .type = DNS_A};
    uint64_t begun = clock_ms();

    (void)state;
    server.asked = 0;
    in_fiber(&l);
    assert_int_equal(l.r, 0);
    assert_int_equal(l.answer.status, DNS_TEMPORARY);
    assert_in_range(clock_ms() - begun, 1500, 30000);
    assert_true(server.asked >= 2); /* it was asked again */
}

static void test_hundreds_of_look_ups_run_at_once(void **state)
{
    static struct look_up all[300];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        all[i] = (struct look_up){.name = i % 3 ? "ok.example" : "nx.example", .type = DNS_MX};
        fiber_start(look_up, &all[i]);
    }
    assert_int_equal(loop_run(), 0);
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (all[i].answer.status != (i % 3 ? DNS_OK : DNS_NOT_FOUND))
            fail_msg("look-up %zu: %s", i, all[i].answer.text);
        if (i % 3)
            assert_string_equal(all[i].answer.records[0].name, "mx.ok.example");
        dns_answer_done(&all[i].answer);
    }
}

static void cancel_it(void *arg)
{
    fiber_sleep_until(clock_deadline_ms(20));
    fiber_cancel(arg);
}

static void test_a_cancelled_look_up_says_so(void **state)
{
    struct look_up l = {.name = "mute.example", .type = DNS_A};

    (void)state;
    fiber_start(cancel_it, fiber_start(look_up, &l));
    assert_int_equal(loop_run(), 0);
    assert_int_equal(l.r, -ECANCELED);
    assert_int_equal(l.answer.len, 0);
}

static void both_families(void *arg)
{
    struct dns_answer *a = arg;

    assert_int_equal(dns_addresses("ok.example", AF_UNSPEC, CLOCK_NEVER, a), 0);
}

static void test_addresses_come_from_both_families(void **state)
{
    struct dns_answer a;
    char buf[INET6_ADDRSTRLEN];

    (void)state;
    fiber_start(both_families, &a);
    assert_int_equal(loop_run(), 0);
    assert_int_equal(a.status, DNS_OK);
    assert_int_equal(a.len, 2);
    assert_true(a.authentic);
    assert_string_equal(socket_addr_print(&a.records[0].addr, buf), "2001:db8::1");
    assert_string_equal(socket_addr_print(&a.records[1].addr, buf), "127.0.0.2");
    dns_answer_done(&a);
    assert_int_equal(dns_addresses("ok.example", AF_INET, CLOCK_NEVER, &a), 0);
    assert_int_equal(a.len, 1);
    dns_answer_done(&a);
    assert_int_equal(dns_addresses("nx.example", AF_UNSPEC, CLOCK_NEVER, &a), 0);
    assert_int_equal(a.status, DNS_NOT_FOUND);
    assert_non_null(strstr(a.text, "type=A:"));
    dns_answer_done(&a);
}

static void test_addresses_are_looked_up_backwards(void **state)
{
    static const char *const addrs[] = {"192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(addrs); i++) {
        union sockaddr_any a;
        struct dns_answer ret;

        assert_int_equal(socket_addr_parse(span_of(addrs[i]), 0, &a), 0);
        assert_int_equal(dns_reverse(&a, CLOCK_NEVER, &ret), 0);
        assert_int_equal(ret.status, DNS_OK);
        assert_string_equal(ret.records[0].name, "host.example");
        dns_answer_done(&ret);
    }
}

static void test_a_bad_list_of_servers_is_refused(void **state)
{
    _cleanup_(str_free) struct str err = STR_INIT;

    (void)state;
    assert_true(dns_init("nowhere at:all", 1000, &err) < 0);
    assert_true(err.len > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind_of_answer_has_its_status),
        cmocka_unit_test(test_a_deadline_ends_the_wait_and_a_late_answer_does_no_harm),
        cmocka_unit_test(test_a_server_that_never_answers_is_given_up_after_the_timeout),
        cmocka_unit_test(test_hundreds_of_look_ups_run_at_once),
        cmocka_unit_test(test_a_cancelled_look_up_says_so),
        cmocka_unit_test(test_addresses_come_from_both_families),
        cmocka_unit_test(test_addresses_are_looked_up_backwards),
        cmocka_unit_test(test_a_bad_list_of_servers_is_refused),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
