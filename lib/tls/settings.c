/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings.c - what main.cf says of TLS with clients
 *
 * Runs in: smtpd and the login fronts, at start.
 */
#include <errno.h>

#include "tls/client.h"
#include "tls/server.h"

static enum tls_ask ask_of(const struct params *p, bool mandatory)
{
    if (p->smtpd_tls_req_ccert && mandatory)
        return TLS_REQUIRE_CERT;
    return p->smtpd_tls_ask_ccert || p->smtpd_tls_req_ccert ? TLS_ASK_CERT : TLS_ASK_NOTHING;
}

/* read_lists - ciphers and groups, which are the caller's, and OpenSSL's options */
static int read_lists(const struct params *p, bool mandatory, struct tls_server_config *cfg, struct str *err)
{
    _cleanup_(str_free) struct str ciphers = STR_INIT, groups = STR_INIT;
    const char *grade = mandatory ? p->smtpd_tls_mandatory_ciphers : p->smtpd_tls_ciphers;
    const char *more = mandatory ? p->smtpd_tls_mandatory_exclude_ciphers : "";
    int r = tls_cipher_list(p, grade, p->smtpd_tls_exclude_ciphers, more, &ciphers, err);

    if (r == 0)
        r = tls_group_list(p, p->smtpd_tls_eecdh_grade, &groups, err);
    if (r == 0)
        r = tls_options(p, &cfg->options, err);
    if (r < 0)
        return r;
    if (p->tls_preempt_cipherlist)
        cfg->options |= SSL_OP_CIPHER_SERVER_PREFERENCE;
    cfg->ciphers = str_take(&ciphers);
    cfg->groups = str_take(&groups);
    return 0;
}

int tls_server_settings(const struct params *p, bool mandatory, struct tls_server_config *ret, struct str *err)
{
    struct tls_server_config cfg = {
        .chain_files = p->smtpd_tls_chain_files,
        .cert_file = p->smtpd_tls_cert_file,
        .key_file = p->smtpd_tls_key_file,
        .ec_cert_file = p->smtpd_tls_eccert_file,
        .ec_key_file = p->smtpd_tls_eckey_file,
        .sni_maps = p->tls_server_sni_maps,
        .protocols = mandatory ? p->smtpd_tls_mandatory_protocols : p->smtpd_tls_protocols,
        .ask = ask_of(p, mandatory),
        .ca_file = p->smtpd_tls_CAfile,
        .ca_path = p->smtpd_tls_CApath,
        .default_ca = p->tls_append_default_CA,
        .verify_depth = (int)p->smtpd_tls_ccert_verifydepth,
        .ticket_service = p->tlsmgr_service_name,
        .session_timeout_ms = p->smtpd_tls_session_cache_timeout * 1000,
        .always_session_id = p->smtpd_tls_always_issue_session_ids,
    };
    uint64_t off;

    if (tls_protocols_parse(span_of(cfg.protocols), &off) < 0)
        return conf_refuse(mandatory ? "smtpd_tls_mandatory_protocols" : "smtpd_tls_protocols", span_of(cfg.protocols),
                           "a list such as >=TLSv1.2", err);
    int r = read_lists(p, mandatory, &cfg, err);
    if (r == 0)
        *ret = cfg;
    return r;
}
