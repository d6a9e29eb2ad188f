/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transcript.h - what was said in a session, for the postmaster (notify_classes)
 *
 * Kept only while notify_classes has a class that sessions can be of, and bounded. Passwords are not in it: AUTH is
 * kept without its argument, and what follows it not at all.
 */
#ifndef SMTPD_TRANSCRIPT_H
#define SMTPD_TRANSCRIPT_H

#include "smtpd/smtpd.h"

/* Of which class is a reply? 0: of none. (enum notify_class) */
unsigned transcript_class(struct span reply);

/* A command; a reply, of which the class is noted. */
void transcript_in(struct smtpd *s, struct span line);
void transcript_out(struct smtpd *s, struct span reply);

/* The session has ended: mail the transcript, if a class of notify_classes has occurred. Logs a failure. */
MAY_WAIT void transcript_mail(struct smtpd *s);

#endif
