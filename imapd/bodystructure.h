/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bodystructure.h - BODY and BODYSTRUCTURE of a message, from its tree of parts
 */
#ifndef IMAPD_BODYSTRUCTURE_H
#define IMAPD_BODYSTRUCTURE_H

#include "mail/mime.h"

/* BODY has no extension data (RFC 3501 section 7.4.2). */
enum bodystructure_form { BODY_BASIC, BODY_EXTENDED };

void put_bodystructure(struct str *out, const struct mime *m, enum bodystructure_form form,
                       size_t max_addresses, struct pace *pace);

#endif
