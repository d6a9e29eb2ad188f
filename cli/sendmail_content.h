/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sendmail_content.h - reading a message from standard input
 */
#ifndef CLI_SENDMAIL_CONTENT_H
#define CLI_SENDMAIL_CONTENT_H

#include <stdint.h>
#include <stdio.h>

#include "base/str.h"

enum content_form {
    CONTENT_PLAIN, /* ends with the input (-i) */
    CONTENT_DOT,   /* or with a line that is a lone dot */
    CONTENT_SMTP,  /* must end with a lone dot; dots are stuffed (RFC 5321 section 4.5.2) */
};

/*
 * Read a message, lines ending with LF or CRLF, and append it with CRLF lines. In the plain and dot
 * forms a "From " line in front, as mailboxes have it, is left out.
 *
 * Returns 0, or
 *   -EMSGSIZE   longer than max bytes (0: no limit); in the SMTP form it has been read to its end
 *   -ENODATA    SMTP form: the input ended before the dot
 *   -errno      the input cannot be read
 */
int content_read(FILE *in, enum content_form form, uint64_t max, struct str *ret);

/* Has it bytes above 127? */
bool content_is_8bit(struct span content);

/* "From: Full Name <sender>" CRLF in front of a content that has no From field. Nothing if
 * full_name is empty. */
void content_add_from(struct str *content, struct span full_name, struct span sender);

#endif
