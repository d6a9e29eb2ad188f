/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_policy.c - the one place that decides what TLS a server must offer
 *
 * The levels and names are Postfix's (TLS_README). What follows from a decision is elsewhere: tls_start.c
 * does the handshake and compares, cache.c keeps connections of different decisions apart.
 *
 * Runs in: smtp. Tables are the administrator's; DNS answers count only when authenticated.
 */
#include "smtp/tls_policy.h"

#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "mail/address.h"
#include "smtp/smtp.h"

static const char config_problem[] = "client TLS configuration problem";

/* ---- main.cf ---- */

/* The level without a table: the old parameters count where the new one is empty. */
static void main_cf_level(const struct params *p, struct tls_line *ret)
{
    const char *level = p->smtp_tls_security_level;

    if (!level[0])
        level = !p->smtp_enforce_tls ? p->smtp_use_tls ? "may" : "none"
                : p->smtp_tls_enforce_peername ? "verify" : "encrypt";
    tls_level_find(span_of(level), &ret->level);
}

static int load_anchors(const struct params *p, struct tls_anchors *ret, struct str *err)
{
    struct span files = span_of(p->smtp_tls_trust_anchor_file), file;
    int r = 0;

    while (r == 0 && span_word(&files, " \t\r\n,", &file)) {
        _cleanup_free_ char *name = mem_dup_span(file);
        r = tls_anchors_load(name, ret, err);
    }
    return r;
}

/* Each of main.cf's lists, so that a slip is found at start and not at night. */
static int check_lists(const struct params *p, struct str *err)
{
    const struct {
        const char *name, *protocols;
    } protocols[] = { { "smtp_tls_protocols", p->smtp_tls_protocols },
                      { "smtp_tls_mandatory_protocols", p->smtp_tls_mandatory_protocols } };
    const char *const grades[] = { p->smtp_tls_ciphers, p->smtp_tls_mandatory_ciphers };
    _cleanup_(str_free) struct str list = STR_INIT;
    uint64_t off;

    for (size_t i = 0; i < ARRAY_LEN(protocols); i++)
        if (tls_protocols_parse(span_of(protocols[i].protocols), &off) < 0)
            return conf_refuse(protocols[i].name, span_of(protocols[i].protocols), "a list such as >=TLSv1.2", err);
    for (size_t i = 0; i < ARRAY_LEN(grades); i++)
        if (tls_cipher_list(p, grades[i], "", "", &list, err) < 0)
            return -EINVAL;
    if (!EVP_get_digestbyname(p->smtp_tls_fingerprint_digest))
        return conf_refuse("smtp_tls_fingerprint_digest", span_of(p->smtp_tls_fingerprint_digest), "a digest such as sha256",
                           err);
    return 0;
}

int tls_engine_open(const struct params *p, struct tls_engine *ret, struct str *err)
{
    main_cf_level(p, &ret->main_cf);
    tls_level_find(span_of(p->smtp_tls_dane_insecure_mx_policy), &ret->insecure_mx);
    ret->params = p;
    ret->dnssec = strcmp(p->smtp_dns_support_level, "dnssec") == 0 && !strstr(p->smtp_host_lookup, "native");
    int r = check_lists(p, err);
    if (r == 0)
        r = load_anchors(p, &ret->anchors, err);
    if (r == 0)
        r = maps_open_named("smtp_tls_policy_maps", p->smtp_tls_policy_maps, &ret->table, err);
    return r;
}

void tls_engine_done(struct tls_engine *e)
{
    maps_free(e->table);
    tls_anchors_done(&e->anchors);
    tls_line_done(&e->main_cf);
}

/* ---- the sources that know the destination ---- */

static int from_main_cf(struct tls_engine *e, const char *destination, struct tls_site *s, struct failure *why)
{
    (void)destination, (void)why;
    s->line.level = e->main_cf.level;
    s->line.given = 0;
    str_set(&s->source, span_of("main.cf"));
    return 0;
}

/* The destination itself; of a bare domain also its parents, as ".parent". 1: found. */
static int look_up(struct tls_engine *e, struct span key, struct span *ret_key, struct str *value)
{
    bool bare = key.len > 0 && key.ptr[0] != '[' && span_chr(key, ':') < 0;
    int r = maps_get(e->table, key, value);

    while (r == 0 && bare) {
        ptrdiff_t dot = span_chr(span_from(key, 1), '.');
        if (dot < 0)
            break;
        key = span_from(key, (size_t)dot + 1);
        r = maps_get(e->table, key, value);
    }
    *ret_key = key;
    return r;
}

