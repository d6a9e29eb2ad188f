/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imap.h - IMAP before sign-in
 */
#ifndef LOGIN_IMAP_H
#define LOGIN_IMAP_H

#include "login/login.h"

/* Greet, then serve commands of the not-authenticated state (RFC 3501 section 6.2) until sign-in,
 * LOGOUT or the end of patience. */
MAY_WAIT void imap_talk(struct login *l);

#endif
