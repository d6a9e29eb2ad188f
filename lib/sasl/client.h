/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - the client side of SASL mechanisms
 *
 * PLAIN (RFC 4616), LOGIN, CRAM-MD5 (RFC 2195), SCRAM-SHA-1 and SCRAM-SHA-256 (RFC 5802, RFC 7677),
 * OAUTHBEARER (RFC 7628) and XOAUTH2, whose password is a token.
 */
#ifndef SASL_CLIENT_H
#define SASL_CLIENT_H

#include <stdbool.h>

#include "base/str.h"
#include "io/fiber.h"

enum sasl_forbidden { SASL_NO_PLAINTEXT = 1 << 0, SASL_NO_ANONYMOUS = 1 << 1 };

struct sasl_client_mech;

/*
 * The strongest mechanism that the server offers, that is known here and not forbidden, and that
 * passes the filter: names separated by blanks or commas, "!name" leaves one out, empty: all but
 * those whose password is a token, which must be named. NULL: none.
 */
const struct sasl_client_mech *sasl_client_choose(struct span offered, struct span filter,
                                                  unsigned forbidden);
const char *sasl_client_name(const struct sasl_client_mech *m);
/* Does the client speak first? */
bool sasl_client_first(const struct sasl_client_mech *m);

struct sasl_client {
    const struct sasl_client_mech *mech;
    struct span user, password; /* borrowed */
    struct span host;           /* of the server, for OAUTHBEARER */
    int step;
    struct str nonce, first, server_signature;
    bool verified;              /* the server has proved that it knows the password, or need not */
};
void sasl_client_init(struct sasl_client *c, const struct sasl_client_mech *m, struct span user,
                      struct span password, struct span host);
void sasl_client_done(struct sasl_client *c);

/* Answer a challenge (decoded; empty for the initial response). ret is reset first. 0, or -EINVAL:
 * the server breaks the protocol, -EACCES: it does not know the password. */
MAY_WAIT int sasl_client_step(struct sasl_client *c, struct span challenge, struct str *ret);

#endif
