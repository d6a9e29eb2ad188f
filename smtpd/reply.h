/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply.h - answers to the client, and the log lines of refusals
 */
#ifndef SMTPD_REPLY_H
#define SMTPD_REPLY_H

#include "smtpd/smtpd.h"

/*
 * One reply line, "250 2.1.0 Ok", without CRLF. A 4xx or 5xx counts as an error of the client;
 * after smtpd_soft_error_limit of them each reply is delayed. Buffered; errors are
 * sticky in the stream. What comes from a peer must be escaped (show(), show_address()).
 */
MAY_WAIT void reply(struct smtpd *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same where the client did nothing wrong: our error, or one it is forgiven. */
MAY_WAIT void reply_uncounted(struct smtpd *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Log "NOQUEUE: reject: STAGE from ...: code text" and answer "code text". Returns VERDICT_REFUSED. */
MAY_WAIT enum verdict refuse(struct smtpd *s, const char *stage, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Log "NOQUEUE: VERB: WHERE from ...: text; from=... to=..." ("warn", "hold", "reject_warning" ...). */
void log_verdict(const struct smtpd *s, const char *verb, struct span text);

/* Append peer's text or an external-form address (quoted where needed) as fit for logs and replies. */
void show(struct str *ret, struct span text);
void show_address(struct str *ret, struct span address);

#endif
