/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rewrite.h - what becomes of a message's text on its way out
 */
#ifndef SMTP_REWRITE_H
#define SMTP_REWRITE_H

#include "mail/mime_walk.h"
#include "smtp/smtp.h"

/* The body of the part that goes by */
enum rewrite_body { REWRITE_AS_IT_IS, REWRITE_QUOTED, REWRITE_BASE64 };

struct rewrite {
    struct delivery *d;
    struct connection *k;
    bool downgrade;             /* 8bit parts to 7bit encodings (RFC 6152 section 3) */
    struct mime_walk walk;
    struct str *out;
    int error;                  /* of a table */
    bool dropped_encoding; /* the section's Content-Transfer-Encoding, which is to be another */
    enum rewrite_body body;
    size_t column;              /* of the line that is being written */
    struct str line; /* of the body, for tables that want it whole; or waiting for base64 */
};

/* Does anything have to be done for this delivery over this connection? */
bool rewrite_needed(const struct delivery *d, const struct connection *k);

/* Feed the content; what is to be sent is appended to out. Both return 0, or negative: a table has
 * failed. */
void rewrite_init(struct rewrite *w, struct delivery *d, struct connection *k, struct str *out);
MAY_WAIT int rewrite_feed(struct rewrite *w, struct span bytes);
MAY_WAIT int rewrite_finish(struct rewrite *w);
void rewrite_done(struct rewrite *w);

/* smtp_generic_maps: 1 and *ret, 0: as it is, or negative. */
MAY_WAIT int generic_map(struct smtp_client *c, struct span address, struct str *ret);

#endif
