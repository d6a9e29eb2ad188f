/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.h - a LIST line outside of LIST
 */
#ifndef IMAPD_LIST_H
#define IMAPD_LIST_H

#include "session.h"

/*
 * For who has enabled IMAP4rev2, "* LIST (...) "/" name" of one mailbox, with what the client has called it as its OLDNAME
 * if that differs: it has written INBOX in small letters (RFC 9051 section 6.3.9.7).
 *
 * given   as it stood in the command
 * name    as the mailbox is called, or was
 *
 * The first is for SELECT, and sends the line in any case (section 6.3.2); the others only if names differ.
 */
MAY_WAIT void list_selected(struct imap *s, struct span given, struct span name);
MAY_WAIT void list_normalised(struct imap *s, struct span given, struct span name);
MAY_WAIT void list_renamed(struct imap *s, struct span given_from, struct span from, struct span given_to, struct span to);

#endif
