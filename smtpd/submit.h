/* SPDX-License-Identifier: Apache-2.0 */
/*
 * submit.h - handing the message of a transaction to cleanup
 *
 * Content is appended to s->message.held by the caller (dotstuff_feed), who then
 * calls submit_content(). Up to SUBMIT_HELD bytes are held back: a small message goes to
 * cleanup whole, envelope and all, in one write over a connection borrowed
 * for that moment, and can be repeated when that turns out to be dead.
 */
#ifndef SMTPD_SUBMIT_H
#define SMTPD_SUBMIT_H

#include "mail/unbinary.h"
#include "smtpd/smtpd.h"

#define SUBMIT_HELD 65536

/* BODY=BINARYMIME: what is stored are lines, as everywhere in the suite */
struct binary_content {
    struct unbinary parts;
    struct str text;                /* what came of the bytes just read */
};

/* Before the first content of a message; dotstuff_flags as the parser's. */
void submit_begin(struct smtpd *s, unsigned dotstuff_flags);

/* Count what was added to s->message.held, and pass it on when it is much. A failure is remembered
 * in s->message.failed: further content is counted and dropped. */
MAY_WAIT void submit_content(struct smtpd *s);

/* End of content: submit it, and answer the client: `ok` and " queued as ID", or why not. The
 * transaction is over in either case. */
MAY_WAIT void submit_end(struct smtpd *s, const char *ok);

/* How many replies the end of content gets: in LMTP one for each recipient (RFC 2033 section 4.2), else one. */
size_t submit_replies(const struct smtpd *s);

/* The message does not come: cleanup drops what it has. Harmless when there is none. */
MAY_WAIT void submit_abort(struct smtpd *s);

#endif
