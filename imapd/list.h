/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.h - a LIST line outside of LIST
 */
#ifndef IMAPD_LIST_H
#define IMAPD_LIST_H

#include "session.h"

/* Send "* LIST (...) "/" name" of one mailbox; nothing if it cannot be read. */
MAY_WAIT void list_one(struct imap *s, struct span name);

#endif
