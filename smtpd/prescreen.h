/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prescreen.h - tests before the greeting (smtpd_prescreen): what postscreen does, in the same session
 *
 *     access list -> was it tested lately? -> "220-..." and wait; DNS lists are asked meanwhile -> "220 ..."
 *
 * A client that speaks before its turn is a program that does not listen. A client that has passed is
 * remembered by anvil and not tested again for some time. Who is refused costs a fiber and no more.
 */
#ifndef SMTPD_PRESCREEN_H
#define SMTPD_PRESCREEN_H

#include "smtpd/smtpd.h"

enum prescreen_action { PRESCREEN_IGNORE, PRESCREEN_ENFORCE, PRESCREEN_DROP };

/* Read the settings of the tests, if smtpd_prescreen is on; else sv->prescreen stays NULL. 0, or negative after
 * having logged what is wrong. */
int prescreen_open(struct service *sv);

/* s->remote, addr and port are known. false: the client is gone, or was told to go. */
MAY_WAIT bool prescreen_client(struct smtpd *s);

/* A client that failed a test with the action "enforce" is heard, so that the log has sender and recipient; its
 * RCPT gets this reply; NULL: all is well. */
const char *prescreen_refusal(const struct smtpd *s);

/* The refusal of RCPT, and the log line, as postscreen has them. */
void prescreen_refuse_rcpt(struct smtpd *s);

#endif