static int from_table(struct tls_engine *e, const char *destination, struct tls_site *s, struct failure *why)
{
    _cleanup_(str_free) struct str value = STR_INIT, err = STR_INIT;
    struct span key;

    if (maps_empty(e->table) || !destination[0])
        return 0;
    int r = look_up(e, span_of(destination), &key, &value);
    if (r < 0) {
        failure_set(why, false, "4.3.0", "TLS policy table lookup error for %s", destination);
        return -1;
    }
    if (r == 0)
        return 0;
    if (tls_line_parse(str_span(&value), &s->line, &err) < 0) {
        log_warn("smtp_tls_policy_maps, next-hop destination \"%s\": %s", destination, str_cstr(&err));
        failure_set(why, false, "4.7.5", "%s", config_problem);
        return -1;
    }
    str_reset(&s->source);
    str_addf(&s->source, "policy table " SPAN_FMT, SPAN_ARG(key));
    return 0;
}

/*
 * Asked in this order. A source that knows nothing of the destination leaves what stands.
 *
 * RFC 8461 (MTA-STS) is a row behind the table: it raises MAY to SECURE with the host names of
 * the domain's policy as `match`, unless the table names the destination (its section 2 leaves DANE the
 * precedence, which is tls_policy_decide()'s to give: there TLSA records win).
 */
static int (*const site_sources[])(struct tls_engine *, const char *, struct tls_site *, struct failure *) = {
    from_main_cf,
    from_table,
};

static void add_identity(struct tls_site *s)
{
    const struct tls_line *l = &s->line;
    const struct str *const parts[] = { &l->protocols, &l->ciphers, &l->exclude, &l->match, &l->tafiles,
                                        &l->servername };

    str_reset(&s->identity);
    str_addf(&s->identity, "%s/%x", tls_level_name(l->level), l->given);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        str_addf(&s->identity, "/" SPAN_FMT, SPAN_ARG(str_span(parts[i])));
}

/* DANE without DNSSEC finds nothing: say so, and do what is left to do. */
static int without_dnssec(const char *destination, struct tls_site *s, struct failure *why)
{
    if (s->line.level == TLS_LEVEL_DANE) {
        log_warn("%s: TLS level dane needs smtp_dns_support_level = dnssec and smtp_host_lookup = dns: using may",
                 destination);
        s->line.level = TLS_LEVEL_MAY;
        return 0;
    }
    log_warn("%s: TLS level dane-only needs smtp_dns_support_level = dnssec and smtp_host_lookup = dns: deferring",
             destination);
    failure_set(why, false, "4.7.5", "%s", config_problem);
    return -1;
}

int tls_site_find(struct tls_engine *e, const char *destination, struct tls_site *ret, struct failure *why)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_LEN(site_sources); i++)
        r = site_sources[i](e, destination, ret, why);
    if (r == 0 && ret->line.level >= TLS_LEVEL_DANE && !e->dnssec)
        r = without_dnssec(destination, ret, why);
    if (r == 0 && !(ret->line.given & TLS_CONNECTION_REUSE))
        ret->line.connection_reuse = e->params->smtp_tls_connection_reuse;
    if (r == 0)
        add_identity(ret);
    return r;
}

void tls_site_done(struct tls_site *s)
{
    tls_line_done(&s->line);
    str_free(&s->source);
    str_free(&s->identity);
}

/* ---- the decision for one server ---- */

/* Problems that only the administrator can mend */
static int misconfigured(const struct tls_site *site, struct failure *why, const char *what, const char *value)
{
    log_warn("%s, destination %s: %s", str_cstr((struct str *)&site->source), value, what);
    failure_set(why, false, "4.7.5", "%s", config_problem);
    return -1;
}

static int choose_protocols(const struct params *p, const struct tls_site *site, struct tls_policy *ret,
                            struct failure *why)
{
    struct span text = span_of(ret->level >= TLS_LEVEL_ENCRYPT ? p->smtp_tls_mandatory_protocols
                                                               : p->smtp_tls_protocols);

