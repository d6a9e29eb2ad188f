/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.h - how many connections, and how much of what in a time, one client may have (smtpd_client_*_limit)
 */
#ifndef SMTPD_LIMITS_H
#define SMTPD_LIMITS_H

#include "smtpd/smtpd.h"

enum limit { LIMIT_MESSAGE, LIMIT_RCPT, LIMIT_AUTH, LIMIT_NEWTLS, LIMIT_NEWTLS_LOOK };

/* The connection begins. false: it is one too many, the client was told so (421). */
MAY_WAIT bool limits_enter(struct smtpd *s);
MAY_WAIT void limits_leave(struct smtpd *s);

/* The client is another one from here on (XCLIENT). */
MAY_WAIT void limits_rename(struct smtpd *s);

/* TLS is up: count the session, if it is a new one. false: it is one too many, the client was told so. */
MAY_WAIT bool limits_tls(struct smtpd *s);

/* Count, and is it too much? Then it has been logged; the reply is the caller's. LOOK only looks. */
MAY_WAIT bool limit_exceeded(struct smtpd *s, enum limit limit);

#endif
