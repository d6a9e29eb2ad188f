/* SPDX-License-Identifier: Apache-2.0 */
/*
 * starttls.h - TLS on the client's connection
 */
#ifndef SMTPD_STARTTLS_H
#define SMTPD_STARTTLS_H

#include "smtpd/smtpd.h"

/* Do the handshake; sets s->tls_info. 0, or the stream's error, logged. */
MAY_WAIT int starttls_handshake(struct smtpd *s);

#endif