    if (site->line.given & TLS_PROTOCOLS)
        text = str_span(&site->line.protocols);
    if (tls_protocols_parse(text, &ret->protocols_off) < 0)
        return misconfigured(site, why, "bad list of protocols", str_cstr((struct str *)&site->line.protocols));
    return 0;
}

static int choose_ciphers(const struct params *p, const struct tls_site *site, struct tls_policy *ret,
                          struct failure *why)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    const struct tls_line *l = &site->line;
    bool mandatory = ret->level >= TLS_LEVEL_ENCRYPT, own_exclude = l->given & TLS_EXCLUDE;
    const char *grade = mandatory ? p->smtp_tls_mandatory_ciphers : p->smtp_tls_ciphers;

    if (l->given & TLS_CIPHERS)
        grade = str_cstr((struct str *)&l->ciphers);
    int r = tls_cipher_list(p, grade, own_exclude ? str_cstr((struct str *)&l->exclude) : p->smtp_tls_exclude_ciphers,
                            mandatory && !own_exclude ? p->smtp_tls_mandatory_exclude_ciphers : "", &ret->ciphers, &err);
    if (r < 0)
        return misconfigured(site, why, str_cstr(&err), grade);
    if (ret->level >= TLS_LEVEL_FINGERPRINT)
        str_add_str(&ret->ciphers, ":!aNULL");
    return 0;
}

static void add_name(struct str *list, const char *dot, const char *name)
{
    if (name && name[0])
        str_addf(list, "%s%s%s", list->len > 0 ? " " : "", dot, name);
}

/* "hostname", "nexthop", "dot-nexthop" or a name as it is */
static void add_matches(struct span names, const struct tls_host *h, struct str *ret)
{
    struct span name;

    while (span_word(&names, " \t\r\n,:", &name)) {
        if (span_eq_nocase_str(name, "hostname"))
            add_name(ret, "", h->host);
        else if (span_eq_nocase_str(name, "nexthop"))
            add_name(ret, "", h->domain);
        else if (span_eq_nocase_str(name, "dot-nexthop"))
            add_name(ret, ".", h->domain);
        else
            str_addf(ret, "%s" SPAN_FMT, ret->len > 0 ? " " : "", SPAN_ARG(name));
    }
}

static int add_fingerprints(struct span list, struct str *ret)
{
    struct span word;
    int r = 0;

    while (r == 0 && span_word(&list, " \t\r\n,|", &word)) {
        if (ret->len > 0)
            str_add_char(ret, ' ');
        r = tls_fingerprint_parse(word, ret);
    }
    return ret->len > 0 ? r : -EINVAL;
}

static int choose_match(struct tls_engine *e, const struct tls_site *site, const struct tls_host *h,
                        struct tls_policy *ret, struct failure *why)
{
    const struct params *p = e->params;
    bool own = site->line.given & TLS_MATCH;
    struct span list = str_span(&site->line.match);

    switch (ret->level) {
    case TLS_LEVEL_FINGERPRINT:
        if (add_fingerprints(own ? list : span_of(p->smtp_tls_fingerprint_cert_match), &ret->match) < 0)
            return misconfigured(site, why, "no fingerprints to match, or not in hexadecimal form", h->domain);
        break;
    case TLS_LEVEL_VERIFY:
        add_matches(own ? list : span_of(p->smtp_tls_verify_cert_match), h, &ret->match);
        break;
    case TLS_LEVEL_SECURE:
        add_matches(own ? list : span_of(p->smtp_tls_secure_cert_match), h, &ret->match);
        break;
    case TLS_LEVEL_DANE:        /* RFC 7672 section 3.2.2; tls_dane_apply() has put the TLSA base domain first */
        add_name(&ret->match, "", h->domain);
        add_name(&ret->match, "", h->expanded);
        break;
    case TLS_LEVEL_NONE:
    case TLS_LEVEL_MAY:
    case TLS_LEVEL_ENCRYPT:
    case TLS_LEVEL_DANE_ONLY:
        break;
    }
    return 0;
}

