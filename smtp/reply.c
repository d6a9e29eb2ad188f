/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply.c - what a server answers, line by line
 *
 * RFC 5321 section 4.2. Reading is connection.c's matter, so that this can be tested and fuzzed
 * without a connection.
 *
 * Runs in: smtp. Every byte is hostile: replies are bounded in lines and length.
 */
#include <errno.h>

#include "smtp/smtp.h"

enum { REPLY_LINES_MAX = 200, REPLY_TEXT_MAX = 8192 };

int reply_add_line(struct smtp_reply *reply, unsigned number, struct span line,
                   struct span *ret_text)
{
    struct span text;
    int code;
    int more = status_reply_line(line, &code, &text);

    if (more < 0 || number >= REPLY_LINES_MAX || (number > 0 && code != reply->code))
        return -EPROTO;
    reply->code = code;
    if (reply->text.len < REPLY_TEXT_MAX) {
        if (number > 0)
            str_add_char(&reply->text, ' ');
        str_add_escaped(&reply->text, text, REPLY_TEXT_MAX, STR_UTF8);
    }
    *ret_text = text;
    return more;
}

void reply_set_dsn(struct smtp_reply *reply)
{
    if (status_dsn_parse(str_span(&reply->text), reply->dsn) == 0 ||
        reply->dsn[0] - '0' != reply->code / 100)
        snprintf(reply->dsn, sizeof reply->dsn, "%d.0.0", reply->code / 100);
}

void reply_done(struct smtp_reply *reply)
{
    str_free(&reply->text);
}
