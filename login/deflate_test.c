/* SPDX-License-Identifier: Apache-2.0 */
/* deflate_test.c - both directions, across rests, and what a hostile client may try */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <zlib.h>

#include "base/mem.h"
#include "login/deflate.h"

/* A client's compressor, which refers to all that it has said */
static void client_flushes(z_stream *z, int flush, const char *text, size_t len, struct str *ret)
{
    const size_t room = len + 40000; /* for what was said before and not flushed */

    str_reserve(ret, room);
    z->next_in = (Bytef *)(uintptr_t)text;
    z->avail_in = (uInt)len;
    z->next_out = (Bytef *)ret->data + ret->len;
    z->avail_out = (uInt)room;
    assert_int_equal(deflate(z, flush), Z_OK);
    str_advance(ret, room - z->avail_out);
}

static void client_says(z_stream *z, const char *text, size_t len, struct str *ret)
{
    client_flushes(z, Z_SYNC_FLUSH, text, len, ret);
}

static void read_all(struct deflate *d, struct span in, struct str *ret)
{
    char buf[7];
    int n;

    while ((n = deflate_in(d, &in, buf, sizeof buf)) > 0)
        str_add(ret, span_make(buf, (size_t)n));
    assert_int_equal(n, 0);
    assert_int_equal(in.len, 0);
}

static void test_what_the_client_says_is_read_wherever_it_is_cut_and_across_rests(void **state)
{
    static const char line[] = "a1 UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (FROM SUBJECT)])\r\n";
    z_stream z = { 0 };

    (void)state;
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
    struct deflate *d = deflate_new(100);
    for (size_t round = 0; round < 100; round++) {
        _cleanup_(str_free) struct str wire = STR_INIT, got = STR_INIT;

        client_says(&z, line, strlen(line), &wire);
        size_t cut = round % wire.len;
        read_all(d, span_first(str_span(&wire), cut), &got);
        deflate_rest(d); /* in the middle of a block nothing is given up */
        read_all(d, span_from(str_span(&wire), cut), &got);
        deflate_rest(d);
        assert_string_equal(str_cstr(&got), line);
    }
    deflate_free(d);
    deflateEnd(&z);
}

/* Text that nobody can compress, said again when it is nearly out of reach */
static void test_a_rest_forgets_nothing_that_the_client_can_refer_to_however_it_flushes(void **state)
{
    static const int flushes[] = { Z_SYNC_FLUSH, Z_PARTIAL_FLUSH, Z_FULL_FLUSH, Z_NO_FLUSH };
    static const size_t sizes[] = { 1, 3, 1000, 8192, 32000, 32500 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(flushes) * ARRAY_LEN(sizes); i++) {
        const size_t size = sizes[i / ARRAY_LEN(flushes)];
        _cleanup_free_ char *text = mem_calloc(size, 1);
        struct deflate *d = deflate_new(100);
        z_stream z = { 0 };

        for (size_t at = 0, seed = 1; at < size; at++)
            text[at] = (char)((seed = seed * 1103515245 + 12345) >> 16);
        assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
        for (int round = 0; round < 8; round++) {
            _cleanup_(str_free) struct str wire = STR_INIT, got = STR_INIT;

            client_flushes(&z, flushes[i % ARRAY_LEN(flushes)], text, size, &wire);
            read_all(d, str_span(&wire), &got);
            deflate_rest(d);
            if (flushes[i % ARRAY_LEN(flushes)] == Z_NO_FLUSH) { /* cut anywhere, then flushed */
                str_reset(&wire);
                client_says(&z, "", 0, &wire);
                read_all(d, str_span(&wire), &got);
                deflate_rest(d);
            }
            assert_int_equal(got.len, size);
            assert_memory_equal(got.data, text, size);
        }
        deflate_free(d);
        deflateEnd(&z);
    }
}

static size_t mapped_pages(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    assert_non_null(f);
    assert_int_equal(fscanf(f, "%lu", &pages), 1);
    fclose(f);
    return pages;
}

