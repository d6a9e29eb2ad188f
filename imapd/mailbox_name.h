/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mailbox_name.h - mailbox names at the edge of the protocol: modified UTF-7 outside, UTF-8 inside
 */
#ifndef IMAPD_MAILBOX_NAME_H
#define IMAPD_MAILBOX_NAME_H

#include "base/str.h"

#define MAILBOX_SEPARATOR '/'

/* How names look on the wire: as long as nothing else was enabled, in modified UTF-7. */
enum name_form { NAMES_UTF7, NAMES_UTF8 };

/* A client's name, or LIST pattern, as UTF-8; replaces ret. INBOX becomes upper case. A name that
 * is UTF-8 already, as some clients send it, is taken as it is. 0 or -EINVAL. */
int mailbox_name_decode(struct span wire, enum name_form form, struct str *ret);

/* A name as an astring of the wire, appended. */
void put_mailbox_name(struct str *out, struct span name, enum name_form form);

/* Does the name match a LIST pattern ("*": anything, "%": anything but the separator)? */
bool mailbox_name_matches(struct span name, struct span pattern);

#endif
