/* SPDX-License-Identifier: Apache-2.0 */
/* deflate_test.c - both directions, across rests, and what a hostile client may try */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <zlib.h>

#include "base/mem.h"
#include "login/deflate.h"

/* A client's compressor, which refers to all that it has said */
static void client_says(z_stream *z, const char *text, size_t len, struct str *ret)
{
    str_reserve(ret, len + 1000);
    z->next_in = (Bytef *)(uintptr_t)text;
    z->avail_in = (uInt)len;
    z->next_out = (Bytef *)ret->data + ret->len;
    z->avail_out = (uInt)(len + 1000);
    assert_int_equal(deflate(z, Z_SYNC_FLUSH), Z_OK);
    str_advance(ret, len + 1000 - z->avail_out);
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
        cmocka_unit_test(test_the_client_reads_what_we_say_across_rests),
        cmocka_unit_test(test_damaged_bytes_are_refused),
        cmocka_unit_test(test_a_bomb_is_refused_before_it_has_cost_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
