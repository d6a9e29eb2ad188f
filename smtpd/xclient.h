/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xclient.h - XCLIENT and XFORWARD: a trusted relay or filter says whose mail it is
 */
#ifndef SMTPD_XCLIENT_H
#define SMTPD_XCLIENT_H

#include "smtpd/smtpd.h"

/* The names, as the answer to EHLO lists them */
#define XCLIENT_ATTRIBUTES  "NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN DESTADDR DESTPORT"
#define XFORWARD_ATTRIBUTES "NAME ADDR PROTO HELO IDENT PORT SOURCE"

/* What XFORWARD has said of the next message's client; empty texts: unknown, or not said. */
struct forwarded {
    struct str name, helo, ident;
    char addr[64];
    char proto[16];
    unsigned port;
    enum forwarded_source { FORWARDED_NOT_SAID, FORWARDED_LOCAL, FORWARDED_REMOTE } source;
};
void forwarded_free(struct forwarded *f);   /* NULL is allowed */

/* May the client use them (smtpd_authorized_xclient_hosts, smtpd_authorized_xforward_hosts)? Found out when it connects,
 * as the one it really is. */
MAY_WAIT void xclient_permit(struct smtpd *s);

#endif
