/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sendmail_smtp.h - sendmail -bs
 */
#ifndef CLI_SENDMAIL_SMTP_H
#define CLI_SENDMAIL_SMTP_H

#include <stdio.h>

#include "cli/sendmail_submit.h"

/* Speak SMTP until QUIT or the end of the input, submitting with *s (its params are set). */
void sendmail_smtp(struct submission *s, FILE *in, FILE *out);

#endif
