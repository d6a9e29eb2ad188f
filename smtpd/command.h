/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command.h - the SMTP commands: one table, one dispatcher, one handler each
 */
#ifndef SMTPD_COMMAND_H
#define SMTPD_COMMAND_H

#include "smtpd/smtpd.h"

/* Run one command line. Its replies are buffered in the stream. */
MAY_WAIT void command_run(struct smtpd *s, struct span line);

/* Append " ehlo=1 mail=1/2 ... commands=5/6": accepted, or accepted/all of each command given. */
void command_counts(const struct smtpd *s, struct str *ret);

/* The handlers. args: what follows the name and a blank. */
MAY_WAIT void cmd_helo(struct smtpd *s, struct span args);      /* helo.c */
MAY_WAIT void cmd_ehlo(struct smtpd *s, struct span args);
MAY_WAIT void cmd_lhlo(struct smtpd *s, struct span args);
bool ehlo_hides(const struct smtpd *s, const char *keyword);    /* was it left out of the answer to EHLO? */
MAY_WAIT void cmd_starttls(struct smtpd *s, struct span args);  /* starttls.c */
MAY_WAIT void cmd_auth(struct smtpd *s, struct span args);      /* auth.c */
MAY_WAIT void cmd_mail(struct smtpd *s, struct span args);      /* mail.c */
MAY_WAIT void cmd_rcpt(struct smtpd *s, struct span args);      /* rcpt.c */
MAY_WAIT void cmd_vrfy(struct smtpd *s, struct span args);
MAY_WAIT void cmd_etrn(struct smtpd *s, struct span args);      /* etrn.c */
MAY_WAIT void cmd_xclient(struct smtpd *s, struct span args);   /* xclient.c */
MAY_WAIT void cmd_xforward(struct smtpd *s, struct span args);
MAY_WAIT void cmd_data(struct smtpd *s, struct span args);      /* data.c */
MAY_WAIT void cmd_bdat(struct smtpd *s, struct span args);      /* bdat.c */

#endif
