/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status.h - SMTP replies and enhanced status codes (RFC 5321 section 4.2, RFC 3463)
 */
#ifndef MAIL_STATUS_H
#define MAIL_STATUS_H

#include "base/str.h"

struct smtp_reply {
    int code;               /* 250 */
    char dsn[16];           /* "2.1.5", or made from the code ("5.0.0") when the peer gave none */
    struct str text;        /* all lines joined by blanks, code and dsn kept as received */
};

/* "5.7.1" at the front of text? Sets *ret (16 bytes) and returns its length, else 0. */
size_t status_dsn_parse(struct span text, char ret[static 16]);

/* One line of a reply: "250-text" / "250 text". 0 last line, 1 more follow, -EINVAL. */
int status_reply_line(struct span line, int *ret_code, struct span *ret_text);

#endif
