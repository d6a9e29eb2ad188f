/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xtext.h - the encoding of ESMTP parameter values (RFC 3461 section 4; unitext: RFC 6533 section 3)
 */
#ifndef MAIL_XTEXT_H
#define MAIL_XTEXT_H

#include "base/str.h"

/* Decode "+HH" (upper case hex); printable ASCII but '+' and '=' stands for itself. ret is reset
 * first. 0, or -EINVAL (ret is then empty). */
int xtext_decode(struct span text, struct str *ret);

/* Append text in xtext form. */
void xtext_encode(struct str *ret, struct span text);

#endif