/* Anchors in place of the CAs, at the levels that verify a chain */
static int choose_anchors(struct tls_engine *e, const struct tls_site *site, struct tls_policy *ret,
                          struct failure *why)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    struct span files = str_span(&site->line.tafiles), file;

    if (ret->level != TLS_LEVEL_VERIFY && ret->level != TLS_LEVEL_SECURE)
        return 0;
    while (span_word(&files, " ", &file)) {
        _cleanup_(str_free) struct str path = STR_INIT;
        if (file.ptr[0] != '/')
            str_addf(&path, "%s/", e->params->smtp_tls_trust_anchor_directory);
        str_add(&path, file);
        if (tls_anchors_load(str_cstr(&path), &ret->anchors, &err) < 0)
            return misconfigured(site, why, str_cstr(&err), "tafile");
    }
    struct tls_anchors *a = ret->anchors.len > 0 ? &ret->anchors : &e->anchors;
    ret->tlsa = a->items;
    ret->n_tlsa = a->len;
    return 0;
}

static void choose_sni(const struct params *p, const struct tls_site *site, const struct tls_host *h,
                       struct tls_policy *ret)
{
    const char *name = site->line.given & TLS_SERVERNAME ? str_cstr((struct str *)&site->line.servername)
                                                         : p->smtp_tls_servername;
    union sockaddr_any addr;

    if (ret->sni.len > 0)
        return;         /* the TLSA base domain, RFC 7672 section 8.1 */
    if (strcmp(name, "hostname") == 0)
        name = h->host;
    else if (strcmp(name, "nexthop") == 0)
        name = h->domain;
    if (socket_addr_parse(span_of(name), 0, &addr) < 0)     /* RFC 6066 section 3: names only */
        str_add_str(&ret->sni, name);
}

/* SNI names a certificate of a name, and match compares it: both take names in the form of DNS. */
int tls_policy_decide(struct tls_engine *e, const struct tls_site *site, const struct tls_host *h,
                      struct tls_policy *ret, struct failure *why)
{
    const struct params *p = e->params;
    int r = 0;

    ret->level = site->line.level;
    str_set(&ret->source, str_span(&site->source));
    ret->site_len = ret->source.len;
    /* The sources that know the server. REQUIRETLS (RFC 8689), which a message brings along, comes behind
     * this one: it only ever raises the level that was found. */
    if (ret->level >= TLS_LEVEL_DANE)
        r = tls_dane_apply(e, h, ret, why);
    if (r < 0 || ret->level == TLS_LEVEL_NONE)
        return r;
    r = choose_protocols(p, site, ret, why);
    if (r == 0)
        r = choose_ciphers(p, site, ret, why);
    if (r == 0)
        r = choose_match(e, site, h, ret, why);
    if (r == 0)
        r = choose_anchors(e, site, ret, why);
    if (r == 0)
        choose_sni(p, site, h, ret);
    return r;
}

void tls_policy_done(struct tls_policy *p)
{
    bool own = p->level == TLS_LEVEL_DANE;

    if (own)
        free(p->tlsa);
    dns_answer_done(&p->answer);
    tls_anchors_done(&p->anchors);
    str_free(&p->source);
    str_free(&p->ciphers);
    str_free(&p->match);
    str_free(&p->sni);
}

struct tls_need tls_policy_need(const struct tls_engine *e, const struct tls_policy *p)
{
    return (struct tls_need){
        .level = p->level,
        .protocols_off = p->protocols_off,
        .ciphers = str_cstr((struct str *)&p->ciphers),
        .sni = str_cstr((struct str *)&p->sni),
        .match = str_cstr((struct str *)&p->match),
        .digest = e->params->smtp_tls_fingerprint_digest,
        .tlsa = p->tlsa,
        .n_tlsa = p->n_tlsa,
    };
}

void tls_policy_identity(const struct tls_policy *p, struct str *ret)
{
    str_addf(ret, "%s/%llx/" SPAN_FMT "/" SPAN_FMT "/" SPAN_FMT, tls_level_name(p->level),
             (unsigned long long)p->protocols_off, SPAN_ARG(str_span(&p->ciphers)), SPAN_ARG(str_span(&p->match)),
             SPAN_ARG(str_span(&p->sni)));
    for (size_t i = 0; i < p->n_tlsa; i++) {
        const struct tls_tlsa *t = &p->tlsa[i];
        str_addf(ret, "/%u%u%u", t->usage, t->selector, t->matching);
        str_add_hex(ret, span_make(t->data, t->len));
    }
}
