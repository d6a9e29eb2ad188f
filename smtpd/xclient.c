/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xclient.c - XCLIENT and XFORWARD: a trusted relay or filter says whose mail it is
 *
 * Postfix's extensions (XCLIENT_README, XFORWARD_README). XCLIENT makes the session that of another client, for access rules
 * and log lines; XFORWARD is about the log and the queue file only, and about one message. Both carry
 * name=value pairs in xtext. All are read before one is applied, so a mistake changes nothing.
 *
 * Runs in: smtpd (whoever may use these is trusted, what he passes on is hostile). Logs whom XCLIENT names.
 */
#include "smtpd/xclient.h"

#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/own.h"
#include "mail/address.h"
#include "mail/xtext.h"
#include "smtpd/client.h"
#include "smtpd/command.h"
#include "smtpd/filter.h"
#include "smtpd/limits.h"
#include "smtpd/reply.h"
#include "smtpd/session.h"

enum attribute {
    X_NAME, X_REVERSE_NAME, X_ADDR, X_PORT, X_HELO, X_PROTO, X_LOGIN, X_DESTADDR, X_DESTPORT, X_IDENT, X_SOURCE,
    X_COUNT,
};

static const struct span attribute_names[X_COUNT] = {
    [X_NAME] = SPAN("NAME"),         [X_REVERSE_NAME] = SPAN("REVERSE_NAME"), [X_ADDR] = SPAN("ADDR"),
    [X_PORT] = SPAN("PORT"),         [X_HELO] = SPAN("HELO"),                 [X_PROTO] = SPAN("PROTO"),
    [X_LOGIN] = SPAN("LOGIN"),       [X_DESTADDR] = SPAN("DESTADDR"),         [X_DESTPORT] = SPAN("DESTPORT"),
    [X_IDENT] = SPAN("IDENT"),       [X_SOURCE] = SPAN("SOURCE"),
};

/* What one command says. */
struct claims {
    enum { NOT_SAID, SAID, UNAVAILABLE, TEMPUNAVAIL } state[X_COUNT];
    struct str value[X_COUNT];
};

static void claims_done(struct claims *c)
{
    for (size_t i = 0; i < X_COUNT; i++)
        str_free(&c->value[i]);
}

/* ---- values ---- */

/* "192.0.2.1", "IPV6:2001:db8::1" */
static int parse_addr(struct span text, union sockaddr_any *ret)
{
    span_take_nocase(&text, "IPV6:");
    return socket_addr_parse(text, 0, ret);
}

static bool is_valid(enum attribute what, struct span value)
{
    union sockaddr_any addr;
    uint64_t n;

    switch (what) {
    case X_NAME:
    case X_REVERSE_NAME:
        return value.len <= HELO_MAX && address_domain_valid(value);
    case X_ADDR:
    case X_DESTADDR:
        return parse_addr(value, &addr) == 0;
    case X_PORT:
    case X_DESTPORT:
        return span_u64(value, 65535, &n) == 0;
    case X_PROTO:
        return span_eq_nocase_str(value, "SMTP") || span_eq_nocase_str(value, "ESMTP");
    case X_SOURCE:
        return span_eq_nocase_str(value, "LOCAL") || span_eq_nocase_str(value, "REMOTE");
    case X_HELO:
        return value.len <= HELO_MAX;
    case X_LOGIN:
        return value.len < ADDRESS_BYTES;
    case X_IDENT:
        return value.len < 64;
    case X_COUNT:
        break;
    }
    return false;
}

static enum attribute find_attribute(struct span name, const char *allowed)
{
    struct span list = span_of(allowed), word;

    while (span_word(&list, " ", &word))
        if (span_eq_nocase(word, name))
            for (enum attribute i = 0; i < X_COUNT; i++)
                if (span_eq(attribute_names[i], word))
                    return i;
    return X_COUNT;
}

