/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sha256.h - SHA-256 (FIPS 180-4) without a library; for names made from content, not for secrets
 *
 * Begin, add pieces of any length, end.
 */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <stdint.h>

#include "base/span.h"

enum { SHA256_BYTES = 32, SHA256_BLOCK = 64 };

struct sha256 {
    uint32_t state[8];
    uint64_t len;                       /* of all that was added */
    unsigned char rest[SHA256_BLOCK];   /* the begun block */
};

void sha256_begin(struct sha256 *h);
void sha256_add(struct sha256 *h, struct span bytes);
void sha256_end(struct sha256 *h, unsigned char ret[static SHA256_BYTES]);

#endif
