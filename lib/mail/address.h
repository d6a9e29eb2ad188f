/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address.h - envelope addresses and header addresses
 *
 * "External form" is what travels between processes and is looked up in tables:
 * local@domain, the local part unquoted (`a b@example.com`), domain as given (an
 * A-label, a U-label with SMTPUTF8, or an address literal in brackets). "" is the
 * null sender. The quoted form for the wire is made by address_quote().
 */
#ifndef MAIL_ADDRESS_H
#define MAIL_ADDRESS_H

#include "base/str.h"

enum address_flags {
    ADDRESS_UTF8     = 1 << 0,  /* RFC 6531: UTF-8 allowed */
    ADDRESS_NULL     = 1 << 1,  /* "<>" allowed */
    ADDRESS_LENIENT  = 1 << 2,  /* no angle brackets needed, blanks around, as with strict_rfc821_envelopes = no */
    ADDRESS_NODOMAIN = 1 << 3,  /* "<postmaster>", "<user>" allowed */
};

/*
 * The path of MAIL FROM or RCPT TO at the front of *in (RFC 5321 section 4.1.2): "<...>"; source routes are
 * read and dropped. Takes it off *in; the rest holds the parameters. ret: external form, reset first.
 * 0; -EINVAL syntax; -EMSGSIZE longer than max.
 */
int address_parse_path(struct span *in, unsigned flags, size_t max, struct str *ret);

/* The parts of an external-form address: cut at the last '@'. domain empty when there is none. */
struct span address_local(struct span addr);
struct span address_domain(struct span addr);

/* Split user+ext at the first delimiter, which belongs to neither; ext empty when there is none. owner-x
 * and x-request are never split when '-' is a delimiter, nor are mailer-daemon, postmaster, double-bounce. */
void address_split_extension(struct span local, const char *delimiters, struct span *user, struct span *ext);

/* External form -> wire form: the local part quoted where RFC 5321 needs it. Appended. */
void address_quote(struct str *ret, struct span addr);

/* Is the domain part syntactically a host name / an address literal? */
bool address_domain_valid(struct span domain);
/* "[192.0.2.1]", "[IPv6:2001:db8::1]": the inner text, or false. */
bool address_literal(struct span domain, struct span *ret);

/* ---- header fields (RFC 5322 section 3.4, with obsolete syntax and common errors tolerated): address_header.c ---- */

struct header_address {
    struct span display;        /* raw phrase or comment, or the group's name; enclosing quotes removed; points into list.text */
    struct span route;          /* "@a,@b" of "<@a,@b:c@d>"; empty if none; points into list.text */
    struct str mailbox;         /* local part, unquoted */
    struct str host;            /* domain; empty if none */
    /* HDR_ADDR_NAME: a name only, with no address, or none that could be read, such as "MAILER-DAEMON <>" */
    enum { HDR_ADDR_MAILBOX, HDR_ADDR_GROUP_START, HDR_ADDR_GROUP_END, HDR_ADDR_NAME } kind;
};

struct header_address_list {
    struct header_address *items;
    size_t len, cap;
    struct str text;            /* unfolded copy that displays point into */
};

/* Parse an address list; at most max items. Never fails: what cannot be parsed is a name or skipped. *ret is set. */
void header_addresses_parse(struct span value, size_t max, struct header_address_list *ret);
void header_addresses_done(struct header_address_list *l);

/* Rewrite every address of a header value through fn (external form in and out; returns 1 if changed);
 * display names, comments and folding stay as they are. 1 if the value changed (*ret set), 0 not. */
int header_addresses_rewrite(struct span value, int (*fn)(struct span in, struct str *out, void *arg),
                             void *arg, struct str *ret);

#endif
