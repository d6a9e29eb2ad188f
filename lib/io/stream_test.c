/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_test.c - lines, counted reads, output, time-outs, descriptors
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/loop.h"
#include "io/stream_internal.h"

/* new_pair - two streams that speak with each other */
static void new_pair(struct stream **a, struct stream **b)
{
    int sv[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    *a = stream_new(sv[0]);
    *b = stream_new(sv[1]);
    stream_set_timeout(*a, 5000);
    stream_set_timeout(*b, 5000);
}

/* Two sides of a conversation, each a function run in a fiber. */
struct talk {
    struct stream *st;
    void (*side)(struct stream *st, void *arg);
    void *arg;
};

static void talk(void *arg)
{
    struct talk *t = arg;

    t->side(t->st, t->arg);
    stream_free(t->st);
}

static void converse(void (*left)(struct stream *, void *), void *left_arg,
                     void (*right)(struct stream *, void *), void *right_arg)
{
    struct talk a = {.side = left, .arg = left_arg}, b = {.side = right, .arg = right_arg};

    new_pair(&a.st, &b.st);
    fiber_start(talk, &a);
    fiber_start(talk, &b);
    assert_int_equal(loop_run(), 0);
}

/* ---- lines ---- */

static struct span last_four(struct span s)
{
    return span_from(s, s.len > 4 ? s.len - 4 : 0);
}

/* What stream_getline makes of some bytes, as text: [line] [line\n: bare LF] <long, ends in ...> end */
static void show_lines(struct stream *st, void *arg)
{
    struct str *shown = arg;
    struct span line;
    int r;

    while ((r = stream_getline(st, 8, &line)) == 0 || r == -EMSGSIZE) {
        if (r == 0)
            str_addf(shown, "[%.*s%s]", SPAN_ARG(line), stream_line_had_bare_lf(st) ? "\\n" : "");
        else
            str_addf(shown, "<long, ends in %.*s>", SPAN_ARG(last_four(stream_long_line_tail(st))));
    }
    assert_int_equal(r, -ENODATA);
    assert_int_equal(stream_getline(st, 8, &line), -ENODATA);
}

static const struct {
    const char *wire, *want;
} line_cases[] = {
    {"a\r\nbc\r\n",                             "[a][bc]"             },
    {"a\nb\r\n",                                "[a\\n][b]"           },
    {"\r\n\n",                                  "[][\\n]"             },
    {"a\rb\r\n",                                "[a\rb]"              },
    {"a\r\r\n",                                 "[a\r]"               },
    {"12345678\r\nx\r\n",                       "[12345678][x]"       },
    {"12345678\n",                              "[12345678\\n]"       },
    {"123456789\r\nx\r\n",                      "<long, ends in 6789>[x]"},
    {"123456789\nx\r\n",                        "<long, ends in 6789>[x]"},
    {"12345678\r\r\nx\r\n",                     "<long, ends in 678\r>[x]"},
    {"123456789012345678901234567890\r\nx\r\n", "<long, ends in 7890>[x]"},
    {"1234567890\r\n123456789a\r\n",            "<long, ends in 7890><long, ends in 789a>"},
    {"a\r\nno end",                             "[a]"                 },
    {"1234567890 no end",                       ""                    },
    {"",                                        ""                    },
};

/* Where to cut what is sent. */
struct cut_wire {
    const char *wire;
    size_t cut;
};

static void send_in_two(struct stream *st, void *arg)
{
    struct cut_wire *w = arg;

    stream_write(st, span_make(w->wire, w->cut));
    stream_flush(st);
    fiber_yield();
    fiber_yield();
    fiber_sleep_until(clock_ms() + 1);
    stream_puts(st, w->wire + w->cut);
    stream_flush(st);
}

static void test_lines_are_the_same_wherever_the_network_cuts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(line_cases); i++) {
        for (size_t cut = 0; cut <= strlen(line_cases[i].wire); cut++) {
            _cleanup_(str_free) struct str shown = STR_INIT;

            converse(show_lines, &shown, send_in_two, &(struct cut_wire){line_cases[i].wire, cut});
            if (strcmp(str_cstr(&shown), line_cases[i].want) != 0)
                fail_msg("row %zu cut at %zu: %s", i, cut, shown.data);
        }
    }
}

