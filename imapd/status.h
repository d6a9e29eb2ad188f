/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status.h - the items of STATUS, also returned by LIST (RFC 5819)
 */
#ifndef IMAPD_STATUS_H
#define IMAPD_STATUS_H

#include "parse.h"
#include "session.h"

/* "(" status-att *(SP status-att) ")"; ret: a bit for each item. */
bool parse_status_items(struct parse *p, unsigned *ret);

/* Add "* STATUS name (...)" to out. 0, or negative: nothing was added. */
MAY_WAIT int status_put(struct imap *s, struct span name, unsigned items, struct str *out);

#endif
