/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kept.h - what clients ask of every message, made once and kept in the index as a note
 */
#ifndef IMAPD_KEPT_H
#define IMAPD_KEPT_H

#include "base/str.h"

struct kept {
    struct span envelope;  /* as put_envelope() writes it; ptr NULL: not known */
    struct span header;    /* the fields of kept_field(), as they stand, without an empty line */
    struct span structure; /* as put_bodystructure() writes BODYSTRUCTURE; ptr NULL: not known */
    struct span preview;   /* preview.h; may be empty; ptr NULL: not known */
    struct span email_id;  /* made of the content (RFC 8474); ptr NULL: not known */
};

/* A record longer than this is not worth its place: such a message is read again. */
#define KEPT_MAX (64 * 1024)

/* Is this header field kept? Those that mail programs ask for when they list a mailbox. */
bool kept_field(struct span name);
/* Append those fields of a header section. */
void kept_header(struct span header, struct str *ret);

/*
 * A record as bytes. limits: a number that stands for the limits under which it was made; under
 * others it does not count. Decoding checks version, limits, lengths and a sum over all bytes,
 * since the index may come damaged from the disk: -EBADMSG. The result points into bytes. Envelope
 * and header go together.
 */
void kept_encode(const struct kept *k, uint32_t limits, struct str *ret);
int kept_decode(struct span bytes, uint32_t limits, struct kept *ret);

#endif
