/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mime_encode.h - the body encodings of RFC 2045, for bytes that stream by
 */
#ifndef MAIL_MIME_ENCODE_H
#define MAIL_MIME_ENCODE_H

#include "base/str.h"

/*
 * Append text as quoted-printable; line ends stay line ends.
 *
 * bytes     cut only at line ends, or where the line goes on with neither CR nor LF
 * column    of the output line that is being written; 0 at first
 */
void mime_encode_quoted(struct span bytes, size_t *column, struct str *ret);

/*
 * Append bytes as base64 in lines of 76 characters, each with CRLF. `waiting` holds what does not fill a line, and always the
 * last two bytes: who finds that they are a CRLF that belongs to a delimiter takes them off before the last call.
 *
 * waiting   what is to be encoded; what was is gone from it
 * last      encode all of it
 */
void mime_encode_base64(struct str *waiting, bool last, struct str *ret);

#endif