static void test_lines_are_the_same_outside_a_fiber_and_from_a_pipe(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(line_cases); i++) {
        _cleanup_(str_free) struct str shown = STR_INIT;
        size_t len = strlen(line_cases[i].wire);
        int fds[2];

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(write(fds[1], line_cases[i].wire, len), len);
        close(fds[1]);
        _cleanup_(stream_free_ptr_) struct stream *st = stream_new(fds[0]);
        show_lines(st, &shown);
        if (strcmp(str_cstr(&shown), line_cases[i].want) != 0)
            fail_msg("row %zu: %s", i, shown.data);
    }
}

enum { LONG_LINE = 300 * 1000 };

static void sends_long_line(struct stream *st, void *arg)
{
    (void)arg;
    for (int i = 0; i < LONG_LINE / 10; i++)
        stream_puts(st, "0123456789");
    stream_puts(st, "\r\nnext\r\n");
    assert_int_equal(stream_flush(st), 0);
}

static void gets_long_line(struct stream *st, void *arg)
{
    struct span line;

    assert_int_equal(stream_getline(st, *(size_t *)arg, &line),
                     *(size_t *)arg < LONG_LINE ? -EMSGSIZE : 0);
    if (*(size_t *)arg >= LONG_LINE)
        assert_int_equal(line.len, LONG_LINE);
    assert_int_equal(stream_getline(st, 10, &line), 0);
    assert_true(span_eq_str(line, "next"));
}

static void test_a_long_line_is_read_or_skipped_as_the_limit_says(void **state)
{
    static size_t limits[] = {LONG_LINE, LONG_LINE - 1, 1000, 0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(limits); i++)
        converse(sends_long_line, NULL, gets_long_line, &limits[i]);
}

/* ---- questions and answers ---- */

static void asks(struct stream *st, void *arg)
{
    struct span line;

    (void)arg;
    for (int i = 0; i < 100; i++) {
        stream_printf(st, "question %d\r\n", i);
        assert_int_equal(stream_getline(st, 100, &line), 0); /* flushed before it waits */
        assert_true(span_starts(line, (struct span)SPAN("answer")));
    }
    stream_puts(st, "last\r\n");
    stream_close_write(st);
    assert_int_equal(stream_getline(st, 100, &line), 0);
    assert_int_equal(stream_getline(st, 100, &line), -ENODATA);
    assert_int_equal(stream_error(st), -ENODATA);
}

static void answers(struct stream *st, void *arg)
{
    struct span line;
    int n = 0, r;

    (void)arg;
    while ((r = stream_getline(st, 100, &line)) == 0) {
        assert_null(st->out.data); /* nothing is kept while idle */
        stream_printf(st, "answer to %.*s\r\n", SPAN_ARG(line));
        n++;
    }
    assert_int_equal(r, -ENODATA);
    assert_null(st->out.len ? st->out.data : NULL);
    assert_int_equal(n, 101);
}

static void test_a_half_closed_peer_gets_its_answers(void **state)
{
    (void)state;
    converse(asks, NULL, answers, NULL);
}

static void looks_ahead(struct stream *st, void *arg)
{
    struct span s;
    char buf[4];

    (void)arg;
    assert_int_equal(stream_peek_n(st, 6, &s), 0);
    assert_true(s.len >= 6);
    stream_consume(st, 2);
    assert_int_equal(stream_read(st, buf, 4), 0);
    assert_memory_equal(buf, "cdef", 4);
    assert_int_equal(stream_getline(st, 10, &s), 0);
    assert_true(span_eq_str(s, "gh"));
    assert_int_equal(stream_peek(st, &s), 0);
    assert_true(span_eq_str(s, "plain"));
    assert_int_equal(stream_buffered(st), 5);
    assert_int_equal(stream_discard_input(st), 5);
    assert_int_equal(stream_buffered(st), 0);
    assert_int_equal(stream_peek_n(st, 3, &s), -ENODATA); /* two bytes, then the end */
    assert_true(stream_peer_gone(st));
}

