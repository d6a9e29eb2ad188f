/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pop3_lang.c - POP3's LANG command, of a server whose answers are in English
 *
 * The argument is a basic language range (RFC 4647 section 2.1), which matches the tags that it is or is the beginning of
 * (section 3.3.1): "en" and "*" match the one that there is, "en-GB" does not.
 *
 * Runs in: pop3d-login, pop3d. The argument is the client's.
 */
#include "mail/pop3_lang.h"

const char *pop3_lang_answer(struct span range)
{
    if (range.len == 0)
        return "+OK Language listing follows:\r\nen English\r\n.\r\n";
    if (span_eq_str(range, "*") || span_eq_nocase_str(range, "en"))
        return "+OK en The language is English.\r\n";
    return "-ERR There is no such language.\r\n";
}
