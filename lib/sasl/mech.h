/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mech.h - the server side of SASL mechanisms that carry a name and a password
 */
#ifndef SASL_MECH_H
#define SASL_MECH_H

#include "base/str.h"

struct sasl_credentials {
    struct str user;        /* authentication identity */
    struct str password;
};
void sasl_credentials_done(struct sasl_credentials *c); /* wipes the password */

/* The message of PLAIN (RFC 4616 section 2): [authzid] NUL authcid NUL passwd. An authzid other than
 * authcid is refused. 0 or -EINVAL. */
int sasl_plain_parse(struct span message, struct sasl_credentials *ret);

/*
 * One exchange, fed with what the client sends. A mechanism says what it wants next: a step takes
 * the client's data (NULL ptr at the start, when there was no initial response) and returns
 * SASL_CHALLENGE with *challenge set, SASL_DONE with the credentials set, or -EINVAL malformed.
 */
enum { SASL_DONE, SASL_CHALLENGE };
struct sasl_exchange {
    const struct sasl_mech *mech;
    int step;
    struct sasl_credentials credentials;
};
/* 0, or -ENOTSUP: no such mechanism. Free with sasl_credentials_done(&x->credentials). */
int sasl_start(struct sasl_exchange *x, struct span mechanism);
int sasl_step(struct sasl_exchange *x, struct span data, struct str *challenge);

#endif
