/* SPDX-License-Identifier: Apache-2.0 */
/* id.h - what the ID command says before sign-in (RFC 2971) */
#ifndef LOGIN_ID_H
#define LOGIN_ID_H

#include "login/login.h"

/*
 * One pair of the client's list. "name" is kept for the session. From imap_trusted_networks (web mail, proxies)
 * "x-originating-ip" and "x-originating-port" say for whom it speaks: that is then the client of log lines, delays and limits.
 */
void login_id_field(struct login *l, struct span field, struct span value);

/* Our own pairs (imap_id_send), as the untagged answer. */
void login_id_answer(struct login *l);

#endif
