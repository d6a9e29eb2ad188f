/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c - who is the client
 *
 * A name from reverse DNS is anybody's claim; it counts only when the name leads
 * back to the address. A failing name server costs a client its name, not its
 * session.
 *
 * Runs in: smtpd (names are hostile). Logs names that do not lead back.
 */
#include "smtpd/client.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "dns/dns.h"
#include "mail/address.h"
#include "smtpd/reply.h"
#include "smtpd/xclient.h"

static bool same_address(const union sockaddr_any *a, const union sockaddr_any *b)
{
    if (a->sa.sa_family != b->sa.sa_family)
        return false;
    if (a->sa.sa_family == AF_INET)
        return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
    return memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof(a->in6.sin6_addr)) == 0;
}

/* Does the name have the client's address? A failure is logged. */
static enum client_name_state leads_back(struct smtpd *s, const char *name, uint64_t deadline)
{
    _cleanup_(dns_answer_done) struct dns_answer answer = { 0 };
    int r = dns_addresses(name, s->remote.sa.sa_family, deadline, &answer);

    for (size_t i = 0; r == 0 && i < answer.len; i++)
        if (same_address(&answer.records[i].addr, &s->remote))
            return CLIENT_NAME_OK;
    log_warn("hostname %s does not resolve to address %s%s%s", name, s->addr,
             r == 0 && answer.status != DNS_OK ? ": " : "",
             r == 0 && answer.status != DNS_OK ? answer.text : "");
    return r < 0 || answer.status == DNS_TEMPORARY ? CLIENT_NAME_TEMPORARY : CLIENT_NAME_NONE;
}

static void look_up_name(struct smtpd *s)
{
    _cleanup_(dns_answer_done) struct dns_answer answer = { 0 };
    uint64_t deadline = clock_deadline_ms(s->sv->params->dns_timeout * 1000);

    if (dns_reverse(&s->remote, deadline, &answer) < 0 || answer.status == DNS_TEMPORARY)
        s->name_state = s->reverse_name_state = CLIENT_NAME_TEMPORARY;
    if (answer.status != DNS_OK || answer.len == 0)
        return;

    const char *name = answer.records[0].name;

    /* What DNS calls a name may be any bytes; only a host name is fit for a log and for tables. */
    if (!name || !address_domain_valid(span_of(name)))
        return;
    str_set(&s->reverse_name, span_of(name));
    s->reverse_name_state = CLIENT_NAME_OK;
    s->name_state = leads_back(s, name, deadline);
    if (s->name_state == CLIENT_NAME_OK)
        str_set(&s->name, span_of(name));
}

static bool in_list(struct match_list *l, const struct smtpd *s)
{
    return match_list_has_client(l, str_span(&s->name), span_of(s->addr)) > 0;
}

void client_place(struct smtpd *s)
{
    snprintf(s->namaddr, sizeof(s->namaddr), "%s[%s]", str_cstr(&s->name), s->addr);
    s->trusted = in_list(s->sv->mynetworks, s);
    s->limit_exempt = in_list(s->sv->limit_exceptions, s);
    s->bare_newline = s->sv->bare_newline;
    if (s->bare_newline > BARE_NEWLINE_NORMALIZE && s->sv->bare_exclusions && in_list(s->sv->bare_exclusions, s))
        s->bare_newline = BARE_NEWLINE_NO;
}

void client_address(struct smtpd *s, const struct peer *peer)
{
    if (peer->is_unix) {
        snprintf(s->addr, sizeof(s->addr), "127.0.0.1");
        return;
    }
    s->remote = peer->remote;
    s->local = peer->local;
    socket_addr_unmap(&s->remote);
    socket_addr_unmap(&s->local);
    socket_addr_print(&s->remote, s->addr);
    s->port = socket_addr_port(&s->remote);
}

void client_identify(struct smtpd *s)
{
    bool is_unix = s->remote.sa.sa_family == AF_UNSPEC;

    str_set(&s->name, span_of(is_unix ? "localhost" : "unknown"));
    str_set(&s->reverse_name, span_of("unknown"));
    if (!is_unix && s->sv->params->smtpd_peername_lookup)
        look_up_name(s);
    client_place(s);
    xclient_permit(s);
}

/* ---- local_header_rewrite_clients ---- */

bool client_is_local(const struct smtpd *s)
{
    struct span list = span_of(s->sv->params->local_header_rewrite_clients);
    struct span word;

    while (span_word(&list, ", \t\r\n", &word)) {
        if (span_eq_nocase_str(word, "permit_mynetworks") && s->trusted)
            return true;
        if (span_eq_nocase_str(word, "permit_sasl_authenticated") && s->sasl_username.len > 0)
            return true;
        if (span_eq_nocase_str(word, "permit_inet_interfaces") &&
            router_has_interface(s->sv->router, &s->remote))
            return true;
        if (span_eq_nocase_str(word, "static:all"))
            return true;
    }
    return false;
}
