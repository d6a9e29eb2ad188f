/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listing.h - what qmgr tells postqueue of messages, packed
 *
 * A listing is a run of records: a message, then as many recipients as it says. Millions of them pass, so they go in
 * batches, not in a message each, and numbers are not text. A record lies whole in one batch.
 */
#ifndef QUEUE_LISTING_H
#define QUEUE_LISTING_H

#include "base/str.h"

#define LISTING_BATCH  (64 << 10)   /* send what is packed when it has so many bytes */
#define LISTING_REASON 1024         /* longest reason, in bytes */

struct listed_message {
    uint32_t state;             /* enum queue_state */
    bool expire;
    uint64_t arrival;           /* seconds */
    uint64_t size;
    uint32_t n_rcpts;           /* unsettled ones, which follow */
    struct span id, sender;
};

struct listed_rcpt {
    struct span address, orig;
    struct span reason;         /* why it waits; empty if not known */
};

/* Append one record. What is longer than a reader takes is cut. */
void listing_put_message(struct str *batch, const struct listed_message *m);
void listing_put_rcpt(struct str *batch, const struct listed_rcpt *r);

/* Take the next record off the front of a batch; spans point into it. 0, or -EPROTO: it is malformed. */
int listing_take_message(struct span *batch, struct listed_message *ret);
int listing_take_rcpt(struct span *batch, struct listed_rcpt *ret);

#endif
