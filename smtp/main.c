/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - smtp: takes messages from qmgr to their next hop
 *
 * Parameters: smtp_*, relayhost reaches it as the nexthop qmgr has chosen.
 * Sandbox: user net_owner; DNS, remote hosts and the descriptors it is handed; reads the certificates of
 * authorities, which OpenSSL looks up by name, and the system's host table where smtp_host_lookup wants it;
 * writes no file.
 */
#include <errno.h>
#include <netdb.h>

#include "base/log.h"
#include "base/mem.h"
#include "dns/dns.h"
#include "smtp/session.h"
#include "smtp/smtp.h"

/* A port number, or a service name: looked up now, since the sandbox has no /etc/services. */
static int find_port(const char *text, unsigned *ret)
{
    struct servent *s = getservbyname(text, "tcp");
    uint32_t n;

    if (span_u32(span_of(text), 65535, &n) == 0 && n > 0)
        *ret = n;
    else if (s)
        *ret = ntohs((uint16_t)s->s_port);
    else if (strcmp(text, "smtp") == 0)
        *ret = 25;
    else {
        log_error("bad value for parameter smtp_tcp_port: \"%s\": expected a port or a service name", text);
        return -EINVAL;
    }
    return 0;
}

static int start(struct server *sv)
{
    const struct params *p = sv->params;
    struct smtp_client *c = mem_new(struct smtp_client);
    _cleanup_(str_free) struct str err = STR_INIT;

    c->params = p;
    list_init(&c->cached);
    sv->state = c;
    if (find_port(p->smtp_tcp_port, &c->default_port) < 0)
        return -1;
    if (nexthop_asks_system(p))
        daemon_allow(sv, SANDBOX_NSS);
    int r = dns_init(p->dns_servers, p->dns_timeout * 1000, &err);
    if (r < 0)
        log_error("%s", str_cstr(&err));
    return r < 0 ? r : smtp_tls_open(sv, &c->tls);
}

int main(int argc, char **argv)
{
    static const struct daemon smtp = {
        .name = "smtp",
        .sandbox = { .user = RUN_AS_NET,
                     .flags = SANDBOX_INET_CLIENT,
                     .read = { "$smtp_tls_CApath", "/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/usr/lib/ssl",
                               "/usr/share/ca-certificates", "/usr/local/share/ca-certificates",
                               "$smtp_tls_trust_anchor_directory" } },
        .start = start,
        .session = smtp_session,
        .reread = smtp_tls_reread,
    };
    return daemon_main(&smtp, argc, argv);
}
