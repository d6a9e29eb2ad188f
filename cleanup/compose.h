/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compose.h - the fields that cleanup itself writes
 */
#ifndef CLEANUP_COMPOSE_H
#define CLEANUP_COMPOSE_H

#include "conf/conf.h"
#include "ipc/msg_submit.h"

/* What a new field may need to know. */
struct compose {
    const struct params *params;
    const struct submit *submit;
    const char *queue_id;
    int64_t arrival;       /* seconds */
    struct span only_rcpt; /* the recipient as submitted, if there is exactly one; else empty */
};

/* Append the Received field in Postfix's shape, CRLF lines (RFC 5321 section 4.4). */
void compose_received(const struct compose *c, struct str *out);

/*
 * Append those of Message-ID, Date and From that are missing (RFC 5322 section 3.6), or their
 * Resent- forms when the message was resent. seen: enum header_seen. message_id is set to the value
 * made, if one was made.
 */
void compose_missing(const struct compose *c, unsigned seen, struct str *out,
                     struct str *message_id);

#endif