static void test_one_that_rests_has_given_zlib_s_memory_back_however_the_client_flushes(void **state)
{
    static const int flushes[] = { Z_SYNC_FLUSH, Z_PARTIAL_FLUSH };
    enum { N = 200 };
    struct deflate *d[N];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(flushes); i++) {
        const size_t before = mapped_pages();

        for (size_t k = 0; k < N; k++) {
            _cleanup_(str_free) struct str wire = STR_INIT, out = STR_INIT, got = STR_INIT;
            z_stream z = { 0 };

            d[k] = deflate_new(100);
            assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -9, 1, Z_DEFAULT_STRATEGY), Z_OK);
            client_flushes(&z, flushes[i], "a1 NOOP\r\n", 9, &wire);
            read_all(d[k], str_span(&wire), &got);
            deflate_out(d[k], span_of("a1 OK\r\n"), &out);
            deflate_rest(d[k]);
            deflateEnd(&z);
        }
        assert_in_range(mapped_pages(), 0, before + N / 2); /* each would be some 25 pages */
        for (size_t k = 0; k < N; k++)
            deflate_free(d[k]);
    }
}

static void test_the_client_reads_what_we_say_across_rests(void **state)
{
    static const char line[] = "* OK Still here, and here, and here\r\n";
    z_stream z = { 0 };
    char buf[200];

    (void)state;
    assert_int_equal(inflateInit2(&z, -15), Z_OK);
    struct deflate *d = deflate_new(100);
    for (int round = 0; round < 20; round++) {
        _cleanup_(str_free) struct str wire = STR_INIT;

        deflate_out(d, span_of(line), &wire);
        z.next_in = (Bytef *)wire.data;
        z.avail_in = (uInt)wire.len;
        z.next_out = (Bytef *)buf;
        z.avail_out = sizeof buf;
        assert_int_equal(inflate(&z, Z_SYNC_FLUSH), Z_OK);
        assert_int_equal(sizeof buf - z.avail_out, strlen(line));
        assert_memory_equal(buf, line, strlen(line));
        if (round % 2)
            deflate_rest(d);
    }
    deflate_free(d);
    inflateEnd(&z);
}

static void test_damaged_bytes_are_refused(void **state)
{
    struct span in = SPAN("\x07\xff\xff\xff\xff");
    struct deflate *d = deflate_new(100);
    char buf[100];

    (void)state;
    assert_int_equal(deflate_in(d, &in, buf, sizeof buf), -EPROTO);
    deflate_free(d);
}

static void test_a_bomb_is_refused_before_it_has_cost_much(void **state)
{
    const size_t size = 1024 * 1024;
    _cleanup_free_ char *zeros = mem_calloc(size, 1), *buf = mem_calloc(size, 1);
    struct deflate *d = deflate_new(100);
    z_stream z = { 0 };
    int r = 0;

    (void)state;
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
    for (int mib = 0; mib < 200 && r >= 0; mib++) {
        _cleanup_(str_free) struct str wire = STR_INIT;

        client_says(&z, zeros, size, &wire);
        struct span in = str_span(&wire);
        while ((r = deflate_in(d, &in, buf, size)) > 0)
            continue;
        assert_true(mib < 100);
    }
    assert_int_equal(r, -E2BIG);
    deflate_free(d);
    deflateEnd(&z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_the_client_says_is_read_wherever_it_is_cut_and_across_rests),
        cmocka_unit_test(test_a_rest_forgets_nothing_that_the_client_can_refer_to_however_it_flushes),
        cmocka_unit_test(test_one_that_rests_has_given_zlib_s_memory_back_however_the_client_flushes),
        cmocka_unit_test(test_the_client_reads_what_we_say_across_rests),
        cmocka_unit_test(test_damaged_bytes_are_refused),
        cmocka_unit_test(test_a_bomb_is_refused_before_it_has_cost_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
