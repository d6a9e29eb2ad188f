/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mutf7.h - modified UTF-7, the ASCII form of mailbox names (RFC 3501 section 5.1.3)
 */
#ifndef MAILBOX_MUTF7_H
#define MAILBOX_MUTF7_H

#include "base/str.h"

/*
 * UTF-8 to modified UTF-7, appended. escape: further ASCII characters to be written in Base64
 * although the RFC would leave them as they are (may be ""). -EINVAL: not UTF-8, or a NUL
 * or another control character in it; ret is then as before.
 */
int mutf7_encode(struct span utf8, const char *escape, struct str *ret);

/* Back to UTF-8, appended. -EINVAL: malformed; ret is then as before. */
int mutf7_decode(struct span text, struct str *ret);

#endif
