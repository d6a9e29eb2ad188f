/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login.c - what both fronts have in common: start, addresses, TLS, log lines
 *
 * Runs in: imapd-login, pop3d-login; the client is hostile.
 */
#include "login/login.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "io/haproxy.h"
#include "login/held.h"
#include "login/places.h"

enum { USER_LOG_MAX = 128, POOL_IDLE = 100 };

static void warn(const char *text)
{
    log_warn("%s", text);
}

static void watch(const char *path, void *arg)
{
    daemon_watch_file(arg, path);
}

/* The certificate of the fronts may be one of their own; all else is smtpd's */
static int open_server(const struct server *sv, struct login_server *s, struct str *err)
{
    const struct params *p = sv->params;
    struct tls_server_config cfg;
    int r = tls_server_settings(p, true, &cfg, err);

    if (r < 0)
        return r;
    if (strcmp(p->imap_tls_cert_file, p->smtpd_tls_cert_file) != 0)
        cfg.ec_cert_file = cfg.ec_key_file = "";
    cfg.protocol = s->protocol->name;
    cfg.service = sv->service;
    cfg.chain_files = p->imap_tls_chain_files;
    cfg.cert_file = p->imap_tls_cert_file;
    cfg.key_file = p->imap_tls_key_file;
    cfg.ask = TLS_ASK_NOTHING;
    r = tls_server_open(&cfg, &s->tls, err);
    tls_server_config_done(&cfg);
    return r;
}

static int open_tls(struct server *sv, struct login_server *s, struct str *err)
{
    const struct params *p = sv->params;

    s->wrapper = strcmp(p->imap_tls_security_level, "wrapper") == 0;
    if (strcmp(p->imap_tls_security_level, "none") == 0)
        return 0;
    if (!*p->imap_tls_cert_file && !*p->imap_tls_chain_files && !*p->smtpd_tls_eccert_file) {
        if (!s->wrapper)
            return 0;
        return conf_refuse("imap_tls_security_level", span_of("wrapper"), "imap_tls_cert_file or imap_tls_chain_files to be set",
                           err);
    }
    tls_server_on_problem(warn);
    int r = open_server(sv, s, err);
    if (r == 0)
        tls_server_foreach_file(s->tls, watch, sv);
    return r;
}

int login_reread(struct server *sv)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    struct login_server *s = sv->state;
    int r = tls_server_reread(s->tls, &err);

    if (r < 0)
        log_error("%s", str_cstr(&err));
    return r;
}

int login_start(struct server *sv, const struct login_protocol *protocol, int64_t limit)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    struct login_server *s = mem_new(struct login_server);
    const struct params *p = sv->params;
    const struct match_setting lists[] = {
        { "imap_allow_plaintext_auth", p->imap_allow_plaintext_auth, MATCH_HOST_ADDR, &s->plaintext_ok },
        { "imap_trusted_networks", p->imap_trusted_networks, MATCH_HOST_ADDR, &s->trusted },
    };

    s->protocol = protocol;
    s->behind_proxy = *p->imap_upstream_proxy_protocol;
    if (open_tls(sv, s, &err) < 0 ||
        match_list_open_settings(lists, ARRAY_LEN(lists), &err) < 0) {
        log_error("%s", str_cstr(&err));
        return -1;
    }
    int r = watch_open();
    if (r < 0)
        log_warn_errno(r, "mailboxes cannot be watched: sessions in IDLE are not parked");
    s->places = places_new(protocol->name, limit);
    s->auth = ipc_pool_new("auth", sv->params->ipc_idle * 1000, POOL_IDLE);
    sv->state = s;
    return 0;
}

const char *login_patience_ends(const struct login *l)
{
    if (l->failures >= l->sv->params->imap_login_failure_limit)
        return "Too many failed sign-ins.";
    return l->bad_commands >= l->sv->params->imap_bad_command_limit ? "Too many invalid commands." : NULL;
}

void login_stop(struct server *sv)
{
    struct login_server *s = sv->state;

    places_drain(s->places);
    lot_drain();
}

void login_stop_now(struct server *sv)
{
    (void)sv;
    lot_stop();
}

int64_t login_limit(const struct login *l)
{
    return places_limit(l->server->places);
}

bool login_may_sign_in(const struct login *l)
{
    return l->tls || l->plaintext_ok;
}

