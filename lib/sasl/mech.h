/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mech.h - the server side of SASL mechanisms
 *
 * Two kinds: PLAIN and LOGIN end with a name and a password, which the caller checks. The SCRAM family
 * (RFC 5802, RFC 7677; by GNU SASL) ends with a name whose password has been proved.
 */
#ifndef SASL_MECH_H
#define SASL_MECH_H

#include "base/str.h"
#include "io/fiber.h"
#include "sasl/scram.h"

struct sasl_credentials {
    struct str user;        /* authentication identity */
    struct str password;
};
void sasl_credentials_done(struct sasl_credentials *c); /* wipes the password */

/* What mechanisms may ask of the server that runs them. */
struct sasl_server {
    /* The secret of a user for SCRAM-SHA-256 or SCRAM-SHA-1. An unknown user gets one that nobody's password
     * matches, the same each time, so that the exchange tells nothing (RFC 5802 section 9). 0, or negative: the
     * user database is not available. */
    MAY_WAIT int (*scram_secret)(void *arg, const char *mechanism, struct span user, struct scram_secret *ret);
    void *arg;
    struct span channel_binding;    /* tls-exporter data (RFC 9266); empty without TLS */
    bool plus_offered;              /* a mechanism with channel binding was offered (RFC 5802 section 6) */
};

/* The message of PLAIN (RFC 4616 section 2): [authzid] NUL authcid NUL passwd. An authzid other than
 * authcid is refused. 0 or -EINVAL. */
int sasl_plain_parse(struct span message, struct sasl_credentials *ret);

/*
 * One exchange, fed with what the client sends. A step takes the client's data (NULL ptr at the start, when
 * there was no initial response) and returns
 *   SASL_CHALLENGE   with *challenge added
 *   SASL_DONE        credentials.user is set; `proved` says whether the password is checked already
 *   -EINVAL malformed, -EACCES the client does not know the password, -EAGAIN the server could not find out
 */
enum { SASL_DONE, SASL_CHALLENGE };
struct sasl_exchange {
    const struct sasl_mech *mech;
    const struct sasl_server *server;
    int step;
    bool proved;
    int failure;                            /* of a look-up within a step: negative errno */
    struct sasl_credentials credentials;
    struct Gsasl_session *gsasl;
    struct scram_secret *secret;
};
/* 0, or -ENOTSUP: no such mechanism. `server` is borrowed. End with sasl_end(). */
int sasl_start(struct sasl_exchange *x, struct span mechanism, const struct sasl_server *server);
MAY_WAIT int sasl_step(struct sasl_exchange *x, struct span data, struct str *challenge);
void sasl_end(struct sasl_exchange *x);                 /* for _cleanup_ as well */

#endif
