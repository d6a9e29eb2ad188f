/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mailbox_name.c - names and patterns of mailboxes (RFC 3501 sections 5.1 and 6.3.8)
 *
 * Runs in: imapd (names are the client's). Logs nothing.
 */
#include "mailbox_name.h"

#include <errno.h>

#include "base/chars.h"
#include "base/utf8.h"
#include "mailbox/mutf7.h"
#include "reply.h"

static const struct span inbox = SPAN("INBOX");

static bool has_high(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (char_is(s.ptr[i], CHAR_HIGH))
            return true;
    return false;
}

int mailbox_name_decode(struct span wire, enum name_form form, struct str *ret)
{
    str_reset(ret);
    if (form == NAMES_UTF8 || has_high(wire)) {
        if (!utf8_valid(wire))
            return -EINVAL;
        str_add(ret, wire);
    } else if (mutf7_decode(wire, ret) < 0) {
        return -EINVAL;
    }
    /* INBOX, and INBOX/x, in any case */
    if (span_starts_nocase(str_span(ret), inbox) &&
        (ret->len == inbox.len || ret->data[inbox.len] == MAILBOX_SEPARATOR))
        memcpy(ret->data, inbox.ptr, inbox.len);
    str_cstr(ret);
    return 0;
}

void put_mailbox_name(struct str *out, struct span name, enum name_form form)
{
    _cleanup_(str_free) struct str wire = STR_INIT;

    /* RFC 6855 section 3: quoted strings may hold UTF-8 then */
    if (form == NAMES_UTF8 && has_high(name) && utf8_valid(name)) {
        put_utf8_quoted(out, name);
        return;
    }
    if (form == NAMES_UTF8) {
        put_astring(out, name);
        return;
    }

    /* What is no UTF-8 cannot have come in as a name; a folder that another program made is shown
     * raw. */
    if (mutf7_encode(name, "", &wire) < 0)
        str_set(&wire, name);
    put_astring(out, str_span(&wire));
}

/*
 * Greedy matching that goes back only to the last wildcard: after a "*" that is always enough; a
 * "%" can besides be undone for the sake of a "*" before it, so both places are kept.
 */
bool mailbox_name_matches(struct span name, struct span pattern)
{
    size_t n = 0, p = 0;
    size_t star_n = 0, star_p = SIZE_MAX, percent_n = 0, percent_p = SIZE_MAX;

    while (n < name.len || p < pattern.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star_p = ++p;
            star_n = n;
            percent_p = SIZE_MAX;
        } else if (p < pattern.len && pattern.ptr[p] == '%') {
            percent_p = ++p;
            percent_n = n;
        } else if (n < name.len && p < pattern.len && name.ptr[n] == pattern.ptr[p]) {
            n++;
            p++;
        } else if (percent_p != SIZE_MAX && percent_n < name.len &&
                   name.ptr[percent_n] != MAILBOX_SEPARATOR) {
            n = ++percent_n;
            p = percent_p;
        } else if (star_p != SIZE_MAX && star_n < name.len) {
            n = ++star_n;
            p = star_p;
            percent_p = SIZE_MAX;
        } else {
            return false;
        }
    }
    return true;
}
