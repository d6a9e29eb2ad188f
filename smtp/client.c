/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c - what the client opens at its start
 *
 * Runs in: smtp, lmtp, with privilege, on the administrator's settings.
 */
#include <errno.h>
#include <netdb.h>

#include "base/log.h"
#include "base/mem.h"
#include "dns/dns.h"
#include "smtp/smtp.h"

/* A port number, or a service name: looked up now, since the sandbox has no /etc/services. */
static int find_port(const char *text, unsigned *ret)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    struct servent *s = getservbyname(text, "tcp");
    uint32_t n;

    if (span_u32(span_of(text), 65535, &n) == 0 && n > 0)
        *ret = n;
    else if (s)
        *ret = ntohs((uint16_t)s->s_port);
    else if (strcmp(text, "smtp") == 0)
        *ret = 25;
    else {
        conf_refuse("smtp_tcp_port", span_of(text), "a port or a service name", &err);
        log_error("%s", str_cstr(&err));
        return -EINVAL;
    }
    return 0;
}

static int open_tables(struct smtp_client *c)
{
    const struct params *p = c->params;
    const struct maps_setting rows[] = {
        {"smtp_bind_address_maps", p->smtp_bind_address_maps, &c->tables.bind_address},
        {"smtp_discard_ehlo_keyword_address_maps", p->smtp_discard_ehlo_keyword_address_maps,
         &c->tables.discard_ehlo},
        {"smtp_pix_workaround_maps", p->smtp_pix_workaround_maps, &c->tables.pix_workarounds},
        {"smtp_reply_filter", p->smtp_reply_filter, &c->tables.reply_filter},
        {"smtp_delivery_status_filter", p->smtp_delivery_status_filter, &c->tables.status_filter},
        {"smtp_sasl_password_maps", p->smtp_sasl_password_maps, &c->tables.sasl_passwords},
        {"smtp_generic_maps", p->smtp_generic_maps, &c->tables.generic},
        {"smtp_header_checks", p->smtp_header_checks, &c->tables.header_checks},
        {"smtp_mime_header_checks", p->smtp_mime_header_checks, &c->tables.mime_header_checks},
        {"smtp_nested_header_checks", p->smtp_nested_header_checks,
         &c->tables.nested_header_checks},
        {"smtp_body_checks", p->smtp_body_checks, &c->tables.body_checks},
    };
    _cleanup_(str_free) struct str err = STR_INIT;

    int r = maps_open_settings(rows, ARRAY_LEN(rows), &err);
    if (r < 0)
        log_error("%s", str_cstr(&err));
    return r;
}

static int open_lists(struct smtp_client *c)
{
    const struct params *p = c->params;
    const struct match_setting rows[] = {
        {"smtp_connection_cache_destinations", p->smtp_connection_cache_destinations, MATCH_DOMAIN,
         &c->kept_destinations},
        {"mydestination", p->mydestination, MATCH_DOMAIN, &c->tables.destinations},
    };
    _cleanup_(str_free) struct str err = STR_INIT;

    int r = match_list_open_settings(rows, ARRAY_LEN(rows), &err);
    if (r < 0)
        log_error("%s", str_cstr(&err));
    return r;
}

static int find_own_addresses(struct smtp_client *c)
{
    c->own = interfaces_new();
    int r = interfaces_add(c->own, c->params->inet_interfaces);
    if (r == 0)
        r = interfaces_add(c->own, c->params->proxy_interfaces);
    if (r < 0)
        log_error("inet_interfaces: cannot list this system's addresses: %s", strerror(-r));
    return r;
}

static int start(struct server *sv, bool lmtp)
{
    const struct params *p = sv->params;
    struct smtp_client *c = mem_new(struct smtp_client);
    _cleanup_(str_free) struct str err = STR_INIT;

    c->params = p;
    c->lmtp = lmtp;
    cache_init(c);
    sv->state = c;
    if (find_port(p->smtp_tcp_port, &c->default_port) < 0 ||
        open_tables(c) < 0 || open_lists(c) < 0 || find_own_addresses(c) < 0)
        return -1;
    if (targets_ask_system(p))
        daemon_allow(sv, SANDBOX_NSS);
    int r = dns_init(p->dns_servers, p->dns_timeout * 1000, &err);
    if (r < 0)
        log_error("%s", str_cstr(&err));
    return r < 0 ? r : smtp_tls_open(sv, &c->tls);
}

int smtp_start(struct server *sv)
{
    return start(sv, false);
}

int lmtp_start(struct server *sv)
{
    return start(sv, true);
}
