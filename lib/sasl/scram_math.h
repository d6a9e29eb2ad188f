/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scram_math.h - the arithmetic of SCRAM (RFC 5802, RFC 7677), for clients and servers
 *
 * Names follow RFC 5802 section 3: SaltedPassword, ClientKey, StoredKey, ServerKey. Passwords are
 * taken as they are: SASLprep changes none that is ASCII.
 */
#ifndef SASL_SCRAM_MATH_H
#define SASL_SCRAM_MATH_H

#include "base/str.h"

enum scram_math { SCRAM_MATH_SHA1, SCRAM_MATH_SHA256 };
enum { SCRAM_MATH_SIZE = 32 };

struct scram_math_digest {
    unsigned char bytes[SCRAM_MATH_SIZE];
    size_t len;
};

/* SaltedPassword: 0, or -EINVAL (no iterations). */
int scram_math_salted_password(enum scram_math h, struct span password, struct span salt,
                               uint32_t iterations, struct scram_math_digest *ret);
/* HMAC(key, text), H(text), a XOR b (of equal length) */
void scram_math_hmac(enum scram_math h, const struct scram_math_digest *key, struct span text,
                     struct scram_math_digest *ret);
void scram_math_hash(enum scram_math h, struct span text, struct scram_math_digest *ret);
void scram_math_xor(struct scram_math_digest *a, const struct scram_math_digest *b);
/* The three keys that a server stores or derives, from SaltedPassword */
void scram_math_keys(enum scram_math h, const struct scram_math_digest *salted,
                     struct scram_math_digest *ret_client_key,
                     struct scram_math_digest *ret_stored_key,
                     struct scram_math_digest *ret_server_key);
/* "a,b" -> "a=2Cb" and "=" -> "=3D" (RFC 5802 section 5.1). Appended. */
void scram_math_add_name(struct str *ret, struct span name);

#endif
