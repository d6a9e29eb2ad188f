/* SPDX-License-Identifier: Apache-2.0 */
/*
 * charset.h - text of other charsets as UTF-8
 */
#ifndef MAIL_CHARSET_H
#define MAIL_CHARSET_H

#include "base/pace.h"
#include "base/str.h"

/* Can text of this charset be converted? */
bool charset_known(struct span name);
/* US-ASCII or UTF-8: nothing has to be converted. */
bool charset_is_ours(struct span name);

/* Convert, '?' for what cannot be; appended. False: the charset is unknown, nothing was added. */
bool charset_convert(struct span text, struct span name, struct pace *pace, struct str *ret);
/* The same, all or nothing. 0, -ENOENT: unknown charset, -EILSEQ: not text of that charset. */
int charset_convert_all(struct span text, struct span name, struct str *ret);

#endif
