/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter.h - what mail filters (milters) say of a session, up to the content
 *
 * The content's part is cleanup's: filter_lend() and filter_settle(). All of these do nothing, at no
 * cost, in a session without filters.
 */
#ifndef SMTPD_FILTER_H
#define SMTPD_FILTER_H

#include "smtpd/smtpd.h"

/* Read smtpd_milters and smtpd_milter_maps, in start(). 0, or negative after having logged why. */
int filter_start(struct service *sv);

/* The session's filters are chosen and told of the client. */
MAY_WAIT enum verdict filter_connect(struct smtpd *s);
/* Said and refused later: RFC 5321 has no refusal of EHLO that clients understand. */
MAY_WAIT void filter_helo(struct smtpd *s);
/* args: what followed "FROM:" or "TO:". VERDICT_REFUSED: logged and answered. */
MAY_WAIT enum verdict filter_mail(struct smtpd *s, struct span args);
MAY_WAIT enum verdict filter_rcpt(struct smtpd *s, struct span args);
/* The recipient was refused already. */
MAY_WAIT void filter_rcpt_refused(struct smtpd *s, struct span args);
MAY_WAIT enum verdict filter_data(struct smtpd *s);
MAY_WAIT enum verdict filter_unknown(struct smtpd *s, struct span line);
/* AUTH, STARTTLS, VRFY, ETRN: refused while a filter refuses the session */
enum verdict filter_other(struct smtpd *s);

/* Filters that go with the message to cleanup, and their coming back: result.milters, NULL if it is lost */
uint32_t filter_count(const struct smtpd *s);
MAY_WAIT void filter_lend(struct smtpd *s, struct ipc *cleanup);
void filter_settle(struct smtpd *s, const char *states);

/* The transaction is over; the session is. */
MAY_WAIT void filter_abort(struct smtpd *s);
void filter_done(struct smtpd *s);

#endif