static void sends_pieces(struct stream *st, void *arg)
{
    static const char *const pieces[] = {"a", "bcd", "efgh\r", "\n", "plain", "xx"};

    (void)arg;
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        stream_puts(st, pieces[i]);
        stream_flush(st);
        fiber_sleep_until(clock_ms() + 5);
    }
}

static void test_peeks_and_counted_reads_mix_with_lines(void **state)
{
    (void)state;
    converse(looks_ahead, NULL, sends_pieces, NULL);
}

/* ---- failures ---- */

static bool gave_up;

static void waits_in_vain(struct stream *st, void *arg)
{
    uint64_t begun = clock_ms();
    struct span line;

    (void)arg;
    stream_set_timeout(st, 40);
    assert_int_equal(stream_getline(st, 100, &line), -ETIMEDOUT);
    assert_true(clock_ms() - begun >= 40);
    gave_up = true;
    assert_int_equal(stream_getline(st, 100, &line), -ETIMEDOUT);
    stream_puts(st, "421 goodbye\r\n");
    assert_int_equal(stream_flush(st), 0);
}

static void drips(struct stream *st, void *arg)
{
    struct span line;

    (void)arg;
    /* Up to the longest line: were each byte given the whole time, it would come to its end. */
    for (int i = 0; i < 100 && !gave_up; i++) {
        stream_puts(st, "x");
        stream_flush(st);
        fiber_sleep_until(clock_ms() + 10);
    }
    assert_int_equal(stream_getline(st, 100, &line), 0);
    assert_true(span_eq_str(line, "421 goodbye"));
}

static void test_a_dripping_peer_does_not_stretch_the_timeout_and_gets_a_goodbye(void **state)
{
    (void)state;
    converse(waits_in_vain, NULL, drips, NULL);
}

static void has_deadline(struct stream *st, void *arg)
{
    struct span line;
    uint64_t deadline = clock_ms() + 30;
    int r;

    (void)arg;
    stream_set_deadline(st, deadline);
    while ((r = stream_getline(st, 10, &line)) == 0)
        ;
    assert_int_equal(r, -ETIMEDOUT);
    assert_true(clock_ms() >= deadline);
}

static void sends_lines(struct stream *st, void *arg)
{
    (void)arg;
    while (stream_flush(st) == 0) {
        stream_puts(st, "line\r\n");
        fiber_sleep_until(clock_ms() + 3);
    }
    assert_int_equal(stream_error(st), -EPIPE); /* and no SIGPIPE */
}

static void test_a_deadline_covers_all_operations_and_a_closed_peer_is_an_error(void **state)
{
    (void)state;
    converse(has_deadline, NULL, sends_lines, NULL);
}

static struct fiber *to_cancel;

static void is_cancelled(struct stream *st, void *arg)
{
    struct span line;

    (void)arg;
    to_cancel = fiber_self();
    assert_int_equal(stream_getline(st, 10, &line), -ECANCELED);
    stream_puts(st, "421\r\n");
    assert_int_equal(stream_flush(st), 0);
}

static void cancels(struct stream *st, void *arg)
{
    struct span line;

    (void)arg;
    fiber_sleep_until(clock_ms() + 5);
    fiber_cancel(to_cancel);
    assert_int_equal(stream_getline(st, 10, &line), 0);
}

static void test_a_cancelled_session_can_still_say_goodbye(void **state)
{
    (void)state;
    converse(is_cancelled, NULL, cancels, NULL);
}

