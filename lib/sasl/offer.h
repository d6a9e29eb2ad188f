/* SPDX-License-Identifier: Apache-2.0 */
/*
 * offer.h - which SASL mechanisms a server offers: auth_mechanisms on a connection with or without TLS
 */
#ifndef SASL_OFFER_H
#define SASL_OFFER_H

#include "base/str.h"

/*
 * Add each mechanism of the list ("plain, login"), in upper case with `prefix` before it. Those with channel
 * binding ("-PLUS", RFC 5802 section 4) are left out where there is no channel to bind to.
 * SMTP and POP3: prefix " "; IMAP: " AUTH=".
 */
void sasl_offer(const char *mechanisms, bool tls, const char *prefix, struct str *ret);

/* Is this one among them? */
bool sasl_is_offered(const char *mechanisms, bool tls, struct span name);

/* An initial response as SMTP, IMAP and POP3 carry it (RFC 4954 section 4, 4959, 5034): Base64, "=" for an empty
 * one. 0 or -EINVAL. */
int sasl_initial_parse(struct span text, struct str *ret);

#endif
