/* SPDX-License-Identifier: Apache-2.0 */
/*
 * password.h - stored passwords "{SCHEME}text", as in Dovecot's passwd-file
 */
#ifndef SASL_PASSWORD_H
#define SASL_PASSWORD_H

#include "base/str.h"

/*
 * Does the password match what is stored? Schemes (case does not matter; none means CRYPT):
 *
 *   PLAIN, CLEARTEXT                                     the password itself
 *   CRYPT, SHA512-CRYPT, SHA256-CRYPT, BLF-CRYPT,
 *   MD5-CRYPT, DES-CRYPT                                 crypt(5), by libcrypt; the text says which
 *   ARGON2ID, ARGON2I                                    RFC 9106, by libargon2
 *   SCRAM-SHA-256, SCRAM-SHA-1                           "iterations,salt,StoredKey,ServerKey" (RFC 5803 in short)
 *   PBKDF2                                               "$1$salt$rounds$hex", HMAC-SHA-1
 *   SSHA512, SSHA256, SSHA, SMD5                         digest of password and salt, then the salt
 *   SHA512, SHA256, SHA, SHA1, LDAP-MD5, PLAIN-MD5       digest alone
 *
 * A suffix .HEX, .B64 or .BASE64 says how a digest is written; without one both forms are understood.
 * Takes milliseconds by design: call it by offload. 1 yes, 0 no, -EINVAL unknown scheme or damaged hash.
 */
int password_verify(struct span stored, struct span password);

/* The schemes in which new passwords are stored, for messages */
#define PASSWORD_SCHEMES "CRYPT, SHA512-CRYPT, BLF-CRYPT, ARGON2ID, SCRAM-SHA-256 or SCRAM-SHA-1"

/*
 * "{SCHEME}text": a fresh hash. scheme: one of these; CRYPT is the system's preferred method. 0, -ENOTSUP: new
 * passwords are not stored in that scheme, or -EINVAL.
 */
int password_hash(const char *scheme, struct span password, struct str *ret);

/* Is what is stored quickly guessed by who steals it: cleartext, DES, MD5 or a digest without stretching? */
bool password_is_weak(struct span stored);

/* Cut "{SCHEME}" off; CRYPT when there is none. False: no closing brace. */
bool password_scheme(struct span *stored, struct span *ret_scheme);

#endif