static void test_the_first_error_stays(void **state)
{
    struct stream *a, *b;
    struct span line;

    (void)state;
    new_pair(&a, &b);
    stream_fail(a, -EPROTO);
    stream_fail(a, -EIO);
    stream_puts(a, "lost\r\n");
    assert_int_equal(stream_flush(a), -EPROTO);
    assert_int_equal(stream_getline(a, 10, &line), -EPROTO);
    assert_int_equal(stream_error(a), -EPROTO);
    stream_set_timeout(b, 10);
    assert_int_equal(stream_getline(b, 10, &line), -ETIMEDOUT);
    assert_false(stream_peer_gone(b) && stream_error(b) == 0);
    stream_free(a);
    stream_free(b);
}

static void test_a_peer_that_has_gone_is_seen_without_reading(void **state)
{
    struct stream *a, *b;
    struct span s;

    (void)state;
    new_pair(&a, &b);
    assert_false(stream_peer_gone(a));
    stream_puts(b, "x");
    stream_flush(b);
    assert_false(stream_peer_gone(a));
    stream_free(b);
    assert_true(stream_peer_gone(a));
    assert_int_equal(stream_peek(a, &s), 0);
    stream_free(a);
}

static void test_a_detached_descriptor_comes_with_what_was_read(void **state)
{
    _cleanup_(str_free) struct str rest = STR_INIT;
    struct stream *a, *b;
    struct span line;

    (void)state;
    new_pair(&a, &b);
    stream_puts(b, "line\r\nrest");
    stream_flush(b);
    assert_int_equal(stream_getline(a, 10, &line), 0);
    _cleanup_close_ int fd = stream_detach(a, &rest);
    assert_string_equal(rest.data, "rest");
    stream_puts(b, "more");
    stream_flush(b);
    char buf[8];
    assert_int_equal(read(fd, buf, sizeof buf), 4);
    stream_free(b);
}

/* ---- much output ---- */

enum { MUCH = 3 * 1000 * 1000 };

/* byte_at - a pattern that shows every shift */
static char byte_at(size_t i)
{
    return (char)(i * 31 + i / 251);
}

static void reads_much(struct stream *st, void *arg)
{
    size_t at = 0, pause = 0;
    struct span s;

    while (stream_peek(st, &s) == 0) {
        for (size_t i = 0; i < s.len; i++, at++)
            if (s.ptr[i] != byte_at(at))
                fail_msg("byte %zu", at);
        stream_consume(st, s.len);
        if (++pause % 8 == 0)
            fiber_sleep_until(clock_ms() + 1);
    }
    *(size_t *)arg = at;
}

static void writes_much(struct stream *st, void *arg)
{
    static const size_t sizes[] = {1, 10, 1000, 4096, 65535, 65536, 65537, 200000, 3};
    _cleanup_free_ char *all = mem_calloc(MUCH, 1);
    size_t at = 0;

    for (size_t i = 0; i < MUCH; i++)
        all[i] = byte_at(i);
    for (size_t i = 0; at < MUCH; i++) {
        size_t n = sizes[i % ARRAY_LEN(sizes)];

        n = n < MUCH - at ? n : MUCH - at;
        stream_write(st, span_make(all + at, n));
        at += n;
    }
    *(int *)arg = stream_flush(st);
}

static void test_much_output_arrives_whole_at_a_slow_reader(void **state)
{
    size_t got = 0;
    int r = -1;

    (void)state;
    converse(reads_much, &got, writes_much, &r);
    assert_int_equal(r, 0);
    assert_int_equal(got, MUCH);
}

/* A file with the pattern, and how much of it to send. */
struct file {
    int fd;
    off_t offset;
    size_t n, before;
    int result;
};

