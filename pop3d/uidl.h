/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uidl.h - unique-ids of messages (RFC 1939 section 7, UIDL) in the form that another server gave them
 *
 * A mail program fetches again all messages whose unique-ids change, so that a server that follows another must give
 * the same ones. pop3_uidl_format is Dovecot's:
 *
 *   %u   UID              %08Xu   the same, hexadecimal, at least 8 digits
 *   %v   UIDVALIDITY      %08Xv
 *   %f, %g   the file name without its flags
 *   %%   a percent sign
 *
 * "%08Xu%08Xv" is Dovecot's own; Courier's are "UID%u-%v", "%v-%u" of older versions, and "%f" of the first.
 */
#ifndef POP3D_UIDL_H
#define POP3D_UIDL_H

#include "base/str.h"

#define UIDL_MAX 70     /* RFC 1939 section 7 */

/* Is the format good? 0, or -EINVAL with *err that says what is expected. */
int uidl_check(const char *format, struct str *err);
/* Does it name the file? */
bool uidl_needs_file(const char *format);

/*
 * Set *ret by a format that uidl_check() has taken. One that would be empty, longer than 70 bytes or hold
 * other than printable ASCII (a strange file name) is "%08Xu%08Xv".
 */
void uidl_make(const char *format, uint32_t uid, uint32_t uidvalidity, struct span file_base, struct str *ret);

#endif
