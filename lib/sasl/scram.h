/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scram.h - what a server stores of a password for SCRAM (RFC 5802 section 3, RFC 7677)
 */
#ifndef SASL_SCRAM_H
#define SASL_SCRAM_H

#include "base/str.h"

#define SCRAM_ITERATIONS 4096       /* RFC 7677 section 4: at least that */
#define SCRAM_ITERATIONS_MAX 1000000
#define SCRAM_TEXT_MAX 128          /* of a salt or a key, Base64 */

struct scram_secret {
    uint32_t iterations;
    char salt[SCRAM_TEXT_MAX], stored_key[SCRAM_TEXT_MAX], server_key[SCRAM_TEXT_MAX]; /* Base64 */
};

/* Below, `mechanism` is SCRAM-SHA-256 or SCRAM-SHA-1, in any case. */

/* "iterations,salt,StoredKey,ServerKey", as Dovecot stores it. 0, or -EINVAL. */
int scram_secret_parse(struct span stored, struct scram_secret *ret);

/* Derive it from a password (prepared with SASLprep, RFC 4013) and a salt. Milliseconds: by offload. 0, or
 * -EINVAL: the password holds what SASLprep prohibits. */
int scram_secret_derive(struct span mechanism, struct span password, struct span salt, uint32_t iterations,
                        struct scram_secret *ret);

/* Does a password sent in clear match? 1, 0, -EINVAL damaged. */
int scram_verify(struct span mechanism, struct span stored, struct span password);

/* Add a fresh "iterations,salt,StoredKey,ServerKey". 0 or -EINVAL. */
int scram_hash(struct span mechanism, struct span password, struct str *ret);

#endif