static void sends_file(struct stream *st, void *arg)
{
    struct file *f = arg;

    for (size_t i = 0; i < f->before; i++)
        stream_write(st, (struct span){(char[]){byte_at(i)}, 1});
    f->result = stream_sendfile(st, f->fd, f->offset, f->n);
    if (f->result == 0)
        f->result = stream_flush(st);
}

static void test_files_are_sent_whole_whatever_their_size(void **state)
{
    static const size_t sizes[] = {0, 1, 1000, 32 * 1024, 32 * 1024 + 1, 100 * 1000, MUCH};
    char name[] = "/tmp/stream_test.XXXXXX";
    _cleanup_close_ int fd = mkostemp(name, O_CLOEXEC);
    _cleanup_free_ char *all = mem_calloc(MUCH, 1);

    (void)state;
    unlink(name);
    for (size_t i = 0; i < MUCH; i++)
        all[i] = byte_at(i);
    assert_int_equal(write(fd, all, MUCH), MUCH);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct file f = {.fd = fd, .offset = i % 2 ? 100 : 0, .n = sizes[i]};
        size_t got = 0;

        f.before = (size_t)f.offset;
        if (f.n + (size_t)f.offset > MUCH)
            f.n -= (size_t)f.offset;
        converse(reads_much, &got, sends_file, &f);
        if (f.result != 0 || got != f.n + f.before)
            fail_msg("row %zu: %d, %zu bytes", i, f.result, got);
    }
}

static void test_a_file_that_ends_too_early_is_an_error(void **state)
{
    static const size_t sizes[] = {11, 50000}; /* through the buffer, by sendfile */
    char name[] = "/tmp/stream_test.XXXXXX";
    _cleanup_close_ int fd = mkostemp(name, O_CLOEXEC);

    (void)state;
    unlink(name);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(write(fd, (char[]){byte_at(i)}, 1), 1);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct file f = {.fd = fd, .n = sizes[i]};
        size_t ignored;

        converse(reads_much, &ignored, sends_file, &f);
        assert_int_equal(f.result, -EIO);
    }
}

/* ---- descriptors ---- */

static size_t open_fds(void)
{
    size_t n = 0;

    for (int fd = 0; fd < 512; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void test_descriptors_arrive_in_order_with_their_bytes(void **state)
{
    size_t before = open_fds();
    struct stream *a, *b;
    struct span line;
    int pipes[3][2];
    char c;

    (void)state;
    new_pair(&a, &b);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pipe2(pipes[i], O_CLOEXEC), 0);
        stream_printf(a, "message %d\r\n", i);
        stream_send_fd(a, pipes[i][1]);
        close(pipes[i][1]); /* our copy is not needed any more */
        stream_puts(a, "with a descriptor\r\n");
        if (i == 1)
            stream_flush(a);
    }
    stream_flush(a);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(stream_getline(b, 100, &line), 0);
        assert_int_equal(stream_getline(b, 100, &line), 0);
        int fd = stream_take_fd(b);
        assert_true(fd >= 0);
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
        assert_int_equal(write(fd, &"abc"[i], 1), 1);
        close(fd);
        assert_int_equal(read(pipes[i][0], &c, 1), 1);
        assert_int_equal(c, "abc"[i]);
        assert_int_equal(read(pipes[i][0], &c, 1), 0); /* no copy has been left open */
        close(pipes[i][0]);
    }
    assert_int_equal(stream_take_fd(b), -ENOENT);
    stream_free(a);
    stream_free(b);
    assert_int_equal(open_fds(), before);
}

static void reads_lines_and_fds(struct stream *st, void *arg)
{
    struct span line;

    (void)arg;
    for (int i = 0; i < 50; i++) {
        assert_int_equal(stream_getline(st, 100, &line), 0);
        int fd = stream_take_fd(st);
        assert_true(fd >= 0);
        close(fd);
    }
}

static void sends_lines_and_fds(struct stream *st, void *arg)
{
    (void)arg;
    for (int i = 0; i < 50; i++) { /* the kernel ends each read behind a descriptor: no hang */
        stream_send_fd(st, 0);
        stream_puts(st, "take it\r\n");
        stream_flush(st);
    }
}

