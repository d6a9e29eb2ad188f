/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest.h - what listings say of a waiting message, packed
 *
 * A million deferred messages are listed without opening a million files: sender, recipients, size and
 * reasons are kept in some 40 bytes a message. Domains and reasons are numbers of shared texts (names.h). A message
 * with many recipients, or with more reasons than are worth keeping, has a digest without recipients: they
 * are read from its file when somebody asks.
 *
 *     flags  arrival  size  sender  n_rcpts  { address  reason  original address } ...
 *     address: number of the domain, length, bytes before the @; numbers are base 128, low digits first
 */
#ifndef QMGR_DIGEST_H
#define QMGR_DIGEST_H

#include "base/str.h"
#include "qmgr/names.h"
#include "queue/queue.h"

struct digests {
    struct names domains, reasons;
};

struct digest;

/* Of the recipients that are neither delivered nor reported as failed. */
struct digest *digest_new(struct digests *ds, const struct queue_envelope *e);
/* NULL is allowed. */
void digest_free(struct digests *ds, struct digest *d);
void digest_set_expire(struct digest *d);
bool digest_is_partial(const struct digest *d);

struct digest_view {
    bool expire;
    bool partial; /* recipients are not here */
    int64_t arrival; /* seconds */
    uint64_t size;
    uint32_t n_rcpts;
    const unsigned char *rest;
    uint32_t left;
};

struct digest_rcpt {
    uint32_t domain, reason; /* numbers in domains, reasons; 0: none */
    struct span local, orig; /* orig: empty if the same */
};

/* sender is reset first. The view is valid as long as d. */
void digest_open(const struct digests *ds, const struct digest *d, struct digest_view *ret,
                 struct str *sender);
/* The next recipient; false: that was the last. */
bool digest_next(struct digest_view *v, struct digest_rcpt *ret);
/* Append address and reason in full. */
void digest_add_address(const struct digests *ds, const struct digest_rcpt *r, struct str *ret);
void digest_add_reason(const struct digests *ds, const struct digest_rcpt *r, struct str *ret);

/* Has it a recipient in this domain (case folded)? PERHAPS: recipients are not here. */
enum digest_answer { DIGEST_NO, DIGEST_PERHAPS, DIGEST_YES };
enum digest_answer digest_concerns(const struct digests *ds, const struct digest *d,
                                   struct span domain);

/* Is this recipient one that listings show? */
bool digest_is_listed(const struct queue_rcpt *r);

#endif
