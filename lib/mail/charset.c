/* SPDX-License-Identifier: Apache-2.0 */
/*
 * charset.c - text of other charsets as UTF-8, with iconv
 *
 * The name comes from a client or a message and ends up in the name of a module that the C library
 * loads, so it is held to the characters of registered names (RFC 2978 section 2.3). Some names that mail programs
 * write are not the library's; and some stand for more than they say, as everybody reads them that way: what is called
 * GB2312 uses all of GBK.
 *
 * Runs in: imapd, cleanup (names and text are hostile). Logs nothing.
 */
#include "mail/charset.h"

#include <errno.h>
#include <iconv.h>

#include "base/chars.h"
#include "base/mem.h"
#include "base/utf8.h"

#define NAME_MAX_BYTES 64

static const struct {
    const char *name, *iconv;
} aliases[] = {
    { "euc-kr", "CP949" },
    { "gb2312", "GB18030" },
    { "gb_2312-80", "GB18030" },
    { "gbk", "GB18030" },
    { "iso-8859-6-i", "ISO-8859-6" },
    { "iso-8859-8-e", "ISO-8859-8" },
    { "iso-8859-8-i", "ISO-8859-8" },
    { "ks_c_5601-1987", "CP949" },
    { "ks_c_5601-1989", "CP949" },
    { "ksc5601", "CP949" },
    { "macroman", "MACINTOSH" },
    { "shift-jis", "CP932" },
    { "shift_jis", "CP932" },
    { "unicode-1-1-utf-7", "UTF-7" },
    { "windows-949", "CP949" },
    { "x-euc-jp", "EUC-JP" },
    { "x-euc-kr", "CP949" },
    { "x-gbk", "GB18030" },
    { "x-mac-cyrillic", "MAC-CYRILLIC" },
    { "x-mac-roman", "MACINTOSH" },
    { "x-sjis", "CP932" },
    { "x-windows-949", "CP949" },
    { "x-x-big5", "BIG5" },
};

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
    for (size_t i = 0; i < ARRAY_LEN(aliases); i++)
        if (span_eq_nocase_str(name, aliases[i].name))
            return iconv_open("UTF-8", aliases[i].iconv);
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

/* What of the text can be converted from its front on; at its end also what the converter still holds back. A part of
 * a character is left over. */
static int convert(iconv_t cd, struct span *text, struct pace *pace, struct str *ret)
{
    char *from = (char *)(uintptr_t)text->ptr; /* iconv's prototype; it does not write there */
    size_t left = text->len;
    int r = -E2BIG;

    while (r == -E2BIG) {
        char chunk[512], *to = chunk;
        size_t room = sizeof chunk;

        if (!pace_on(pace, sizeof chunk))
            return pace_error(pace);
        r = left > 0 ? iconv(cd, &from, &left, &to, &room) == (size_t)-1 : 0;
        if (r == 0)
            r = iconv(cd, NULL, NULL, &to, &room) == (size_t)-1;
        if (r != 0)
            r = -errno;
        str_add(ret, span_make(chunk, sizeof chunk - room));
    }
    *text = span_make(from, left);
    return r;
}

bool charset_convert(struct span text, struct span name, struct pace *pace, struct str *ret)
{
    iconv_t cd = open_charset(name);

    if (cd == (iconv_t)-1)
        return false;
    str_reserve(ret, text.len);
    while (convert(cd, &text, pace, ret) < 0 && text.len > 0 && pace_error(pace) == 0) {
        text = span_from(text, 1);
        str_add_char(ret, '?');
    }
    iconv_close(cd);
    return true;
}

int charset_convert_all(struct span text, struct span name, struct str *ret)
{
    size_t start = ret->len;

    if (charset_is_ours(name)) {
        if (!utf8_valid(text))
            return -EILSEQ;
        str_add(ret, text);
        return 0;
    }

    iconv_t cd = open_charset(name);

    if (cd == (iconv_t)-1)
        return -ENOENT;

    int r = convert(cd, &text, NULL, ret);

    iconv_close(cd);
    if (r == 0)
        return 0;
    str_truncate(ret, start);
    return -EILSEQ;
}
