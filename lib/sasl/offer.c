/* SPDX-License-Identifier: Apache-2.0 */
/*
 * offer.c - which SASL mechanisms a server offers
 *
 * Runs in: smtpd, imapd-login, pop3d-login (initial responses are hostile). Logs nothing.
 */
#include "sasl/offer.h"

#include <errno.h>

#include "base/chars.h"

#define SEPARATORS ", \t\r\n"

static bool fits(struct span name, bool tls)
{
    return tls || !span_ends_nocase(name, span_of("-PLUS"));
}

void sasl_offer(const char *mechanisms, bool tls, const char *prefix, struct str *ret)
{
    struct span list = span_of(mechanisms), name;

    while (span_word(&list, SEPARATORS, &name)) {
        if (!fits(name, tls))
            continue;
        str_add_str(ret, prefix);
        for (size_t i = 0; i < name.len; i++)
            str_add_char(ret, char_upper(name.ptr[i]));
    }
}

bool sasl_is_offered(const char *mechanisms, bool tls, struct span name)
{
    struct span list = span_of(mechanisms), word;

    while (span_word(&list, SEPARATORS, &word))
        if (span_eq_nocase(word, name))
            return fits(word, tls);
    return false;
}

int sasl_initial_parse(struct span text, struct str *ret)
{
    return span_eq_str(text, "=") ? 0 : str_add_unbase64(ret, text);
}
