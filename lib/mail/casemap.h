/* SPDX-License-Identifier: Apache-2.0 */
/*
 * casemap.h - text made comparable without regard to case: the collation i;unicode-casemap (RFC 5051)
 */
#ifndef MAIL_CASEMAP_H
#define MAIL_CASEMAP_H

#include "base/pace.h"
#include "base/str.h"

/*
 * Append the prepared form of UTF-8 text: titlecase, then decomposed (NFKD without its ordering).
 * Two texts are equal, ordered, or one within the other, as their forms are byte for byte. Text that
 * is no UTF-8 is appended as it is (RFC 5051 section 2, step 1b).
 */
void casemap_add(struct str *ret, struct span text);
/* For searching: only the bytes that are no UTF-8 stay as they are, what is around them gets its form. */
void casemap_add_mixed(struct str *ret, struct span text, struct pace *pace);

#endif
