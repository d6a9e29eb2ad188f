/* SPDX-License-Identifier: Apache-2.0 */
/*
 * envelope.h - the ENVELOPE of a message, from its header section
 */
#ifndef IMAPD_ENVELOPE_H
#define IMAPD_ENVELOPE_H

#include "base/str.h"

/* Append "(date subject from sender reply-to to cc bcc in-reply-to message-id)" (RFC 3501
 * section 7.4.2). Never fails; of each address list at most max_addresses are given. */
void put_envelope(struct str *out, struct span header, size_t max_addresses);

#endif
