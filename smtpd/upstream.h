/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream.h - a proxy in front of us says who the client is (smtpd_upstream_proxy_protocol)
 */
#ifndef SMTPD_UPSTREAM_H
#define SMTPD_UPSTREAM_H

#include "smtpd/smtpd.h"

/* Put the client's and the server's addresses in the place of the proxy's in *peer. false: the proxy has not
 * said who it is, which was logged. */
MAY_WAIT bool upstream_identify(struct smtpd *s, struct peer *peer);

#endif
