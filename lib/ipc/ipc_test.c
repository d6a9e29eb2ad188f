/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipc_test.c - conversations over a socket pair, the other side hostile or slow
 */
#include "ipc/ipc.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/loop.h"

struct note {
    uint32_t number;
    char word[16];
};
IPC_SHAPE(note, IPC_U32(note, number, 1000), IPC_STR(note, word), );

struct other {
    uint32_t number;
};
IPC_SHAPE(other, IPC_U32(other, number, 1000), );

#define WIRE_NOTE "\0\0\0\x20note\0number\0\0\0\0\2" "42" "word\0\0\0\0\5" "hello"

static void make_pair(struct ipc **a, struct ipc **b)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    *a = ipc_new(stream_new(fds[0]));
    *b = ipc_new(stream_new(fds[1]));
}

static void test_messages_chunks_and_descriptors_arrive_in_order(void **state)
{
    struct ipc *a, *b;
    struct note sent = { 42, "hello" }, got;
    struct span s;
    int fd = -1;

    (void)state;
    make_pair(&a, &b);
    ipc_send_fd(a, STDERR_FILENO);
    ipc_send(a, &note_shape, &sent);
    ipc_send_chunk(a, span_of("some bytes"));
    ipc_send_chunk(a, SPAN_NULL);
    sent.number = 43;
    ipc_send(a, &note_shape, &sent);
    assert_int_equal(ipc_flush(a), 0);

    assert_int_equal(ipc_wait_request(b, &s), 0);
    assert_true(span_eq_str(s, "note"));
    assert_int_equal(ipc_recv(b, &note_shape, &got), 0);
    assert_int_equal(got.number, 42);
    assert_string_equal(got.word, "hello");
    assert_int_equal(ipc_recv_fd(b, &fd), 0);
    assert_true(fd > STDERR_FILENO);
    close(fd);
    assert_int_equal(ipc_recv_fd(b, &fd), -ENOENT);
    assert_int_equal(ipc_recv_chunk(b, &s), 0);
    assert_true(span_eq_str(s, "some bytes"));
    assert_int_equal(ipc_recv_chunk(b, &s), 0);
    assert_int_equal(s.len, 0);
    assert_int_equal(ipc_recv(b, &note_shape, &got), 0);
    assert_int_equal(got.number, 43);
    ipc_free(a);
    assert_int_equal(ipc_recv(b, &note_shape, &got), -ENODATA);
    ipc_free(b);
}

static void test_a_large_run_is_lent_piece_by_piece(void **state)
{
    struct ipc *a, *b;
    struct span s;
    size_t total = 0;
    char *big = mem_calloc(1, 150000);

    (void)state;
    make_pair(&a, &b);
    assert_int_equal(setsockopt(stream_fd(ipc_stream(a)), SOL_SOCKET, SO_SNDBUF, &(int){ 1 << 20 },
                                sizeof(int)), 0);
    ipc_send_chunk(a, span_make(big, 150000));
    ipc_send_chunk(a, SPAN_NULL);
    assert_int_equal(ipc_flush(a), 0);
    do {
        assert_int_equal(ipc_recv_chunk(b, &s), 0);
        assert_true(s.len <= 64 * 1024);
        total += s.len;
    } while (s.len > 0);
    assert_int_equal(total, 150000);
    free(big);
    ipc_free(a);
    ipc_free(b);
}

struct feed {
    struct span wire;
    size_t cut;
    int fd;                     /* written to, then closed */
    struct ipc *reader;
    int result;
    struct note got;
};

static void feeder(void *arg)
{
    struct feed *f = arg;

    if (f->cut > 0)
        assert_int_equal(send(f->fd, f->wire.ptr, f->cut, MSG_NOSIGNAL), f->cut);
    fiber_yield();
    fiber_yield();
    if (f->cut < f->wire.len)
        send(f->fd, f->wire.ptr + f->cut, f->wire.len - f->cut, MSG_NOSIGNAL);
    fiber_yield();
    close(f->fd);
}

static void reader(void *arg)
{
    struct feed *f = arg;

    f->result = ipc_recv(f->reader, &note_shape, &f->got);
}

/* Feed wire, cut into two writes, to a reader of a note; returns what it got. */
static int feed(struct span wire, size_t cut, struct note *got)
{
    int fds[2];
    struct feed f = { .wire = wire, .cut = cut };

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    f.fd = fds[0];
    f.reader = ipc_new(stream_new(fds[1]));
    fiber_start(reader, &f);
    fiber_start(feeder, &f);
    assert_int_equal(loop_run(), 0);
    ipc_free(f.reader);
    *got = f.got;
    return f.result;
}

static void test_a_message_is_understood_wherever_it_is_cut(void **state)
{
    static const struct span wire = SPAN(WIRE_NOTE);

    (void)state;
    for (size_t cut = 0; cut <= wire.len; cut++) {
        struct note got = { 0, "" };

        assert_int_equal(feed(wire, cut, &got), 0);
        assert_int_equal(got.number, 42);
        assert_string_equal(got.word, "hello");
    }
}

static void test_a_connection_that_ends_inside_a_message_is_a_protocol_error(void **state)
{
    static const struct span wire = SPAN(WIRE_NOTE);
    struct note got;

    (void)state;
    for (size_t len = 0; len < wire.len; len++)
        assert_int_equal(feed(span_first(wire, len), len, &got), len == 0 ? -ENODATA : -EPROTO);
}

