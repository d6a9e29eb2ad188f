/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address.c - envelope addresses: read from SMTP, taken apart, written again
 *
 * RFC 5321 section 4.1.2, with RFC 6531 section 3.3 for UTF-8. An address is unquoted
 * as soon as it is read, so that "a"@x and a@x are one key in every table, and
 * quoted again only when it goes to a wire. Control characters are refused in
 * every mode: they could end a command or a header line later.
 *
 * Runs in: smtpd, cleanup, qmgr, smtp (input is hostile). Logs nothing.
 */
#include "mail/address.h"

#include <arpa/inet.h>
#include <errno.h>

#include "base/chars.h"
#include "base/mem.h"
#include "base/own.h"
#include "base/utf8.h"

#define LABEL_MAX  63
#define DOMAIN_MAX 255

static bool is_atext(char c, unsigned flags)
{
    return char_is(c, CHAR_ATEXT) || ((flags & ADDRESS_UTF8) && char_is(c, CHAR_HIGH));
}

/* A-d-l ":" of an obsolete source route: read and dropped (RFC 5321 appendix C) */
static int skip_source_route(struct span *in)
{
    if (in->len == 0 || in->ptr[0] != '@')
        return 0;

    struct span rest = *in;
    struct span route = span_cut(&rest, ':');

    if (route.len == in->len || span_chr(route, '>') >= 0)
        return -EINVAL;
    while (route.len > 0) {
        struct span hop = span_cut(&route, ',');

        if (!span_take(&hop, '@') || !address_domain_valid(hop))
            return -EINVAL;
    }
    *in = rest;
    return 0;
}

/* Quoted-string; the opening quote has been seen */
static int parse_quoted(struct span *in, unsigned flags, struct str *ret)
{
    for (size_t i = 1; i < in->len; i++) {
        char c = in->ptr[i];

        if (c == '"') {
            *in = span_from(*in, i + 1);
            return 0;
        }
        if (c == '\\') {
            if (++i == in->len)
                return -EINVAL;
            c = in->ptr[i];
        }
        if (char_is(c, CHAR_CTL) || (char_is(c, CHAR_HIGH) && !(flags & ADDRESS_UTF8)))
            return -EINVAL;
        str_add_char(ret, c);
    }
    return -EINVAL;
}

/* Local-part: Dot-string or Quoted-string; lenient: any row of words and dots */
static int parse_local(struct span *in, unsigned flags, struct str *ret)
{
    bool lenient = flags & ADDRESS_LENIENT;
    bool dot = true; /* at the start or after a dot, where another dot is wrong */

    while (in->len > 0) {
        char c = in->ptr[0];

        if (c == '"' && (lenient || ret->len == 0)) {
            int r = parse_quoted(in, flags, ret);

            if (r < 0 || !lenient)
                return r;
            dot = false;
        } else if (c == '.') {
            if (dot && !lenient)
                return -EINVAL;
            dot = true;
            str_add_char(ret, c);
            *in = span_from(*in, 1);
        } else if (is_atext(c, flags)) {
            dot = false;
            str_add_char(ret, c);
            *in = span_from(*in, 1);
        } else {
            break;
        }
    }
    if (ret->len == 0 || (dot && !lenient))
        return -EINVAL;
    return 0;
}

/* Domain or address-literal: up to ">" or a blank */
static int parse_domain(struct span *in, unsigned flags, struct str *ret)
{
    size_t len = 0;

    while (len < in->len && in->ptr[len] != '>' && in->ptr[len] != ' ')
        len++;

    struct span domain = span_first(*in, len);
    struct span inner;

    if ((flags & ADDRESS_LENIENT) && domain.len > 1 && domain.ptr[domain.len - 1] == '.')
        domain.len--;
    if (!address_literal(domain, &inner) && !address_domain_valid(domain))
        return -EINVAL;
    str_add(ret, domain);
    *in = span_from(*in, len);
    return 0;
}

/* Mailbox: Local-part "@" ( Domain / address-literal ) */
static int parse_mailbox(struct span *in, unsigned flags, struct str *ret)
{
    int r = parse_local(in, flags, ret);

    if (r < 0)
        return r;
    if (span_take(in, '@')) {
        str_add_char(ret, '@');
        r = parse_domain(in, flags, ret);
        if (r < 0)
            return r;
    } else if (!(flags & ADDRESS_NODOMAIN) || span_chr(str_span(ret), '@') >= 0) {
        return -EINVAL; /* a quoted "@" without a domain would be taken for one */
    }
    return utf8_valid(str_span(ret)) ? 0 : -EINVAL;
}

