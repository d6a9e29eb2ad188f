/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idna.h - domain names with letters beyond ASCII, as the DNS knows them (RFC 5890)
 */
#ifndef MAIL_IDNA_H
#define MAIL_IDNA_H

#include "base/str.h"

/* Is every byte ASCII? */
bool idna_is_ascii(struct span text);

/*
 * The A-label form of a domain, lower case: "B\xc3\xbcro.example" becomes "xn--bro-hoa.example". A name that
 * is ASCII already is only folded. ret is reset first. 0, or -EINVAL: no valid name (ret is empty).
 */
int idna_to_ascii(struct span domain, struct str *ret);

#endif
