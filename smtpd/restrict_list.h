/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restrict_list.h - the rows of restrict.def as text, for those who list them: postconf -R and the manual
 */
#ifndef SMTPD_RESTRICT_LIST_H
#define SMTPD_RESTRICT_LIST_H

/* What follows the name, as a reader is told */
#define SHOWN_NO_ARG      ""
#define SHOWN_ARG_TABLE   "type:table"
#define SHOWN_ARG_CCERT   "type:table"
#define SHOWN_ARG_RBL     "domain[=address]"
#define SHOWN_ARG_POLICY  "server"
#define SHOWN_ARG_SECONDS "time"

/* The command that it waits for */
#define SHOWN_NEEDS_NOTHING ""
#define SHOWN_NEEDS_HELO    "HELO"
#define SHOWN_NEEDS_SENDER  "MAIL FROM"
#define SHOWN_NEEDS_RCPT    "RCPT TO"
#define SHOWN_NEEDS_ETRN    "ETRN"

static const struct restriction_row {
    const char *name, *argument, *since, *text;
} restriction_rows[] = {
#define RESTRICTION(name, argument, need, guards_relay, ask, text)                                 \
    { name, SHOWN_##argument, SHOWN_##need, text },
#include "smtpd/restrict.def"
};

#endif
