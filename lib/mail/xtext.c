/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xtext.c - ENVID and ORCPT values, decoded and encoded
 *
 * RFC 3461 section 4: xchar is any ASCII character between "!" and "~"
 * but "+" and "="; hexchar is "+" and two upper-case digits. Lower-case digits are
 * read as well, since senders write them.
 *
 * Runs in: smtpd (input is hostile), smtp. Logs nothing.
 */
#include "mail/xtext.h"

#include <errno.h>

#include "base/chars.h"

static bool is_xchar(char c)
{
    return c >= '!' && c <= '~' && c != '+' && c != '=';
}

int xtext_decode(struct span text, struct str *ret)
{
    str_reset(ret);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (c == '+' && text.len - i >= 3 && char_hex(text.ptr[i + 1]) >= 0 &&
            char_hex(text.ptr[i + 2]) >= 0) {
            c = (char)(char_hex(text.ptr[i + 1]) << 4 | char_hex(text.ptr[i + 2]));
            i += 2;
        } else if (!is_xchar(c)) {
            str_reset(ret);
            return -EINVAL;
        }
        str_add_char(ret, c);
    }
    return 0;
}

void xtext_encode(struct str *ret, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (is_xchar(text.ptr[i]))
            str_add_char(ret, text.ptr[i]);
        else
            str_addf(ret, "+%02X", (unsigned)(unsigned char)text.ptr[i]);
    }
}
