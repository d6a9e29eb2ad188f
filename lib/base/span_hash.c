/* SPDX-License-Identifier: Apache-2.0 */
/*
 * span_hash.c - keyed hash for tables in memory
 *
 * SipHash with 1 round a word and 3 at the end (Aumasson and Bernstein, 2012):
 * keyed, because whoever chooses names could otherwise choose collisions.
 *
 * Runs in: everything; the input is hostile.
 */
#include "base/rand.h"
#include "base/span.h"

static uint64_t key[2];

/* make_key - before main(), so that no thread can see half of it; a forked child keeps its tables
 */
__attribute__((constructor)) static void make_key(void)
{
    rand_bytes(key, sizeof key);
}

static uint64_t rotl(uint64_t x, int n)
{
    return x << n | x >> (64 - n);
}

static void sip_round(uint64_t v[static 4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] = rotl(v[0], 32) + v[3];
    v[2] += v[1];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

static void sip_word(uint64_t v[static 4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
}

/* fold8 - eight bytes at once: ASCII capitals to small letters, all others unchanged */
static uint64_t fold8(uint64_t w)
{
    const uint64_t ones = 0x0101010101010101;
    uint64_t low7 = w & 0x7f * ones;
    uint64_t from_a = low7 + (0x80 - 'A') * ones;
    uint64_t past_z = low7 + (0x80 - 'Z' - 1) * ones;
    uint64_t is_upper = (from_a & ~past_z & ~w) & 0x80 * ones;

    return w | is_upper >> 2;
}

/* load - up to eight bytes as one word */
static uint64_t load(const char *p, size_t n, bool fold)
{
    uint64_t w = 0;

    memcpy(&w, p, n);
    return fold ? fold8(w) : w;
}

static uint64_t sip(struct span s, bool fold)
{
    uint64_t v[4] = {
        key[0] ^ 0x736f6d6570736575,
        key[1] ^ 0x646f72616e646f6d,
        key[0] ^ 0x6c7967656e657261,
        key[1] ^ 0x7465646279746573,
    };
    size_t i = 0;

    for (; i + 8 <= s.len; i += 8)
        sip_word(v, load(s.ptr + i, 8, fold));
    uint64_t rest = s.len > i ? load(s.ptr + i, s.len - i, fold) : 0;
    sip_word(v, rest | (uint64_t)s.len << 56);
    v[2] ^= 0xff;
    for (int r = 0; r < 3; r++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t span_hash(struct span s)
{
    return sip(s, false);
}

uint64_t span_hash_nocase(struct span s)
{
    return sip(s, true);
}
