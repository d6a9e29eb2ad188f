/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - who is the client: address, name, networks
 */
#ifndef SMTPD_CLIENT_H
#define SMTPD_CLIENT_H

#include "smtpd/smtpd.h"

/* Fill in the client's address, then all the rest. The second waits for DNS at most dns_timeout, if
 * smtpd_peername_lookup. */
void client_address(struct smtpd *s, const struct peer *peer);
MAY_WAIT void client_identify(struct smtpd *s);

/* What follows from its name and address: how it is shown, and the lists it is in. */
MAY_WAIT void client_place(struct smtpd *s);

/* Does local_header_rewrite_clients name it: is its mail completed like local mail? */
bool client_is_local(const struct smtpd *s);

#endif