static void test_hostile_frames_are_refused_and_the_connection_has_failed(void **state)
{
    static const struct {
        const char *what;
        struct span wire;
    } cases[] = {
        { "a length of 4 GiB", SPAN("\xff\xff\xff\xff" "note\0") },
        { "a length just above the limit", SPAN("\x00\x10\x00\x01" "note\0") },
        { "an empty frame", SPAN("\0\0\0\0") },
        { "a frame without a type", SPAN("\0\0\0\4note") },
        { "another type", SPAN("\0\0\0\x14other\0number\0\0\0\0\3" "100") },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int fds[2];
        struct note got;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        struct ipc *c = ipc_new(stream_new(fds[1]));
        assert_int_equal(write(fds[0], cases[i].wire.ptr, cases[i].wire.len), cases[i].wire.len);
        int r = ipc_recv(c, &note_shape, &got);
        if (r != -EPROTO)
            print_error("%s: %d\n", cases[i].what, r);
        assert_int_equal(r, -EPROTO);
        assert_int_equal(stream_error(ipc_stream(c)), -EPROTO);
        ipc_free(c);
        close(fds[0]);
    }
}

static void test_a_chunk_above_the_limit_is_refused(void **state)
{
    int fds[2];
    struct span s;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    struct ipc *c = ipc_new(stream_new(fds[1]));
    assert_int_equal(write(fds[0], "\0\1\0\1xyz", 7), 7);
    assert_int_equal(ipc_recv_chunk(c, &s), -EPROTO);
    ipc_free(c);
    close(fds[0]);
}

static void test_what_is_sent_now_arrives_and_a_peer_that_does_not_read_is_hung_up_on(void **state)
{
    struct ipc *a, *b;
    struct note sent = { 42, "hello" }, got;
    int n = 0, r = 0;

    (void)state;
    make_pair(&a, &b);
    for (; r == 0 && n < 1000000; n++)
        r = ipc_send_now(a, &note_shape, &sent);
    assert_int_equal(r, -EPIPE);
    assert_int_equal(ipc_send_now(a, &note_shape, &sent), -EPIPE);
    assert_true(n > 100);       /* some wait in the socket, and are there yet */
    for (int i = 1; i < n; i++) {
        assert_int_equal(ipc_recv(b, &note_shape, &got), 0);
        assert_string_equal(got.word, "hello");
    }
    assert_true(ipc_recv(b, &note_shape, &got) < 0);
    ipc_free(a);
    ipc_free(b);
}

static void test_a_service_that_was_not_handed_over_cannot_be_reached(void **state)
{
    struct ipc *c;

    (void)state;
    setenv("POSTERN_SERVICES", "cleanup=999 auth=998", 1);
    assert_int_equal(ipc_connect("qmgr", clock_deadline_ms(1000), &c), -EACCES);
    assert_int_equal(ipc_connect("clean", clock_deadline_ms(1000), &c), -EACCES);
    setenv("POSTERN_SERVICES", "", 1);
    assert_int_equal(ipc_connect("cleanup", clock_deadline_ms(1000), &c), -EACCES);
    unsetenv("POSTERN_SERVICES");
    ipc_set_directory("/nonexistent");
    assert_int_equal(ipc_connect("cleanup", clock_deadline_ms(1000), &c), -ENOENT);
}

static void serve_notes(void *arg)
{
    struct feed *f = arg;
    struct span type;

    assert_int_equal(ipc_wait_request(f->reader, &type), 0);
    assert_int_equal(ipc_recv(f->reader, &note_shape, &f->got), 0);
    f->result = ipc_wait_request(f->reader, &type);
}

static void ask_after_draining_began(void *arg)
{
    static const struct note note = { 42, "hello" };

    fiber_yield(); /* the server waits */
    fiber_cancel_idle();
    fiber_yield();
    ipc_send(arg, &note_shape, &note);
    assert_int_equal(ipc_flush(arg), 0);
}

static void test_who_connected_before_a_server_drains_is_served_once_more(void **state)
{
    struct feed f = { .result = 1 };
    struct ipc *client;

    (void)state;
    make_pair(&client, &f.reader);
    fiber_start(serve_notes, &f);
    fiber_start(ask_after_draining_began, client);
    assert_int_equal(loop_run(), 0);
    assert_int_equal(f.got.number, 42);
    assert_int_equal(f.result, -ECANCELED);
    ipc_free(client);
    ipc_free(f.reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_chunks_and_descriptors_arrive_in_order),
        cmocka_unit_test(test_a_large_run_is_lent_piece_by_piece),
        cmocka_unit_test(test_a_message_is_understood_wherever_it_is_cut),
        cmocka_unit_test(test_a_connection_that_ends_inside_a_message_is_a_protocol_error),
        cmocka_unit_test(test_hostile_frames_are_refused_and_the_connection_has_failed),
        cmocka_unit_test(test_a_chunk_above_the_limit_is_refused),
        cmocka_unit_test(test_what_is_sent_now_arrives_and_a_peer_that_does_not_read_is_hung_up_on),
        cmocka_unit_test(test_a_service_that_was_not_handed_over_cannot_be_reached),
        cmocka_unit_test(test_who_connected_before_a_server_drains_is_served_once_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
