/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mime_encode.c - quoted-printable and base64 bodies
 *
 * RFC 2045 sections 6.7 and 6.8.
 *
 * Runs in: smtp, smtpd (input is hostile). Logs nothing.
 */
#include "mail/mime_encode.h"

#include <string.h>

void mime_encode_quoted(struct span bytes, size_t *column, struct str *ret)
{
    static const char hex[] = "0123456789ABCDEF";

    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.ptr[i];
        bool blank = c == ' ' || c == '\t';
        char next = i + 1 < bytes.len ? bytes.ptr[i + 1] : '\n';

        if (c == '\n' || (c == '\r' && next == '\n')) {
            str_add_char(ret, (char)c);
            *column = 0;
            continue;
        }
        /* A blank at the end of a line, and what could be taken for an end of DATA or an mbox line,
         * are encoded too. */
        bool plain = blank ? next != '\r' && next != '\n'
                           : c > ' ' && c < 0x7f && c != '=' && !(*column == 0 && c == '.');
        if (*column + (plain ? 1 : 3) > 75) {
            str_add_str(ret, "=\r\n");
            *column = 0;
        }
        if (plain)
            str_add_char(ret, (char)c);
        else
            str_addf(ret, "=%c%c", hex[c >> 4], hex[c & 15]);
        *column += plain ? 1 : 3;
    }
}

enum { BASE64_LINE = 57 };      /* bytes that make 76 characters */

void mime_encode_base64(struct str *waiting, bool last, struct str *ret)
{
    struct span in = str_span(waiting);

    while (in.len >= BASE64_LINE + 2 || (last && in.len > 0)) {
        str_add_base64(ret, span_first(in, BASE64_LINE));
        str_add_str(ret, "\r\n");
        in = span_from(in, BASE64_LINE);
    }
    if (in.len > 0 && in.len < waiting->len)
        memmove(waiting->data, in.ptr, in.len);
    str_truncate(waiting, in.len);
}
