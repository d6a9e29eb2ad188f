/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest.h - stored passwords that are a digest, salted or not, as LDAP directories and old databases keep them
 */
#ifndef SASL_DIGEST_H
#define SASL_DIGEST_H

#include "base/span.h"

/*
 * scheme: SHA, SHA1, SHA256, SHA512, LDAP-MD5, PLAIN-MD5, or with a salt SSHA, SSHA256, SSHA512, SMD5 (RFC 2307's
 * successors: Base64 of digest and salt), with an optional suffix .HEX, .B64, .BASE64. 1, 0, or -EINVAL damaged.
 */
int digest_verify(struct span scheme, struct span stored, struct span password);

/* "$1$salt$rounds$hex of 20 bytes": PBKDF2 with HMAC-SHA-1 (RFC 8018 section 5.2). 1, 0, or -EINVAL. */
int digest_verify_pbkdf2(struct span scheme, struct span stored, struct span password);

#endif
