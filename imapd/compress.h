/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compress.h - COMPRESS=DEFLATE (RFC 4978): asked for here, done by the front
 */
#ifndef IMAPD_COMPRESS_H
#define IMAPD_COMPRESS_H

#include "session.h"

/* After the answer to COMPRESS: the connection goes through the front's layer from now on. 0, or the session is over. */
MAY_WAIT int compress_begin(struct imap *s);

#endif
