/* SPDX-License-Identifier: Apache-2.0 */
/*
 * envelope.h - what MAIL and RCPT have in common
 */
#ifndef SMTPD_ENVELOPE_H
#define SMTPD_ENVELOPE_H

#include "smtpd/smtpd.h"

/* enum address_flags for envelope addresses, as the parameters say. */
unsigned envelope_address_flags(const struct smtpd *s);

/* Answer -ENOTSUP or -EINVAL of *_args_parse() about the parameter `name`. */
MAY_WAIT void reply_bad_args(struct smtpd *s, int error, struct span name);

#endif
