/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restrict_server.c - check_*_{a,mx,ns}_access: the servers of a domain, looked up in access(5)
 * tables
 *
 * A table is asked for the name and for every address of each mail or name
 * server. OK is not taken from it: whoever controls a domain's DNS could let
 * himself in by naming a server of someone else.
 *
 * Runs in: smtpd (domains and what DNS says of them are hostile). Logs tables that say OK.
 */
#include "base/log.h"
#include "base/own.h"
#include "mail/address.h"
#include "smtpd/reply.h"
#include "smtpd/restrict_internal.h"

#define SERVERS_MAX 100 /* of a domain that are looked at */

static enum verdict act(struct smtpd *s, const struct restriction_item *item, struct span value,
                        const struct subject *about)
{
    enum verdict v = access_act(s, table_name(item->table), value, about);

    if (v != VERDICT_PERMIT)
        return v;
    log_warn(SPAN_FMT ": %s says OK for " SPAN_FMT
                      ", which is not taken from it: use DUNNO to make an exception",
             SPAN_ARG(item->what->name), table_name(item->table), SPAN_ARG(about->name));
    return VERDICT_NONE;
}

/* One server by name and by addresses. A server that cannot be looked up is passed over, as in
 * Postfix. */
static enum verdict check_server(struct smtpd *s, const struct restriction_item *item,
                                 struct span host, const struct subject *about)
{
    _cleanup_(dns_answer_done) struct dns_answer answer = { 0 };
    _cleanup_(str_free) struct str value = STR_INIT;
    char addr[INET6_ADDRSTRLEN];
    int r = access_find_domain(s, item->table, host, &value);

    if (r == 0 && restrict_addresses(s, host, &answer) == DNS_OK)
        for (size_t i = 0; r == 0 && i < answer.len; i++)
            r = access_find_network(
                item->table, span_of(socket_addr_print(&answer.records[i].addr, addr)), &value);
    if (r < 0)
        return restrict_lookup_failed(s, about);
    return r > 0 ? act(s, item, str_span(&value), about) : VERDICT_NONE;
}

/* The name servers of a name are those of the nearest zone above it */
static enum dns_status find_ns(struct smtpd *s, struct span domain, struct dns_answer *ret)
{
    enum dns_status status = restrict_query(s, domain, DNS_NS, ret);
    ptrdiff_t dot;

    while ((status == DNS_NO_DATA || status == DNS_NOT_FOUND) &&
           (dot = span_chr(domain, '.')) >= 0) {
        domain = span_from(domain, (size_t)dot + 1);
        if (span_chr(domain, '.') < 0)
            break; /* a top-level domain's servers say nothing of the domain */
        dns_answer_done(ret);
        *ret = (struct dns_answer){ 0 };
        status = restrict_query(s, domain, DNS_NS, ret);
    }
    return status;
}

static enum verdict check_servers(struct smtpd *s, const struct restriction_item *item,
                                  struct span domain, enum dns_type type,
                                  const struct subject *about)
{
    _cleanup_(dns_answer_done) struct dns_answer answer = { 0 };
    enum verdict v = VERDICT_NONE;
    struct span inner;

    if (domain.len == 0 || address_literal(domain, &inner))
        return VERDICT_NONE;
    if (type == DNS_A)
        return check_server(s, item, domain, about);

    enum dns_status status = type == DNS_NS ? find_ns(s, domain, &answer)
                                            : restrict_query(s, domain, type, &answer);

    if (type == DNS_MX && status == DNS_NO_DATA)
        return check_server(s, item, domain,
                            about); /* RFC 5321 section 5.1: it is its own mail exchanger */
    for (size_t i = 0; status == DNS_OK && v == VERDICT_NONE && i < answer.len && i < SERVERS_MAX;
         i++)
        if (answer.records[i].type == type && answer.records[i].name)
            v = check_server(s, item, span_of(answer.records[i].name), about);
    return v;
}

static enum verdict check_client(struct smtpd *s, const struct restriction_item *item,
                                 enum dns_type type)
{
    struct subject about = subject_client(s);

    if (s->name_state != CLIENT_NAME_OK)
        return VERDICT_NONE;
    return check_servers(s, item, str_span(&s->name), type, &about);
}

static enum verdict check_reverse(struct smtpd *s, const struct restriction_item *item,
                                  enum dns_type type)
{
    struct subject about = { "Unverified Client host", str_span(&s->reverse_name) };

    if (s->reverse_name_state != CLIENT_NAME_OK)
        return VERDICT_NONE;
    return check_servers(s, item, about.name, type, &about);
}

static enum verdict check_helo(struct smtpd *s, const struct restriction_item *item,
                               enum dns_type type)
{
    struct subject about = subject_helo(s);

    return check_servers(s, item, about.name, type, &about);
}

static enum verdict check_sender(struct smtpd *s, const struct restriction_item *item,
                                 enum dns_type type)
{
    _cleanup_(str_free) struct str scratch = STR_INIT;
    struct subject about = subject_sender(s, &scratch);

    return check_servers(s, item, address_domain(str_span(&s->sender)), type, &about);
}

static enum verdict check_rcpt(struct smtpd *s, const struct restriction_item *item,
                               enum dns_type type)
{
    _cleanup_(str_free) struct str scratch = STR_INIT;
    struct subject about = subject_rcpt(s, &scratch);

    return check_servers(s, item, address_domain(str_span(&s->rcpt)), type, &about);
}

/* The rows of restrict.def: of whom, which servers */
#define SERVER_ACCESS(name, whose, type)                                                           \
    enum verdict name(struct smtpd *s, const struct restriction_item *item)                        \
    {                                                                                              \
        return check_##whose(s, item, type);                                                       \
    }

SERVER_ACCESS(ask_client_a, client, DNS_A)
SERVER_ACCESS(ask_client_mx, client, DNS_MX)
SERVER_ACCESS(ask_client_ns, client, DNS_NS)
SERVER_ACCESS(ask_reverse_a, reverse, DNS_A)
SERVER_ACCESS(ask_reverse_mx, reverse, DNS_MX)
SERVER_ACCESS(ask_reverse_ns, reverse, DNS_NS)
SERVER_ACCESS(ask_helo_a, helo, DNS_A)
SERVER_ACCESS(ask_helo_mx, helo, DNS_MX)
SERVER_ACCESS(ask_helo_ns, helo, DNS_NS)
SERVER_ACCESS(ask_sender_a, sender, DNS_A)
SERVER_ACCESS(ask_sender_mx, sender, DNS_MX)
SERVER_ACCESS(ask_sender_ns, sender, DNS_NS)
SERVER_ACCESS(ask_rcpt_a, rcpt, DNS_A)
SERVER_ACCESS(ask_rcpt_mx, rcpt, DNS_MX)
SERVER_ACCESS(ask_rcpt_ns, rcpt, DNS_NS)
