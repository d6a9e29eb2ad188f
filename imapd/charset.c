/* SPDX-License-Identifier: Apache-2.0 */
/*
 * charset.c - text of other charsets as UTF-8, with iconv
 *
 * The name comes from a client or a message and ends up in the name of a module that the C library
 * loads, so it is held to the characters of registered names (RFC 2978 section 2.3).
 *
 * Runs in: imapd (names and text are hostile). Logs nothing.
 */
#include "charset.h"

#include <errno.h>
#include <iconv.h>

#include "base/chars.h"

#define NAME_MAX_BYTES 64

bool charset_is_ours(struct span name)
{
    return span_eq_nocase_str(name, "utf-8") || span_eq_nocase_str(name, "us-ascii");
}

static iconv_t open_charset(struct span name)
{
    static const struct span others = SPAN("-_.:+()");
    char terminated[NAME_MAX_BYTES + 1] = "";

    if (name.len == 0 || name.len > NAME_MAX_BYTES)
        return (iconv_t)-1;
    for (size_t i = 0; i < name.len; i++)
        if (!char_is(name.ptr[i], CHAR_ALNUM) && span_chr(others, name.ptr[i]) < 0)
            return (iconv_t)-1;
    memcpy(terminated, name.ptr, name.len);
    return iconv_open("UTF-8", terminated);
}

bool charset_known(struct span name)
{
    iconv_t cd = charset_is_ours(name) ? (iconv_t)-1 : open_charset(name);

    if (cd == (iconv_t)-1)
        return charset_is_ours(name);
    iconv_close(cd);
    return true;
}

bool charset_convert(struct span text, struct span name, struct str *ret)
{
    iconv_t cd = open_charset(name);
    char *from = (char *)text.ptr; /* iconv's prototype; it does not write there */
    size_t left = text.len;

    if (cd == (iconv_t)-1)
        return false;
    str_reserve(ret, text.len);
    while (left > 0) {
        char chunk[512], *to = chunk;
        size_t room = sizeof(chunk);
        size_t r = iconv(cd, &from, &left, &to, &room);

        str_add(ret, span_make(chunk, sizeof(chunk) - room));
        if (r == (size_t)-1 && errno != E2BIG) {
            from++;
            left--;
            str_add_char(ret, '?');
        }
    }
    iconv_close(cd);
    return true;
}
