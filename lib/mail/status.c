/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status.c - the numbers in SMTP replies
 *
 * RFC 5321 section 4.2 for the line, RFC 3463 section 2 for the enhanced code.
 *
 * Runs in: smtp, bounce, smtpd (replies of next hops are hostile). Logs nothing.
 */
#include "mail/status.h"

#include <errno.h>

#include "base/chars.h"

/* 1*3DIGIT at the front of text, or 0 */
static size_t digits(struct span text)
{
    size_t n = 0;

    while (n < text.len && n < 4 && char_is(text.ptr[n], CHAR_DIGIT))
        n++;
    return n <= 3 ? n : 0;
}

size_t status_dsn_parse(struct span text, char ret[static 16])
{
    if (text.len < 5 || (text.ptr[0] != '2' && text.ptr[0] != '4' && text.ptr[0] != '5') ||
        text.ptr[1] != '.')
        return 0;

    size_t subject = digits(span_from(text, 2));

    if (subject == 0 || text.len <= 2 + subject || text.ptr[2 + subject] != '.')
        return 0;

    size_t detail = digits(span_from(text, 3 + subject));
    size_t len = 3 + subject + detail;

    if (detail == 0 || (len < text.len && !char_is(text.ptr[len], CHAR_BLANK)))
        return 0;
    memcpy(ret, text.ptr, len);
    ret[len] = '\0';
    return len;
}

int status_reply_line(struct span line, int *ret_code, struct span *ret_text)
{
    uint32_t code;

    if (line.len < 3 || span_u32(span_first(line, 3), 599, &code) < 0 || code < 200)
        return -EINVAL;

    char mark = line.len > 3 ? line.ptr[3] : ' ';

    if (mark != ' ' && mark != '-')
        return -EINVAL;
    *ret_code = (int)code;
    *ret_text = span_from(line, 4);
    return mark == '-';
}
