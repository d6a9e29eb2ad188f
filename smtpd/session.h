/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h - the beginning of a session, which XCLIENT repeats
 */
#ifndef SMTPD_SESSION_H
#define SMTPD_SESSION_H

#include "smtpd/smtpd.h"

/* The banner, or at once the refusal that smtpd_client_restrictions have given. */
MAY_WAIT void session_greet(struct smtpd *s);

/* A bare LF or CR has come: what is "LF" or "CR". True: it is refused (smtpd_forbid_bare_newline), logged and
 * answered. */
MAY_WAIT bool session_refuses_bare(struct smtpd *s, const char *what);

#endif