/* One name=value; false: answered */
static bool take_claim(struct smtpd *s, struct span text, const char *allowed, struct claims *ret)
{
    _cleanup_(str_free) struct str shown = STR_INIT;
    struct span value = text, name = span_cut(&value, '=');
    enum attribute what = find_attribute(name, allowed);

    show(&shown, text);
    if (what == X_COUNT) {
        reply(s, "501 5.5.4 Bad %s attribute name: %s", s->where, str_cstr(&shown));
        return false;
    }
    ret->state[what] = SAID;
    if (span_eq_nocase_str(value, "[UNAVAILABLE]"))
        ret->state[what] = UNAVAILABLE;
    else if (span_eq_nocase_str(value, "[TEMPUNAVAIL]"))
        ret->state[what] = TEMPUNAVAIL;
    else if (xtext_decode(value, &ret->value[what]) < 0 || !is_valid(what, str_span(&ret->value[what]))) {
        reply(s, "501 5.5.4 Bad " SPAN_FMT " syntax: %s", SPAN_ARG(attribute_names[what]), str_cstr(&shown));
        return false;
    }
    return true;
}

/* All of a command; false: answered */
static bool take_claims(struct smtpd *s, struct span args, const char *allowed, bool permitted, struct claims *ret)
{
    struct span word;

    if (!permitted) {
        reply(s, "550 5.7.0 Error: insufficient authorization");
        return false;
    }
    if (args.len == 0) {
        reply(s, "501 5.5.4 Syntax: %s attribute=value...", s->where);
        return false;
    }
    while (span_word(&args, " \t", &word))
        if (!take_claim(s, word, allowed, ret))
            return false;
    return true;
}

/* ---- XCLIENT ---- */

static void set_name(const struct claims *c, enum attribute what, struct str *name, enum client_name_state *state)
{
    if (c->state[what] == NOT_SAID)
        return;
    *state = c->state[what] == SAID          ? CLIENT_NAME_OK
             : c->state[what] == TEMPUNAVAIL ? CLIENT_NAME_TEMPORARY
                                             : CLIENT_NAME_NONE;
    str_set(name, c->state[what] == SAID ? str_span(&c->value[what]) : span_of("unknown"));
}

static unsigned port_of(const struct claims *c, enum attribute what, unsigned otherwise)
{
    uint64_t port = 0;

    if (c->state[what] == NOT_SAID)
        return otherwise;
    span_u64(str_span(&c->value[what]), 65535, &port);
    return (unsigned)port;
}

/* An end of the connection. An address that is unavailable is nobody's. */
static void set_end(const struct claims *c, enum attribute addr, enum attribute port, union sockaddr_any *ret)
{
    unsigned number = port_of(c, port, socket_addr_port(ret));
    char text[INET6_ADDRSTRLEN];

    if (c->state[addr] == SAID)
        parse_addr(str_span(&c->value[addr]), ret);
    else if (c->state[addr] != NOT_SAID)
        *ret = (union sockaddr_any){ .in.sin_family = AF_INET };
    socket_addr_print(ret, text);
    socket_addr_parse(span_of(text), number, ret);
    socket_addr_unmap(ret);
}

static void set_login(struct smtpd *s, const struct claims *c)
{
    str_reset(&s->sasl_username);
    s->sasl_method[0] = '\0';
    if (c->state[X_LOGIN] != SAID)
        return;
    str_set(&s->sasl_username, str_span(&c->value[X_LOGIN]));
    snprintf(s->sasl_method, sizeof(s->sasl_method), "XCLIENT");
}

/* Without one the client has still to say HELO. */
static void set_helo(struct smtpd *s, const struct claims *c)
{
    str_reset(&s->helo);
    if (c->state[X_PROTO] == SAID)
        s->esmtp = span_eq_nocase_str(str_span(&c->value[X_PROTO]), "ESMTP");
    if (c->state[X_HELO] == SAID)
        str_add_escaped(&s->helo, str_span(&c->value[X_HELO]), HELO_MAX, STR_UTF8);
    s->state = s->helo.len > 0 ? SMTP_GREETED : SMTP_CONNECTED;
}

