/* SPDX-License-Identifier: Apache-2.0 */
/* stream_duplex_test.c - one fiber reads a stream while another one writes it, as a relay does */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/loop.h"
#include "io/stream.h"

enum { BYTES = 3 << 20, PIECE = 5000, QUESTIONS = 300 };

static struct {
    struct stream *near, *far;
    size_t received, questions;
    bool in_order;
} duplex;

static char byte_at(size_t i)
{
    return (char)('a' + i % 23);
}

/* The answer: much more than the socket takes at once. */
static void write_near(void *arg)
{
    char piece[PIECE];
    size_t at = 0;

    (void)arg;
    while (at < BYTES) {
        size_t n = BYTES - at < PIECE ? BYTES - at : PIECE;
        for (size_t i = 0; i < n; i++)
            piece[i] = byte_at(at + i);
        stream_write(duplex.near, span_make(piece, n));
        assert_int_equal(stream_flush(duplex.near), 0);
        at += n;
    }
    stream_close_write(duplex.near);
}

/* Meanwhile questions come in, and each wait for one would flush what is pending. */
static void read_near(void *arg)
{
    struct span line;

    (void)arg;
    while (stream_getline(duplex.near, 100, &line) == 0)
        duplex.questions++;
}

static void check(struct span bytes)
{
    for (size_t k = 0; k < bytes.len; k++)
        duplex.in_order = duplex.in_order && bytes.ptr[k] == byte_at(duplex.received + k);
    duplex.received += bytes.len;
    stream_consume(duplex.far, bytes.len);
}

static void far_side(void *arg)
{
    struct span bytes;

    (void)arg;
    for (int i = 0; i < QUESTIONS; i++) {
        stream_puts(duplex.far, "question\r\n");
        stream_flush(duplex.far);
        fiber_sleep_until(clock_deadline_ms(1));    /* a slow reader: the other side has to wait */
        if (stream_peek(duplex.far, &bytes) < 0)
            break;
        check(span_first(bytes, 1000));
    }
    while (stream_peek(duplex.far, &bytes) == 0)
        check(bytes);
    stream_close_write(duplex.far);
}

static void test_what_one_fiber_writes_is_whole_and_in_order_while_another_reads(void **state)
{
    int sv[2];

    (void)state;
    duplex.in_order = true;
    duplex.received = duplex.questions = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    duplex.near = stream_new(sv[0]);
    duplex.far = stream_new(sv[1]);
    fiber_start(write_near, NULL);
    fiber_start(read_near, NULL);
    fiber_start(far_side, NULL);
    assert_int_equal(loop_run(), 0);
    assert_true(duplex.in_order);
    assert_int_equal(duplex.received, BYTES);
    assert_int_equal(duplex.questions, QUESTIONS);
    stream_free(duplex.near);
    stream_free(duplex.far);
}

/* ---- a reader that flushes what was pending, while another fiber writes more ---- */

enum { FIRST = 50000, MORE = 100000, LEFT = 10000 };

static void write_pattern(size_t at, size_t n)
{
    _cleanup_free_ char *bytes = mem_calloc(n, 1);

    for (size_t i = 0; i < n; i++)
        bytes[i] = byte_at(at + i);
    stream_write(duplex.near, span_make(bytes, n));
}

static void read_flushing(void *arg)
{
    write_pattern(0, FIRST);
    read_near(arg);
}

static void far_reader(void *arg)
{
    struct span bytes;

    (void)arg;
    while (duplex.received < FIRST + MORE + LEFT && stream_peek(duplex.far, &bytes) == 0)
        check(bytes);
    stream_close_write(duplex.far);
}

static void write_more(void *arg)
{
    (void)arg;
    fiber_yield();
    fiber_yield();      /* the reader waits until the far side takes something */
    write_pattern(FIRST, MORE);
    assert_false(stream_flush_now(duplex.near));
    write_pattern(FIRST + MORE, LEFT);
    fiber_yield();
    fiber_start(far_reader, NULL);
}

static void test_what_is_written_while_a_reader_flushes_follows_in_order(void **state)
{
    int sv[2], small = 4096;

    (void)state;
    duplex.in_order = true;
    duplex.received = duplex.questions = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    assert_int_equal(setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    duplex.near = stream_new(sv[0]);
    duplex.far = stream_new(sv[1]);
    fiber_start(read_flushing, NULL);
    fiber_start(write_more, NULL);
    assert_int_equal(loop_run(), 0);
    assert_true(duplex.in_order);
    assert_int_equal(duplex.received, FIRST + MORE + LEFT);
    stream_free(duplex.near);
    stream_free(duplex.far);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_while_a_reader_flushes_follows_in_order),
        cmocka_unit_test(test_what_one_fiber_writes_is_whole_and_in_order_while_another_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