static void test_a_burst_of_descriptors_does_not_stall_the_reader(void **state)
{
    (void)state;
    converse(reads_lines_and_fds, NULL, sends_lines_and_fds, NULL);
}

static void test_descriptors_nobody_takes_are_bounded_and_closed(void **state)
{
    size_t before = open_fds();
    struct stream *a, *b;
    struct span s;

    (void)state;
    new_pair(&a, &b);
    for (int i = 0; i < 3 * STREAM_FDS_MAX; i++) {
        stream_send_fd(a, 0);
        stream_puts(a, "x");
        if (i % 10 == 0)
            stream_flush(a);
    }
    stream_flush(a);
    assert_int_equal(stream_peek_n(b, 3 * STREAM_FDS_MAX, &s), 0);
    assert_true(open_fds() <= before + 2 + STREAM_FDS_MAX);
    stream_send_fd(a, 0); /* never sent */
    stream_free(a);
    stream_free(b);
    assert_int_equal(open_fds(), before);
}

static void test_a_flush_that_must_not_wait_sends_what_there_is_room_for(void **state)
{
    static const struct span piece = SPAN("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n");
    struct stream *a, *b;
    size_t written = 0, got = 0;
    struct span bytes;

    (void)state;
    new_pair(&a, &b);
    assert_true(stream_flush_now(a)); /* nothing to do */
    do {
        stream_write(a, piece);
        written += piece.len;
    } while (stream_flush_now(a));
    assert_int_equal(stream_error(a), 0);
    stream_write(a, piece); /* stays behind the rest */
    written += piece.len;
    while (got < written) {
        assert_int_equal(stream_peek(b, &bytes), 0);
        for (size_t i = 0; i < bytes.len; i++)
            assert_int_equal(bytes.ptr[i], piece.ptr[(got + i) % piece.len]);
        got += bytes.len;
        stream_consume(b, bytes.len);
        stream_flush_now(a);
    }
    assert_true(stream_flush_now(a));
    stream_free(b);
    stream_write(a, piece);
    assert_true(stream_flush_now(a) || stream_error(a) == -EPIPE);
    assert_int_equal(stream_error(a), -EPIPE);
    stream_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_are_the_same_wherever_the_network_cuts),
        cmocka_unit_test(test_lines_are_the_same_outside_a_fiber_and_from_a_pipe),
        cmocka_unit_test(test_a_long_line_is_read_or_skipped_as_the_limit_says),
        cmocka_unit_test(test_a_half_closed_peer_gets_its_answers),
        cmocka_unit_test(test_peeks_and_counted_reads_mix_with_lines),
        cmocka_unit_test(test_a_dripping_peer_does_not_stretch_the_timeout_and_gets_a_goodbye),
        cmocka_unit_test(test_a_deadline_covers_all_operations_and_a_closed_peer_is_an_error),
        cmocka_unit_test(test_a_cancelled_session_can_still_say_goodbye),
        cmocka_unit_test(test_the_first_error_stays),
        cmocka_unit_test(test_a_peer_that_has_gone_is_seen_without_reading),
        cmocka_unit_test(test_a_detached_descriptor_comes_with_what_was_read),
        cmocka_unit_test(test_much_output_arrives_whole_at_a_slow_reader),
        cmocka_unit_test(test_files_are_sent_whole_whatever_their_size),
        cmocka_unit_test(test_a_file_that_ends_too_early_is_an_error),
        cmocka_unit_test(test_descriptors_arrive_in_order_with_their_bytes),
        cmocka_unit_test(test_a_burst_of_descriptors_does_not_stall_the_reader),
        cmocka_unit_test(test_descriptors_nobody_takes_are_bounded_and_closed),
        cmocka_unit_test(test_a_flush_that_must_not_wait_sends_what_there_is_room_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
