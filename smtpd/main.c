/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - smtpd: takes mail from the network
 *
 * Serves SMTP to strangers and to signed-in users, one fiber a connection. It
 * stores nothing: messages go to cleanup, sign-ins to auth, and only their answers count.
 *
 * Parameters: its manual page lists them, made from what these sources read.
 *
 * May touch: its client, cleanup, auth, anvil, DNS, policy services; its lookup tables, read-only. It runs as
 * net_owner, without capabilities, and writes no file.
 */
#include <errno.h>

#include "base/chars.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/own.h"
#include "dns/dns.h"
#include "mail/notify.h"
#include "smtpd/filter.h"
#include "smtpd/prescreen.h"
#include "smtpd/smtpd.h"
#include "smtpd/starttls.h"

#define KEPT_CONNECTIONS 16 /* to cleanup and auth, when idle */

static enum bare_newline bare_newline_of(const char *value)
{
    static const struct {
        const char *word;
        enum bare_newline what;
    } words[] = {
        { "no", BARE_NEWLINE_NO }, { "note", BARE_NEWLINE_NOTE }, { "reject", BARE_NEWLINE_REJECT },
    };

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcmp(value, words[i].word) == 0)
            return words[i].what;
    return BARE_NEWLINE_NORMALIZE; /* "yes" as well */
}

static int choose_modes(struct service *sv)
{
    const struct params *p = sv->params;
    const char *proxy = p->smtpd_upstream_proxy_protocol;

    sv->bare_newline = bare_newline_of(p->smtpd_forbid_bare_newline);
    if (p->smtpd_prescreen && !*proxy)
        proxy = p->postscreen_upstream_proxy_protocol;
    sv->behind_proxy = *proxy;
    return 0;
}

/* Of the other classes no session can be. */
static int choose_notices(struct service *sv)
{
    const unsigned of_sessions =
        NOTIFY_BOUNCE | NOTIFY_DATA | NOTIFY_POLICY | NOTIFY_PROTOCOL | NOTIFY_RESOURCE | NOTIFY_SOFTWARE;
    _cleanup_(str_free) struct str err = STR_INIT;
    int r = notify_classes_parse(span_of(sv->params->notify_classes), &sv->notify, &err);

    if (r < 0)
        log_error("%s", str_cstr(&err));
    sv->notify &= of_sessions;
    return r;
}

/* ---- what start() opens ---- */

/* Is the name in a list of parameters? */
static bool names(const char *list, const char *name)
{
    struct span in = span_of(list), word;

    while (span_word(&in, ", \t\r\n", &word))
        if (span_eq_str(word, name))
            return true;
    return false;
}

static int open_lists(struct service *sv)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    const struct params *p = sv->params;
    bool flush_parents = names(p->parent_domain_matches_subdomains, "fast_flush_domains");
    const struct match_setting lists[] = {
        { "mynetworks", p->mynetworks, MATCH_HOST_ADDR, &sv->mynetworks },
        { "smtpd_client_event_limit_exceptions", p->smtpd_client_event_limit_exceptions, MATCH_HOST_ADDR,
          &sv->limit_exceptions },
        { "permit_mx_backup_networks", p->permit_mx_backup_networks, MATCH_HOST_ADDR, &sv->backup_networks },
        { "fast_flush_domains", p->fast_flush_domains, flush_parents ? MATCH_DOMAIN_PARENTS : MATCH_DOMAIN,
          &sv->flush_domains },
        { "smtpd_authorized_xclient_hosts", p->smtpd_authorized_xclient_hosts, MATCH_HOST_ADDR, &sv->xclient_hosts },
        { "smtpd_authorized_xforward_hosts", p->smtpd_authorized_xforward_hosts, MATCH_HOST_ADDR,
          &sv->xforward_hosts },
        { "smtpd_forbid_bare_newline_exclusions", p->smtpd_forbid_bare_newline_exclusions, MATCH_HOST_ADDR,
          &sv->bare_exclusions },
    };

    int r = match_list_open_settings(lists, ARRAY_LEN(lists), &err);
    if (r == 0)
        r = router_open(sv->server->conf, sv->params, &sv->router, &err);
    if (r < 0)
        log_error("%s", str_cstr(&err));
    return r;
}

