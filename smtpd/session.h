/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h - the beginning of a session, which XCLIENT repeats
 */
#ifndef SMTPD_SESSION_H
#define SMTPD_SESSION_H

#include "smtpd/smtpd.h"

/* The banner, or at once the refusal that smtpd_client_restrictions have given. */
MAY_WAIT void session_greet(struct smtpd *s);

#endif