int login_start_tls(struct login *l)
{
    size_t early = stream_discard_input(l->client);

    if (early > 0)
        log_warn("%s-login: discarded %zu bytes of plaintext before TLS: rip=%s",
                 l->server->protocol->name, early, l->remote);
    int r = tls_server_handshake(l->server->tls, l->client);
    if (r < 0)
        log_info("%s-login: Disconnected: TLS handshake failed: %s: rip=%s, lip=%s, session=<%s>",
                 l->server->protocol->name, stream_tls_error(l->client), l->remote, l->local, l->session_id);
    l->tls = r == 0;
    return r;
}

static void make_session_id(struct login *l)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    unsigned char id[12];

    rand_bytes(id, sizeof id);
    str_add_base64(&text, span_make(id, sizeof id));
    snprintf(l->session_id, sizeof l->session_id, "%s", str_cstr(&text));
}

void login_log_success(const struct login *l, unsigned session_pid)
{
    log_info("%s-login: Login: user=<%s>, method=%s, rip=%s, lip=%s, mpid=%u%s, session=<%s>",
             l->server->protocol->name, str_cstr((struct str *)&l->user), l->method, l->remote, l->local,
             session_pid, l->tls ? ", TLS" : "", l->session_id);
}

/* No failure of the sign-in, which log watchers would count. */
void login_log_limit(struct login *l)
{
    l->limited = true;
    log_info("%s-login: " LOGIN_LIMIT_TEXT ": user=<%s>, method=%s, rip=%s, lip=%s%s, session=<%s>",
             l->server->protocol->name, (long long)login_limit(l), str_cstr(&l->user), l->method, l->remote,
             l->local, l->tls ? ", TLS" : "", l->session_id);
}

/* The 2.3 form of Dovecot, which published filters of log watchers match. */
void login_log_failure(const struct login *l, const char *reason)
{
    const char *name = l->server->protocol->name;
    unsigned secs = (unsigned)((clock_ms() - l->started_ms) / 1000);

    if (l->failures == 0 && l->limited)
        return;     /* that has been said */
    if (l->failures > 0)
        log_info("%s-login: Disconnected (auth failed, %d attempts in %u secs): user=<%s>, method=%s, "
                 "rip=%s, lip=%s%s, session=<%s>", name, l->failures, secs, str_cstr((struct str *)&l->user),
                 l->method, l->remote, l->local, l->tls ? ", TLS" : "", l->session_id);
    else
        log_info("%s-login: Disconnected%s (no auth attempts in %u secs): user=<>, rip=%s, lip=%s%s, "
                 "session=<%s>", name, reason, secs, l->remote, l->local, l->tls ? ", TLS" : "",
                 l->session_id);
}

/* What a proxy in front of us says instead of its own addresses; false: nothing */
static bool ask_proxy(struct login *l, union sockaddr_any *remote, union sockaddr_any *local)
{
    uint64_t deadline = clock_deadline_ms(l->sv->params->imap_upstream_proxy_timeout * 1000);
    char from[INET6_ADDRSTRLEN];
    struct haproxy said = { 0 };

    if (!l->server->behind_proxy)
        return true;
    int r = haproxy_read(stream_fd(l->client), deadline, &said);
    if (r < 0) {
        log_warn("%s-login: no PROXY header from proxy %s: %s", l->server->protocol->name,
                 socket_addr_print(remote, from), strerror(-r));
        return false;
    }
    if (!said.is_local) {
        *remote = said.client;
        *local = said.server;
        socket_addr_unmap(remote);
        socket_addr_unmap(local);
    }
    return true;
}

static bool identify(struct login *l, const struct peer *peer)
{
    union sockaddr_any remote = peer->remote, local = peer->local;

    if (!ask_proxy(l, &remote, &local))
        return false;
    socket_addr_print(&remote, l->remote);
    socket_addr_print(&local, l->local);
    l->remote_port = socket_addr_port(&remote);
    l->local_port = socket_addr_port(&local);
    make_session_id(l);
    return true;
}

void login_session(struct server *sv, struct stream *client, const struct peer *peer,
                   void (*talk)(struct login *l))
{
    struct login l = { .sv = sv, .server = sv->state, .client = client, .started_ms = clock_ms() };

    if (!identify(&l, peer)) {
        stream_free(l.client);
        return;
    }
    l.plaintext_ok =
        match_list_has_client(l.server->plaintext_ok, span_of("unknown"), span_of(l.remote)) > 0;
    l.trusted = match_list_has_client(l.server->trusted, span_of("unknown"), span_of(l.remote)) > 0;
    stream_set_deadline(client, clock_deadline_ms(sv->params->imap_login_timeout * 1000));
    if (!l.server->wrapper || login_start_tls(&l) == 0)
        talk(&l);
    stream_free(l.client);
    str_free(&l.user);
    if (l.held)
        held_live(l.held);
}
