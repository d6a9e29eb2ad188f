/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unbinary.h - a message with binary parts (RFC 3030), as it streams by, to one of lines
 *
 * Each part that says "Content-Transfer-Encoding: binary" becomes base64, byte for byte; a multipart or a message that says so becomes
 * 8bit. All else comes out as it went in: bare CR, bare LF and NUL outside of binary parts are for the caller to judge.
 */
#ifndef MAIL_UNBINARY_H
#define MAIL_UNBINARY_H

#include "mail/mime_walk.h"

struct unbinary {
    struct mime_walk walk;
    struct str *out;            /* of the call that runs */
    struct str encoding_fields; /* Content-Transfer-Encoding of the present header section, until its end */
    struct str waiting;         /* bytes of a binary part that are not encoded yet */
    bool encode;                /* a binary part goes by */
    bool began;                 /* and some of it has been written */
};

void unbinary_init(struct unbinary *u);

/* The message may be cut anywhere. What is known of the result is appended to out. */
void unbinary_feed(struct unbinary *u, struct span bytes, struct str *out);
void unbinary_finish(struct unbinary *u, struct str *out);

void unbinary_done(struct unbinary *u);

#endif
