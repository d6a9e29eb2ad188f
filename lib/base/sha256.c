/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sha256.c - SHA-256 of bytes in memory
 *
 * FIPS 180-4 sections 4.1.2, 5.1.1 and 6.2.2, for programs whose only use of cryptography is a name made from content: a
 * process that is forked for each session pays for every library it has mapped, at the fork and at its end, and
 * OpenSSL's are the largest. Where secrets are concerned OpenSSL is used.
 *
 * Runs in: everything.
 */
#include "base/sha256.h"

#include <string.h>

enum { ROUNDS = 64, LENGTH_AT = SHA256_BLOCK - 8 };

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes */
static const uint32_t round_constants[ROUNDS] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

static uint32_t get_u32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_u32(unsigned char *p, uint32_t n)
{
    for (int i = 0; i < 4; i++)
        p[i] = (unsigned char)(n >> (24 - 8 * i));
}

/* The message schedule (section 6.2.2, step 1) */
static void make_schedule(const unsigned char *block, uint32_t w[static ROUNDS])
{
    for (size_t t = 0; t < 16; t++)
        w[t] = get_u32(block + 4 * t);
    for (size_t t = 16; t < ROUNDS; t++) {
        const uint32_t s0 = rotate(w[t - 15], 7) ^ rotate(w[t - 15], 18) ^ w[t - 15] >> 3;
        const uint32_t s1 = rotate(w[t - 2], 17) ^ rotate(w[t - 2], 19) ^ w[t - 2] >> 10;

        w[t] = w[t - 16] + s0 + w[t - 7] + s1;
    }
}

/* Steps 2 to 4; v are the working variables a to h. */
static void add_block(uint32_t state[static 8], const unsigned char *block)
{
    uint32_t w[ROUNDS], v[8];

    make_schedule(block, w);
    memcpy(v, state, sizeof v);
    for (size_t t = 0; t < ROUNDS; t++) {
        const uint32_t s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
        const uint32_t choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
        const uint32_t t1 = v[7] + s1 + choice + round_constants[t] + w[t];
        const uint32_t s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
        const uint32_t majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);

        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += t1;
        v[0] = t1 + s0 + majority;
    }
    for (size_t i = 0; i < 8; i++)
        state[i] += v[i];
}

void sha256_begin(struct sha256 *h)
{
    /* The same of the square roots of the first eight */
    static const uint32_t first[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

    memcpy(h->state, first, sizeof first);
    h->len = 0;
}

void sha256_add(struct sha256 *h, struct span bytes)
{
    while (bytes.len > 0) {
        const size_t at = h->len % SHA256_BLOCK;
        const struct span piece = span_first(bytes, SHA256_BLOCK - at);

        if (piece.len == SHA256_BLOCK)
            add_block(h->state, (const unsigned char *)piece.ptr);
        else
            memcpy(h->rest + at, piece.ptr, piece.len);
        h->len += piece.len;
        if (piece.len < SHA256_BLOCK && h->len % SHA256_BLOCK == 0)
            add_block(h->state, h->rest);
        bytes = span_from(bytes, piece.len);
    }
}

/* A one bit, zeroes, and the length in bits at the end of a block (section 5.1.1) */
void sha256_end(struct sha256 *h, unsigned char ret[static SHA256_BYTES])
{
    unsigned char padding[2 * SHA256_BLOCK] = { 0x80 };
    const size_t at = h->len % SHA256_BLOCK, room = (at < LENGTH_AT ? SHA256_BLOCK : 2 * SHA256_BLOCK) - at;

    put_u32(padding + room - 8, (uint32_t)(h->len >> 29));
    put_u32(padding + room - 4, (uint32_t)(h->len << 3));
    sha256_add(h, span_make(padding, room));
    for (size_t i = 0; i < 8; i++)
        put_u32(ret + 4 * i, h->state[i]);
}