int address_parse_path(struct span *in, unsigned flags, size_t max, struct str *ret)
{
    struct span rest = *in;

    str_reset(ret);
    if (flags & ADDRESS_LENIENT)
        rest = span_skip_ws(rest);

    bool bracket = span_take(&rest, '<');

    if (!bracket && !(flags & ADDRESS_LENIENT))
        return -EINVAL;
    if (bracket && (flags & ADDRESS_LENIENT))
        rest = span_skip_ws(rest);
    if (bracket && span_take(&rest, '>')) {
        if (!(flags & ADDRESS_NULL))
            return -EINVAL;
        *in = rest;
        return 0;
    }

    int r = bracket ? skip_source_route(&rest) : 0;

    if (r == 0)
        r = parse_mailbox(&rest, flags, ret);
    if (r == 0 && bracket) {
        if (flags & ADDRESS_LENIENT)
            rest = span_skip_ws(rest);
        r = span_take(&rest, '>') ? 0 : -EINVAL;
    }
    if (r == 0 && rest.len > 0 && rest.ptr[0] != ' ')
        r = -EINVAL;
    if (r == 0 && ret->len > max)
        r = -EMSGSIZE;
    if (r < 0) {
        str_reset(ret);
        return r;
    }
    *in = rest;
    return 0;
}

struct span address_local(struct span addr)
{
    ptrdiff_t at = span_rchr(addr, '@');

    return at < 0 ? addr : span_first(addr, (size_t)at);
}

struct span address_domain(struct span addr)
{
    ptrdiff_t at = span_rchr(addr, '@');

    return at < 0 ? SPAN_NULL : span_from(addr, (size_t)at + 1);
}

/* Names that are never split, and with '-' as a delimiter those of mailing lists */
static bool never_split(struct span local, const char *delimiters)
{
    static const struct span whole[] = { SPAN("mailer-daemon"), SPAN("postmaster"),
                                         SPAN("double-bounce") };
    static const struct span owner = SPAN("owner-"), request = SPAN("-request");

    for (size_t i = 0; i < ARRAY_LEN(whole); i++)
        if (span_eq_nocase(local, whole[i]))
            return true;
    return strchr(delimiters, '-') &&
           (span_starts_nocase(local, owner) || span_ends_nocase(local, request));
}

void address_split_extension(struct span local, const char *delimiters, struct span *user,
                             struct span *ext)
{
    *user = local;
    *ext = SPAN_NULL;
    if (*delimiters == '\0' || never_split(local, delimiters))
        return;
    for (size_t i = 1; i < local.len; i++) {
        if (local.ptr[i] == '\0' || !strchr(delimiters, local.ptr[i]))
            continue;
        *user = span_first(local, i);
        *ext = span_from(local, i + 1);
        return;
    }
}

static bool is_dot_string(struct span local)
{
    bool dot = true;

    for (size_t i = 0; i < local.len; i++) {
        bool this_dot = local.ptr[i] == '.';

        if (this_dot ? dot : !is_atext(local.ptr[i], ADDRESS_UTF8))
            return false;
        dot = this_dot;
    }
    return !dot;
}

void address_quote(struct str *ret, struct span addr)
{
    struct span local = address_local(addr);

    if (addr.len == 0)
        return;
    if (is_dot_string(local)) {
        str_add(ret, addr);
        return;
    }
    str_add_char(ret, '"');
    for (size_t i = 0; i < local.len; i++) {
        char c = local.ptr[i];

        if (c == '"' || c == '\\')
            str_add_char(ret, '\\');
        /* No form of an address can hold these, and a CR LF would start a new command. */
        str_add_char(ret, char_is(c, CHAR_CTL) ? '?' : c);
    }
    str_add_char(ret, '"');
    str_add(ret, span_from(addr, local.len));
}

/* sub-domain: letters, digits, hyphens within; underscores are in use; bytes of U-labels */
static bool label_valid(struct span label)
{
    if (label.len == 0 || label.len > LABEL_MAX || label.ptr[0] == '-' ||
        label.ptr[label.len - 1] == '-')
        return false;
    for (size_t i = 0; i < label.len; i++)
        if (!char_is(label.ptr[i], CHAR_ALNUM | CHAR_HIGH) && label.ptr[i] != '-' &&
            label.ptr[i] != '_')
            return false;
    return true;
}

bool address_domain_valid(struct span domain)
{
    if (domain.len == 0 || domain.len > DOMAIN_MAX || domain.ptr[domain.len - 1] == '.')
        return false;
    while (domain.len > 0)
        if (!label_valid(span_cut(&domain, '.')))
            return false;
    return true;
}

bool address_literal(struct span domain, struct span *ret)
{
    static const struct span tag = SPAN("IPv6:");
    char text[INET6_ADDRSTRLEN];
    unsigned char addr[16];

    if (domain.len < 3 || domain.ptr[0] != '[' || domain.ptr[domain.len - 1] != ']')
        return false;

    struct span inner = span_from(span_first(domain, domain.len - 1), 1);
    int family = AF_INET;

    if (span_starts_nocase(inner, tag)) {
        inner = span_from(inner, tag.len);
        family = AF_INET6;
    }
    if (inner.len >= sizeof(text) || memchr(inner.ptr, 0, inner.len))
        return false;
    memcpy(text, inner.ptr, inner.len);
    text[inner.len] = '\0';
    if (inet_pton(family, text, addr) != 1)
        return false;
    *ret = inner;
    return true;
}
