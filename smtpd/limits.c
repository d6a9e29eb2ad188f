/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.c - how many connections, and how much of what in a time, one client may have
 *
 * anvil counts for all processes together. It is not asked about clients that have no limit, nor of
 * what is not limited, so that a site without limits pays nothing for them.
 *
 * Runs in: smtpd. Logs what exceeds a limit.
 */
#include "smtpd/limits.h"

#include "base/log.h"
#include "smtpd/reply.h"

static const struct {
    const char *what; /* in the log line */
    enum anvil_kind kind;
    size_t parameter; /* of struct params */
} limits[] = {
    [LIMIT_MESSAGE] = { "Message delivery request", ANVIL_MESSAGE,
                        offsetof(struct params, smtpd_client_message_rate_limit) },
    [LIMIT_RCPT] = { "Recipient address", ANVIL_RCPT,
                     offsetof(struct params, smtpd_client_recipient_rate_limit) },
    [LIMIT_AUTH] = { "AUTH command", ANVIL_AUTH, offsetof(struct params, smtpd_client_auth_rate_limit) },
    [LIMIT_NEWTLS] = { "New TLS session", ANVIL_NEWTLS,
                       offsetof(struct params, smtpd_client_new_tls_session_rate_limit) },
    [LIMIT_NEWTLS_LOOK] = { "New TLS session", ANVIL_LOOK_NEWTLS,
                            offsetof(struct params, smtpd_client_new_tls_session_rate_limit) },
};

/* ---- whom a count is of ---- */

static void mask(uint8_t *bytes, size_t len, int64_t prefix)
{
    for (size_t i = 0; i < len; i++) {
        int64_t left = prefix - 8 * (int64_t)i;

        if (left < 8)
            bytes[i] &= left <= 0 ? 0 : (uint8_t)(0xff << (8 - left));
    }
}

/* The address, or the network of it that smtpd_client_ipv*_prefix_length gives to one client */
static void add_client(const struct smtpd *s, struct str *ret)
{
    union sockaddr_any net = s->remote;
    bool v6 = net.sa.sa_family == AF_INET6;
    int64_t prefix = v6 ? s->sv->params->smtpd_client_ipv6_prefix_length
                        : s->sv->params->smtpd_client_ipv4_prefix_length;
    char text[INET6_ADDRSTRLEN];

    if (prefix >= (v6 ? 128 : 32)) {
        str_add_str(ret, s->addr);
        return;
    }
    if (v6)
        mask(net.in6.sin6_addr.s6_addr, 16, prefix);
    else
        mask((uint8_t *)&net.in.sin_addr, 4, prefix);
    str_addf(ret, "%s/%lld", socket_addr_print(&net, text), (long long)prefix);
}

static void name_client(struct smtpd *s)
{
    _cleanup_(str_free) struct str client = STR_INIT;
    struct anvil_event *who = &s->anvil.who;

    if (who->client[0])
        return;
    add_client(s, &client);
    snprintf(who->client, sizeof who->client, "%s", str_cstr(&client));
    snprintf(who->service, sizeof who->service, "%s", s->sv->server->service);
}

/* ---- counting ---- */

static bool is_limited(const struct smtpd *s)
{
    return !s->limit_exempt && s->remote.sa.sa_family != AF_UNSPEC;
}

static bool exceeds(struct smtpd *s, const char *what, uint32_t n, int64_t limit)
{
    if (limit == 0 || n <= (uint64_t)limit)
        return false;
    log_warn("%s limit exceeded: %u from %s for service %s", what, n, s->namaddr, s->sv->server->service);
    return true;
}

bool limits_enter(struct smtpd *s)
{
    const struct params *p = s->sv->params;
    struct anvil_counts counts;

    /* Who may use XCLIENT stands for others: their commands count, its connections do not. */
    if (!is_limited(s) || s->may_xclient ||
        (p->smtpd_client_connection_count_limit == 0 && p->smtpd_client_connection_rate_limit == 0))
        return true;
    name_client(s);
    if (anvil_report(s->sv->anvil, &s->anvil, ANVIL_CONNECT, &counts) < 0)
        return true;
    if (!exceeds(s, "Connection concurrency", counts.connections, p->smtpd_client_connection_count_limit) &&
        !exceeds(s, "Connection rate", counts.rate, p->smtpd_client_connection_rate_limit))
        return true;
    reply_uncounted(s, "421 4.7.0 %s Error: too many connections from %s", p->myhostname, s->addr);
    return false;
}

void limits_leave(struct smtpd *s)
{
    anvil_leave(s->sv->anvil, &s->anvil);
}

void limits_rename(struct smtpd *s)
{
    limits_leave(s);
    s->anvil.who.client[0] = '\0';
}

bool limit_exceeded(struct smtpd *s, enum limit limit)
{
    _cleanup_(str_free) struct str what = STR_INIT;
    int64_t max = *(const int64_t *)((const char *)s->sv->params + limits[limit].parameter);
    struct anvil_counts counts;

    if (max == 0 || !is_limited(s))
        return false;
    name_client(s);
    if (anvil_report(s->sv->anvil, &s->anvil, limits[limit].kind, &counts) < 0)
        return false;
    str_addf(&what, "%s rate", limits[limit].what);
    return exceeds(s, str_cstr(&what), counts.rate, max);
}

bool limits_tls(struct smtpd *s)
{
    if (SSL_session_reused(stream_ssl(s->client)) || !limit_exceeded(s, LIMIT_NEWTLS))
        return true;
    reply_uncounted(s, "421 4.7.0 %s Error: too many new TLS sessions from %s", s->sv->params->myhostname,
                    s->namaddr);
    s->state = SMTP_CLOSED;
    return false;
}
