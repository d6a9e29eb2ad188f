/* SPDX-License-Identifier: Apache-2.0 */
#include "io/haproxy.h"

#include <errno.h>
#include <stdarg.h> /* cmocka.h needs these before it */
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/own.h"
#include "io/loop.h"

#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define V4_BODY "\xc0\0\2\1" "\xc6\x33\x64\2" "\xdc\4" "\0\x19"
#define V6_BODY "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1" "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\2" "\xdc\4" "\0\x19"

/* result: 0 means the length of the input */
static const struct {
    struct span in;
    int result;
    const char *client;         /* NULL: is_local */
} cases[] = {
    { SPAN("PROXY TCP4 192.0.2.1 198.51.100.2 56324 25\r\n"), 0, "192.0.2.1 56324" },
    { SPAN("PROXY TCP6 2001:db8::1 2001:db8::2 56324 25\r\n"), 0, "2001:db8::1 56324" },
    { SPAN("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), 0, "255.255.255.255 65535" },
    { SPAN("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
           "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
      0, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535" },
    { SPAN("PROXY UNKNOWN\r\n"), 0, NULL },
    { SPAN("PROXY UNKNOWN whatever 1 2 3\r\n"), 0, NULL },
    { SPAN("PROXY TCP4 192.0.2.1 198.51.100.2 56324\r\n"), -EPROTO, NULL },
    { SPAN("PROXY TCP4 192.0.2.1 198.51.100.2 56324 25 6\r\n"), -EPROTO, NULL },
    { SPAN("PROXY TCP4  192.0.2.1 198.51.100.2 56324 25\r\n"), -EPROTO, NULL },
    { SPAN("PROXY TCP4 192.0.2.1 198.51.100.2 56324 25 \r\n"), -EPROTO, NULL },
    { SPAN("PROXY TCP4 2001:db8::1 2001:db8::2 56324 25\r\n"), -EPROTO, NULL },
    { SPAN("PROXY TCP6 192.0.2.1 198.51.100.2 56324 25\r\n"), -EPROTO, NULL },
    { SPAN("PROXY TCP4 192.0.2.256 198.51.100.2 56324 25\r\n"), -EPROTO, NULL },
    { SPAN("PROXY TCP4 192.0.2.1 198.51.100.2 65536 25\r\n"), -EPROTO, NULL },
    { SPAN("PROXY TCP4 192.0.2.1 198.51.100.2 -1 25\r\n"), -EPROTO, NULL },
    { SPAN("PROXY TCP4 192.0.2.1 198.51.100.2 056324 25\r\n"), -EPROTO, NULL },
    { SPAN("PROXY TCP4 192.0.2.1\0 198.51.100.2 56324 25\r\n"), -EPROTO, NULL },
    { SPAN("PROXY TCP4 192.0.2.1 198.51.100.2 56324 25\n\n\r\n"), -EPROTO, NULL },
    { SPAN("PROXY UDP4 192.0.2.1 198.51.100.2 56324 25\r\n"), -EPROTO, NULL },
    { SPAN("PROXY \r\n"), -EPROTO, NULL },
    { SPAN("proxy TCP4 192.0.2.1 198.51.100.2 56324 25\r\n"), -EPROTO, NULL },
    { SPAN("EHLO client.test\r\n"), -EPROTO, NULL },
    { SPAN("\x16\3\1\2\0"), -EPROTO, NULL }, /* TLS that is not wrapped */
    { SPAN("PROXY UNKNOWN 0123456789012345678901234567890123456789012345678901234567890123456789"
           "012345678901234567890123456789"), -EPROTO, NULL }, /* 107 bytes and no end */
    { SPAN(SIG "\x21\x11\0\xc" V4_BODY), 0, "192.0.2.1 56324" },
    { SPAN(SIG "\x21\x21\0\x24" V6_BODY), 0, "2001:db8::1 56324" },
    { SPAN(SIG "\x21\x11\0\x12" V4_BODY "\4\0\3abc"), 0, "192.0.2.1 56324" }, /* a TLV */
    { SPAN(SIG "\x21\x11\0\xd" V4_BODY "\4"), 0, "192.0.2.1 56324" },         /* half of one */
    { SPAN(SIG "\x20\0\0\0"), 0, NULL },
    { SPAN(SIG "\x20\x11\0\xc" V4_BODY), 0, NULL },
    { SPAN(SIG "\x21\0\0\3abc"), 0, NULL },
    { SPAN(SIG "\x21\x11\0\xb" "\xc0\0\2\1\xc6\x33\x64\2\xdc\4\0"), -EPROTO, NULL }, /* too short */
    { SPAN(SIG "\x21\x21\0\xc" V4_BODY), -EPROTO, NULL },
    { SPAN(SIG "\x21\x12\0\xc" V4_BODY), -EPROTO, NULL },                     /* datagrams */
    { SPAN(SIG "\x21\x31\0\1x"), -EPROTO, NULL },                             /* Unix sockets */
    { SPAN(SIG "\x22\x11\0\xc" V4_BODY), -EPROTO, NULL },                     /* no such command */
    { SPAN(SIG "\x11\x11\0\xc" V4_BODY), -EPROTO, NULL },                     /* no such version */
    { SPAN(SIG "\x21\x11\xff\xff"), -EMSGSIZE, NULL },
    { SPAN("\r\n\r\n\0\r\nQUIX\n\x21\x11\0\xc" V4_BODY), -EPROTO, NULL },
};

static void check(size_t row, struct span in)
{
    _cleanup_(str_free) struct str shown = STR_INIT;
    struct haproxy got = { 0 };
    char addr[INET6_ADDRSTRLEN];
    int r = haproxy_parse(in, &got);
    int wanted = cases[row].result ? cases[row].result : (int)cases[row].in.len;

    if (r != wanted)
        fail_msg("row %zu: %d instead of %d", row, r, wanted);
    if (r < 0)
        return;
    if (!got.is_local)
        str_addf(&shown, "%s %u", socket_addr_print(&got.client, addr), socket_addr_port(&got.client));
    if (strcmp(str_cstr(&shown), cases[row].client ? cases[row].client : "") != 0)
        fail_msg("row %zu: %s", row, str_cstr(&shown));
    if (!got.is_local)
        assert_in_range(socket_addr_port(&got.server), 25, 65535);
}

static void test_each_form_is_read_and_no_other(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str more = STR_INIT;

        check(i, cases[i].in);
        str_add(&more, cases[i].in);
        str_add_str(&more, "EHLO client.test\r\nPROXY ");
        check(i, str_span(&more));
    }
}

static void test_a_header_that_is_cut_anywhere_is_waited_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (size_t n = 0; cases[i].result == 0 && n < cases[i].in.len; n++) {
            struct haproxy got;

            if (haproxy_parse(span_first(cases[i].in, n), &got) != 0)
                fail_msg("row %zu, cut at %zu", i, n);
        }
}

static void test_what_follows_the_header_stays_in_the_socket(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct haproxy got;
        char rest[32] = "";
        int s[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
        assert_int_equal(send(s[0], cases[i].in.ptr, cases[i].in.len, 0), cases[i].in.len);
        send(s[0], "QUIT\r\n", 6, 0);
        int r = haproxy_read(s[1], clock_deadline_ms(20000), &got);
        assert_int_equal(r, cases[i].result);
        if (r == 0) {
            assert_int_equal(recv(s[1], rest, sizeof rest, 0), 6);
            assert_string_equal(rest, "QUIT\r\n");
        }
        close(s[0]);
        close(s[1]);
    }
}

struct drip {
    int fd, result, patience_ms;
    struct span bytes;
    bool hang_up;
};

static void send_slowly(void *arg)
{
    struct drip *d = arg;

    for (size_t i = 0; i < d->bytes.len; i++) {
        assert_int_equal(send(d->fd, d->bytes.ptr + i, 1, 0), 1);
        fiber_yield();
        fiber_yield();
    }
    if (d->hang_up)
        shutdown(d->fd, SHUT_WR);
}

static void read_header(void *arg)
{
    struct drip *d = arg;
    struct haproxy got;

    d->result = haproxy_read(d->fd, clock_deadline_ms(d->patience_ms), &got);
}

static int drip(struct span bytes, bool hang_up, int patience_ms)
{
    int s[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s), 0);

    struct drip out = { .fd = s[0], .bytes = bytes, .hang_up = hang_up }, in = { .fd = s[1], .patience_ms = patience_ms };

    fiber_start(read_header, &in);
    fiber_start(send_slowly, &out);
    assert_int_equal(loop_run(), 0);
    close(s[0]);
    close(s[1]);
    return in.result;
}

static void test_a_header_may_come_byte_by_byte_but_must_come(void **state)
{
    static const struct span v1 = SPAN("PROXY TCP4 192.0.2.1 198.51.100.2 56324 25\r\n");
    static const struct span v2 = SPAN(SIG "\x21\x11\0\x12" V4_BODY "\4\0\3abc");

    (void)state;
    assert_int_equal(drip(v1, false, 20000), 0);
    assert_int_equal(drip(v2, false, 20000), 0);
    assert_int_equal(drip(span_first(v1, 20), true, 20000), -ENODATA);
    assert_int_equal(drip(span_first(v2, 20), false, 300), -ETIMEDOUT);
    assert_int_equal(drip(SPAN_NULL, false, 300), -ETIMEDOUT);
    assert_int_equal(drip((struct span)SPAN("PROXY TCP4 x"), true, 20000), -ENODATA);
    assert_int_equal(drip((struct span)SPAN("HELO"), false, 20000), -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_form_is_read_and_no_other),
        cmocka_unit_test(test_a_header_that_is_cut_anywhere_is_waited_for),
        cmocka_unit_test(test_what_follows_the_header_stays_in_the_socket),
        cmocka_unit_test(test_a_header_may_come_byte_by_byte_but_must_come),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
