/* SPDX-License-Identifier: Apache-2.0 */
/*
 * password.h - stored passwords "{SCHEME}text", as in Dovecot's passwd-file
 */
#ifndef SASL_PASSWORD_H
#define SASL_PASSWORD_H

#include "base/str.h"

/*
 * Does the password match what is stored? Schemes: {PLAIN}, {CRYPT}, {SHA512-CRYPT}, {SHA256-CRYPT},
 * {BLF-CRYPT}, {MD5-CRYPT}, {DES-CRYPT} (the crypt(5) family, by libcrypt); no scheme means {CRYPT}.
 * Takes milliseconds by design: call it by offload. 1 yes, 0 no, -EINVAL unknown scheme or damaged hash.
 */
int password_verify(struct span stored, struct span password);

/* "{CRYPT}$y$...": a fresh hash by the system's preferred method. 0 or -errno. */
int password_hash(struct span password, struct str *ret);

/* Spend the time that verifying a wrong password takes, for users that do not exist. */
void password_waste(struct span password);

#endif
