/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pop3.h - POP3 before sign-in
 */
#ifndef LOGIN_POP3_H
#define LOGIN_POP3_H

#include "login/login.h"

/* Greet, then serve commands of the AUTHORIZATION state (RFC 1939 section 4) until sign-in, QUIT or
 * the end of patience. */
MAY_WAIT void pop3_talk(struct login *l);

#endif
