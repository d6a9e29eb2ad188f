/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/own.h"
#include "base/str.h"

/* In pieces of so many bytes */
static void expect_of(struct span bytes, size_t piece, const char *hex)
{
    _cleanup_(str_free) struct str got = STR_INIT;
    unsigned char digest[SHA256_BYTES];
    struct sha256 h;

    sha256_begin(&h);
    for (; bytes.len > 0; bytes = span_from(bytes, piece))
        sha256_add(&h, span_first(bytes, piece));
    sha256_end(&h, digest);
    str_add_hex(&got, span_make(digest, sizeof digest));
    assert_string_equal(str_cstr(&got), hex);
}

static void expect(struct span bytes, const char *hex)
{
    static const size_t pieces[] = { SIZE_MAX, 1, 7, 64, 100 };

    for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
        expect_of(bytes, pieces[i], hex);
}

static void the_examples_of_the_standard_have_their_digests(void **state)
{
    static const struct {
        const char *text, *hex;
    } cases[] = {
        { "",
          "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { "abc",
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect(span_of(cases[i].text), cases[i].hex);
}

/* Bytes 0, 1, 2 ...: the end mark and the length fit into the last block, or need another one. */
static void any_length_around_a_block_is_padded_rightly(void **state)
{
    static const struct {
        size_t len;
        const char *hex;
    } cases[] = {
        { 1,
          "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d" },
        { 55,
          "463eb28e72f82e0a96c0a4cc53690c571281131f672aa229e0d45ae59b598b59" },
        { 56,
          "da2ae4d6b36748f2a318f23e7ab1dfdf45acdc9d049bd80e59de82a60895f562" },
        { 57,
          "2fe741af801cc238602ac0ec6a7b0c3a8a87c7fc7d7f02a3fe03d1c12eac4d8f" },
        { 63,
          "29af2686fd53374a36b0846694cc342177e428d1647515f078784d69cdb9e488" },
        { 64,
          "fdeab9acf3710362bd2658cdc9a29e8f9c757fcf9811603a8c447cd1d9151108" },
        { 65,
          "4bfd2c8b6f1eec7a2afeb48b934ee4b2694182027e6d0fc075074f2fabb31781" },
        { 119,
          "da18797ed7c3a777f0847f429724a2d8cd5138e6ed2895c3fa1a6d39d18f7ec6" },
        { 120,
          "f52b23db1fbb6ded89ef42a23ce0c8922c45f25c50b568a93bf1c075420bbb7c" },
        { 128,
          "471fb943aa23c511f6f72f8d1652d9c880cfa392ad80503120547703e56a2be5" },
        { 100000,
          "db8f1d69251d95e2c88268d3c540533cc5182e0e33065a6f3f322f606a574489" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_free_ unsigned char *bytes = mem_calloc(cases[i].len, 1);

        for (size_t k = 0; k < cases[i].len; k++)
            bytes[k] = (unsigned char)k;
        expect(span_make(bytes, cases[i].len), cases[i].hex);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_standard_have_their_digests),
        cmocka_unit_test(any_length_around_a_block_is_padded_rightly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
