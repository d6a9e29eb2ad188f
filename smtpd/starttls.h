/* SPDX-License-Identifier: Apache-2.0 */
/*
 * starttls.h - TLS on the client's connection
 */
#ifndef SMTPD_STARTTLS_H
#define SMTPD_STARTTLS_H

#include "smtpd/smtpd.h"

/* At start: sets sv->tls_level, sv->tls and what belongs to it. 0, or negative, logged. */
int starttls_open(struct service *sv);
/* A certificate, or another file of TLS, has changed: struct daemon's reread. */
MAY_WAIT int starttls_reread(struct server *server);

/* Do the handshake; sets s->tls_info and s->tls_peer. A client without the certificate that is required of it is
 * told 421, and the session is closed. 0, or the stream's error, logged. */
MAY_WAIT int starttls_handshake(struct smtpd *s);

/* What the Received header says of it, a line each; nothing without TLS. */
void starttls_describe(const struct smtpd *s, struct str *ret);

#endif
