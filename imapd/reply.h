/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply.h - what goes to the client: untagged data at once, the tagged answer at the end of the
 * command
 *
 * Everything is buffered in the stream and counted for the log. A handler ends
 * with `return reply_ok(s, "Done.")`: the answer waits in the session until the
 * dispatcher has sent the reports of the mailbox's changes, which belong before it.
 */
#ifndef IMAPD_REPLY_H
#define IMAPD_REPLY_H

#include "session.h"

MAY_WAIT void imap_write(struct imap *s, struct span bytes);
MAY_WAIT void imap_puts(struct imap *s, const char *text);
MAY_WAIT
void imap_printf(struct imap *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Set the tagged answer; text may begin with a response code in brackets. All return 0. */
int reply_ok(struct imap *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int reply_no(struct imap *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int reply_bad(struct imap *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* NO with the response code for a failed operation on a mailbox (RFC 5530); what nobody expected is
 * logged. */
int reply_errno(struct imap *s, int r, const char *what);

/* ---- strings of responses, appended to out ---- */

/* string: quoted where it can be, else a literal. NUL is left out: no string may hold it. */
void put_string(struct str *out, struct span text);
/* quoted with UTF-8 in it (RFC 6855 section 3), for text that has no control characters */
void put_utf8_quoted(struct str *out, struct span text);
/* nstring: NIL for a NULL pointer. */
void put_nstring(struct str *out, struct span text);
/* astring: an atom where it can be (mailbox names, header field names). */
void put_astring(struct str *out, struct span text);

#endif