static void become(struct smtpd *s, const struct claims *c)
{
    transaction_reset(s);
    set_name(c, X_NAME, &s->name, &s->name_state);
    set_name(c, c->state[X_REVERSE_NAME] == NOT_SAID ? X_NAME : X_REVERSE_NAME, &s->reverse_name,
             &s->reverse_name_state);
    set_end(c, X_ADDR, X_PORT, &s->remote);
    set_end(c, X_DESTADDR, X_DESTPORT, &s->local);
    s->port = socket_addr_port(&s->remote);
    if (c->state[X_ADDR] == SAID)
        socket_addr_print(&s->remote, s->addr);
    else if (c->state[X_ADDR] != NOT_SAID)
        snprintf(s->addr, sizeof(s->addr), "unknown");
    set_login(s, c);
    set_helo(s, c);
    s->denied = false;
}

void cmd_xclient(struct smtpd *s, struct span args)
{
    _cleanup_(claims_done) struct claims c = { 0 };
    char before[sizeof(s->namaddr)];

    if (!take_claims(s, args, XCLIENT_ATTRIBUTES, s->may_xclient, &c))
        return;
    memcpy(before, s->namaddr, sizeof(before));
    become(s, &c);
    client_place(s);
    limits_rename(s);
    filter_done(s); /* for them it is a new session */
    log_info("XCLIENT from %s: client=%s", before, s->namaddr);
    s->where = "CONNECT";
    session_greet(s);
}

/* ---- XFORWARD ---- */

void forwarded_free(struct forwarded *f)
{
    if (!f)
        return;
    str_free(&f->name);
    str_free(&f->helo);
    str_free(&f->ident);
    free(f);
}

/* A text for the log and the queue file; "unknown" where it is said to be unavailable */
static void forward_text(const struct claims *c, enum attribute what, struct str *ret)
{
    if (c->state[what] == NOT_SAID)
        return;
    str_reset(ret);
    if (c->state[what] == SAID)
        str_add_escaped(ret, str_span(&c->value[what]), HELO_MAX, STR_UTF8);
    else
        str_add_str(ret, "unknown");
}

static void forward(struct forwarded *f, const struct claims *c)
{
    union sockaddr_any addr;
    char text[INET6_ADDRSTRLEN];

    forward_text(c, X_NAME, &f->name);
    forward_text(c, X_HELO, &f->helo);
    forward_text(c, X_IDENT, &f->ident);
    if (c->state[X_ADDR] == SAID && parse_addr(str_span(&c->value[X_ADDR]), &addr) == 0)
        snprintf(f->addr, sizeof(f->addr), "%s", socket_addr_print(&addr, text));
    else if (c->state[X_ADDR] != NOT_SAID)
        snprintf(f->addr, sizeof(f->addr), "unknown");
    if (c->state[X_PROTO] == SAID)
        snprintf(f->proto, sizeof(f->proto), SPAN_FMT, SPAN_ARG(str_span(&c->value[X_PROTO])));
    f->port = port_of(c, X_PORT, f->port);
    if (c->state[X_SOURCE] == SAID)
        f->source = span_eq_nocase_str(str_span(&c->value[X_SOURCE]), "LOCAL") ? FORWARDED_LOCAL : FORWARDED_REMOTE;
}

void cmd_xforward(struct smtpd *s, struct span args)
{
    _cleanup_(claims_done) struct claims c = { 0 };

    if (!take_claims(s, args, XFORWARD_ATTRIBUTES, s->may_xforward, &c))
        return;
    if (!s->forwarded)
        s->forwarded = mem_new(struct forwarded);
    forward(s->forwarded, &c);
    reply(s, "250 2.0.0 Ok");
}

/* ---- who may ---- */

static bool permits(struct match_list *l, const struct smtpd *s)
{
    return l && match_list_has_client(l, str_span(&s->name), span_of(s->addr)) > 0;
}

void xclient_permit(struct smtpd *s)
{
    s->may_xclient = permits(s->sv->xclient_hosts, s);
    s->may_xforward = permits(s->sv->xforward_hosts, s);
}
