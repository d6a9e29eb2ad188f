/* SPDX-License-Identifier: Apache-2.0 */
/*
 * header.h - iterating over the header section of a message, field by field
 *
 * Works on raw bytes, CRLF or LF lines, folded fields (RFC 5322 section 2.2). A line that is no field
 * ends the header section, as does an empty line (which belongs to neither header nor body).
 */
#ifndef MAIL_HEADER_H
#define MAIL_HEADER_H

#include "base/str.h"

struct header_field {
    struct span raw;        /* whole field with all its lines and final line end */
    struct span name;       /* without colon and blanks before it */
    struct span value;      /* after the colon, still folded, without the last line end */
};

/* Take the next field off the front of *in. 1: *ret set. 0: end of the header section; an empty
 * line has been taken off, so *in is the body. -EMSGSIZE: a field longer than max has been taken off;
 * *ret is set, raw is all of it, name and value are cut to what lies in its first max bytes. */
int header_next(struct span *in, size_t max, struct header_field *ret);

/* The first field of that name; false if none. */
bool header_find(struct span header, const char *name, struct span *ret_value);

/* Unfold: line ends removed; other control characters become blanks. Appended. */
void header_unfold(struct span value, struct str *ret);

/* Unfold and decode RFC 2047 encoded words to UTF-8 (iconv); what cannot be decoded is kept as it is.
 * Appended. */
void header_decode(struct span value, struct str *ret);

#endif
