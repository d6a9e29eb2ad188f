/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream.c - a proxy in front of us says who the client is
 *
 * Runs in: smtpd. The proxy is trusted to say the truth: who may connect to such a port is the
 * operator's to limit. Logs connections that do not begin as they must.
 */
#include "smtpd/upstream.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/haproxy.h"

static const char *reason(int error)
{
    switch (-error) {
    case EPROTO:
        return "not a PROXY header";
    case EMSGSIZE:
        return "header too long";
    case ENODATA:
        return "lost connection";
    case ETIMEDOUT:
        return "timeout";
    }
    return strerror(-error);
}

bool upstream_identify(struct smtpd *s, struct peer *peer)
{
    struct haproxy said = { 0 };
    char from[INET6_ADDRSTRLEN] = "";

    if (!s->sv->behind_proxy)
        return true;

    uint64_t deadline = clock_deadline_ms(s->sv->params->smtpd_upstream_proxy_timeout * 1000);
    int r = haproxy_read(stream_fd(s->client), deadline, &said);

    if (r < 0) {
        log_warn("haproxy read from proxy %s: %s", peer->is_unix ? "" : socket_addr_print(&peer->remote, from),
                 reason(r));
        return false;
    }
    if (!said.is_local) {
        peer->is_unix = false;
        peer->remote = said.client;
        peer->local = said.server;
    }
    return true;
}