static int open_maps(struct service *sv)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    const struct maps_setting lists[] = {
        { "smtpd_sender_login_maps", sv->params->smtpd_sender_login_maps, &sv->sender_logins },
        { "relay_clientcerts", sv->params->relay_clientcerts, &sv->relay_clientcerts },
        { "rbl_reply_maps", sv->params->rbl_reply_maps, &sv->rbl_replies },
        { "smtpd_command_filter", sv->params->smtpd_command_filter, &sv->command_filter },
        { "smtpd_reject_footer_maps", sv->params->smtpd_reject_footer_maps, &sv->footers },
        { "smtpd_discard_ehlo_keyword_address_maps", sv->params->smtpd_discard_ehlo_keyword_address_maps,
          &sv->ehlo_filters },
    };

    int r = maps_open_settings(lists, ARRAY_LEN(lists), &err);
    if (r < 0)
        log_error("%s", str_cstr(&err));
    return r;
}

static int open_restrictions(struct service *sv)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    struct restriction_set *set = &sv->restrictions;
    int r;

    set->conf = sv->server->conf;
    set->params = sv->params;
    sv->access_parents = names(sv->params->parent_domain_matches_subdomains, "smtpd_access_maps");
    sv->reject_footer = conf_raw(set->conf, "smtpd_reject_footer"); /* its names are expanded for each reply */
    r = restrictions_open(set, &err);
    if (r < 0) {
        log_error("%s", str_cstr(&err));
        return r;
    }
    if (!restrictions_guard_relay(&set->stages[STAGE_RELAY]) &&
        !restrictions_guard_relay(&set->stages[STAGE_RECIPIENT])) {
        log_error("bad value for parameter smtpd_relay_restrictions: it lets everybody send mail to everywhere: expected, there or "
                  "in smtpd_recipient_restrictions, one of reject_unauth_destination, defer_unauth_destination, reject, defer "
                  "and defer_if_permit");
        return -EINVAL;
    }
    return 0;
}

static int open_dns(struct service *sv)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    int r = dns_init(sv->params->dns_servers, sv->params->dns_timeout * 1000, &err);

    if (r < 0)
        log_error("%s", str_cstr(&err));
    return r;
}

static int start(struct server *server)
{
    static int (*const steps[])(struct service *sv) = {
        choose_modes, choose_notices, open_lists, open_maps, open_restrictions, prescreen_open, starttls_open,
        filter_start, open_dns,
    };
    struct service *sv = mem_new(struct service);
    int64_t idle_ms = server->params->ipc_idle * 1000;

    sv->server = server;
    sv->params = server->params;
    sv->anvil = anvil_link_new();
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        int r = steps[i](sv);

        if (r < 0)
            return r; /* the process ends */
    }
    sv->cleanup = ipc_pool_new(server->params->cleanup_service_name, idle_ms, KEPT_CONNECTIONS);
    sv->auth = ipc_pool_new("auth", idle_ms, KEPT_CONNECTIONS);
    sv->verify = ipc_pool_new(server->params->address_verify_service_name, idle_ms, KEPT_CONNECTIONS);
    server->state = sv;
    return 0;
}

int main(int argc, char **argv)
{
    static const struct daemon smtpd = {
        .name = "smtpd",
        .mode = DAEMON_FIBERS,
        .sandbox = { .user = RUN_AS_NET, .flags = SANDBOX_INET_CLIENT },
        .start = start,
        .session = smtpd_session,
        .reread = starttls_reread,
    };

    return daemon_main(&smtpd, argc, argv);
}
