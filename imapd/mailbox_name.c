/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mailbox_name.c - names and patterns of mailboxes (RFC 3501 sections 5.1 and 6.3.8)
 *
 * Runs in: imapd (names are the client's). Logs nothing.
 */
#include "mailbox_name.h"

#include <errno.h>

#include "base/chars.h"
#include "base/mem.h"
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

/* The part of a pattern that is done, as the ends of the names that it matches: reach[n] for the first n bytes. */
struct matching {
    struct span name;
    bool *reach;
    size_t first; /* the least that is reached; behind the name: none */
    size_t last;  /* none beyond it is */
};

static void after_star(struct matching *m)
{
    for (size_t n = m->first; n <= m->name.len; n++)
        m->reach[n] = true;
    m->last = m->name.len;
}

static void after_percent(struct matching *m)
{
    for (size_t n = m->first; n <= m->last && n < m->name.len; n++) {
        m->reach[n + 1] |= m->reach[n] && m->name.ptr[n] != MAILBOX_SEPARATOR;
        if (n == m->last && m->reach[n + 1])
            m->last++;
    }
}

static void after_char(struct matching *m, char c)
{
    m->last += m->last < m->name.len;
    for (size_t n = m->last; n > m->first; n--)
        m->reach[n] = m->reach[n - 1] && m->name.ptr[n - 1] == c;
    m->reach[m->first] = false;
    while (m->first <= m->name.len && !m->reach[m->first])
        m->first++;
}

/*
 * All places at once, so that no pattern takes longer than the product of both lengths. Going back to wildcards instead
 * would take its cube where "*" and "%" stand in one pattern. Wildcards in a row are one.
 */
bool mailbox_name_matches(struct span name, struct span pattern)
{
    _cleanup_free_ bool *reach = mem_calloc(name.len + 1, sizeof *reach);
    struct matching m = { .name = name, .reach = reach };
    char last = '\0';

    reach[0] = true;
    for (size_t i = 0; i < pattern.len && m.first <= name.len; i++) {
        char c = pattern.ptr[i];

        if (c == '*' && last != '*')
            after_star(&m);
        else if (c == '%' && last != '*' && last != '%')
            after_percent(&m);
        else if (c != '*' && c != '%')
            after_char(&m, c);
        if (c != '%' || last != '*')
            last = c;
    }
    return m.first <= name.len && reach[name.len];
}
