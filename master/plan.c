/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.c - master.cf made concrete
 *
 * Host names are not looked up: master is root and reads nothing that came from
 * a network, DNS included. An address is written as an address.
 *
 * Runs in: master, on the administrator's text. Logs nothing.
 */
#include "master/plan.h"

#include <errno.h>
#include <netdb.h>

#include "base/mem.h"

static const struct {
    const char *name;
    unsigned port;
} known_ports[] = {
    { "smtp", 25 },  { "submission", 587 }, { "submissions", 465 }, { "smtps", 465 },  { "lmtp", 24 },
    { "pop3", 110 }, { "pop3s", 995 },      { "imap", 143 },        { "imaps", 993 },
};

/* Postfix's internal services that our processes do without. */
static const char *const needless[] = { "trivial-rewrite", "showq", "flush", "scache", "postlogd",
                                        "dnsblog",         "tlsproxy" };

static const char *const type_names[] = {
    [SERVICE_INET] = "inet", [SERVICE_UNIX] = "unix",             [SERVICE_FIFO] = "fifo",
    [SERVICE_PASS] = "pass", [SERVICE_UNIX_DGRAM] = "unix-dgram",
};

const char *service_type_name(enum service_type type)
{
    return type_names[type];
}

/* Where an error is. */
struct place {
    const char *path;
    const struct service *entry;
    struct str *err;
};

static int refuse(const struct place *at, const char *why)
{
    str_addf(at->err, "%s, line %d: service %s: %s", at->path, at->entry->line, at->entry->name, why);
    return -EINVAL;
}

/* ---- endpoints ---- */

static int parse_port(struct span text, unsigned *ret)
{
    uint32_t n;

    if (span_u32(text, 65535, &n) == 0 && n > 0) {
        *ret = n;
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(known_ports); i++)
        if (span_eq_nocase_str(text, known_ports[i].name)) {
            *ret = known_ports[i].port;
            return 0;
        }
    _cleanup_free_ char *name = mem_dup_span(text);
    const struct servent *se = getservbyname(name, "tcp");
    if (!se)
        return -EINVAL;
    *ret = ntohs((uint16_t)se->s_port);
    return 0;
}

static bool protocol_wanted(const struct params *params, int family)
{
    struct span list = span_of(params->inet_protocols), word;

    while (span_word(&list, ", \t", &word))
        if (span_eq_nocase_str(word, "all") ||
            span_eq_nocase_str(word, family == AF_INET ? "ipv4" : "ipv6"))
            return true;
    return false;
}

static void add_inet(struct planned *s, const union sockaddr_any *addr, bool optional)
{
    _cleanup_(str_free) struct str key = STR_INIT;
    char text[INET6_ADDRSTRLEN];

    str_addf(&key, "inet %s %u", socket_addr_print(addr, text), socket_addr_port(addr));
    for (size_t i = 0; i < s->n_endpoints; i++)
        if (strcmp(s->endpoints[i].key, str_cstr(&key)) == 0)
            return;
    MEM_GROW(s->endpoints, s->n_endpoints, s->cap_endpoints);
    s->endpoints[s->n_endpoints++] =
        (struct endpoint){ str_take(&key), SERVICE_INET, *addr, NULL, optional };
}

/* Words that stand for addresses, in inet_interfaces and before the port. */
static const struct {
    const char *word, *ipv4, *ipv6;
} address_words[] = {
    { "all", "0.0.0.0", "::" },
    { "loopback-only", "127.0.0.1", "::1" },
    { "localhost", "127.0.0.1", "::1" },
};

static void add_literal(struct planned *s, const struct params *params, const char *text, unsigned port)
{
    union sockaddr_any a;

    if (socket_addr_parse(span_of(text), port, &a) == 0 && protocol_wanted(params, a.sa.sa_family))
        add_inet(s, &a, a.sa.sa_family == AF_INET6);
}

/* add_host - an address, with or without brackets, or one of the words above; -EINVAL */
static int add_host(struct planned *s, const struct params *params, struct span host, unsigned port)
{
    union sockaddr_any a;

    if (s->n_endpoints + 2 > ENDPOINTS_MAX)
        return -EINVAL;
    for (size_t i = 0; i < ARRAY_LEN(address_words); i++)
        if (span_eq_nocase_str(host, address_words[i].word)) {
            add_literal(s, params, address_words[i].ipv4, port);
            add_literal(s, params, address_words[i].ipv6, port);
            return 0;
        }
    if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = span_make(host.ptr + 1, host.len - 2);
    if (socket_addr_parse(host, port, &a) < 0)
        return -EINVAL;
    add_inet(s, &a, false);
    return 0;
}

/* plan_inet - "[host:]port"; without a host the addresses of inet_interfaces */
static int plan_inet(const struct place *at, const struct params *params, struct planned *s)
{
    struct span name = span_of(s->name), hosts = span_of(params->inet_interfaces), word;
    ptrdiff_t colon = span_rchr(name, ':');
    unsigned port;

    if (parse_port(span_from(name, (size_t)(colon + 1)), &port) < 0)
        return refuse(at, "expected [host:]port, port a number or a name such as smtp");
    if (colon >= 0 && add_host(s, params, span_first(name, (size_t)colon), port) < 0)
        return refuse(at, "expected an IP address (or localhost) before the port: names are not looked up");
    while (colon < 0 && span_word(&hosts, ", \t", &word))
        if (add_host(s, params, word, port) < 0)
            return refuse(at, "inet_interfaces: expected all, loopback-only, localhost or IP addresses: "
                              "names are not looked up");
    if (s->n_endpoints == 0)
        return refuse(at, "inet_interfaces and inet_protocols leave no address");
    return 0;
}

/* plan_local - a socket or FIFO in private/ or public/ */
static int plan_local(const struct place *at, struct planned *s)
{
    _cleanup_(str_free) struct str key = STR_INIT, path = STR_INIT;

    if (strpbrk(s->name, "/= \t") || s->name[0] == '.')
        return refuse(at, "the name of a local service has no slash, blank or equals sign");
    str_addf(&path, "%s/%s", s->is_private ? "private" : "public", s->name);
    str_addf(&key, "%s %s", s->type == SERVICE_FIFO ? "fifo" : "unix", str_cstr(&path));
    MEM_GROW(s->endpoints, s->n_endpoints, s->cap_endpoints);
    s->endpoints[s->n_endpoints++] =
        (struct endpoint){ .key = str_take(&key), .type = s->type, .path = str_take(&path) };
    return 0;
}

/* ---- services ---- */

static bool is_needless(const char *program)
{
    for (size_t i = 0; i < ARRAY_LEN(needless); i++)
        if (strcmp(needless[i], program) == 0)
            return true;
    return false;
}

/* ---- postscreen ---- */

/* Where smtpd tests clients itself (smtpd_prescreen), an smtpd that postscreen would pass them to has no caller. */
static bool is_postscreen(const struct service *entry)
{
    return entry->type == SERVICE_INET && strcmp(entry->program, "postscreen") == 0;
}

static bool is_behind_postscreen(const struct service *entry)
{
    return entry->type == SERVICE_PASS && strcmp(entry->program, "smtpd") == 0;
}

static const struct service *find_entry(const struct master_cf *cf, bool (*fn)(const struct service *entry))
{
    for (size_t i = 0; i < cf->len; i++)
        if (fn(&cf->services[i]))
            return &cf->services[i];
    return NULL;
}

static void set_args(struct planned *s, const struct service *const *entries, size_t n, const char *first)
{
    size_t argc = 0, k = 0;

    for (size_t i = 0; i < n; i++)
        argc += entries[i] ? entries[i]->argc : 0;
    s->args = mem_new_n(char *, argc + 3);
    if (first) {
        s->args[k++] = mem_strdup("-o");
        s->args[k++] = mem_strdup(first);
    }
    for (size_t i = 0; i < n; i++)
        for (size_t a = 0; entries[i] && a < entries[i]->argc; a++)
            s->args[k++] = mem_strdup(entries[i]->argv[a]);
}

/* become_smtpd - with the options of the smtpd behind it, and its own on top; one process is no limit any more */
static void become_smtpd(const struct master_cf *cf, const struct service *entry, const struct params *params,
                         struct planned *s)
{
    const struct service *const entries[] = { find_entry(cf, is_behind_postscreen), entry };

    free(s->program);
    s->program = mem_strdup("smtpd");
    if (s->limit == 1)
        s->limit = params->default_process_limit;
    set_args(s, entries, ARRAY_LEN(entries), "smtpd_prescreen=yes");
}

/* skip - entries of a Postfix master.cf that mean nothing here */
static bool skip(const struct place *at, const struct master_cf *cf, struct str *notes)
{
    const struct service *entry = at->entry;
    const char *why = NULL;

    if (is_needless(entry->program))
        why = "this program has no counterpart and is not needed; entry ignored";
    else if (is_behind_postscreen(entry) && find_entry(cf, is_postscreen))
        why = "its options are used where postscreen is named; entry ignored";
    else if (entry->type == SERVICE_UNIX_DGRAM)
        why = "datagram services are not offered; entry ignored";
    if (why || entry->chroot)
        str_addf(notes, "%s, line %d: service %s: %s\n", at->path, entry->line, entry->name,
                 why ? why : "there is no chroot; the sandbox takes its place");
    if (is_postscreen(entry))
        str_addf(notes, "%s, line %d: service %s: postscreen is a part of smtpd: served by smtpd with "
                 "smtpd_prescreen = yes\n", at->path, entry->line, entry->name);
    return why != NULL;
}

/* limit_of - of master.cf, or the default: programs with a process a session have one of their own */
static int64_t limit_of(const struct service *entry, const struct params *params)
{
    if (entry->max_processes >= 0)
        return entry->max_processes;
    if (strcmp(entry->program, "imapd") == 0)
        return params->imap_process_limit;
    if (strcmp(entry->program, "pop3d") == 0)
        return params->pop3_process_limit;
    return params->default_process_limit;
}

static void copy_entry(const struct master_cf *cf, const struct service *entry, const struct params *params,
                       struct planned *s)
{
    *s = (struct planned){
        .name = mem_strdup(entry->name),
        .type = entry->type,
        .is_private = entry->is_private,
        .program = mem_strdup(entry->program),
        .wakeup_s = entry->wakeup,
        .wakeup_if_used = entry->wakeup_if_used,
        .limit = limit_of(entry, params),
        .line = entry->line,
    };
    if (is_postscreen(entry))
        become_smtpd(cf, entry, params, s);
    else
        set_args(s, &entry, 1, NULL);
}

/* check_unique - two services cannot listen at one place */
static int check_unique(const struct place *at, const struct plan *p, const struct planned *s)
{
    for (size_t i = 0; i < s->n_endpoints; i++)
        if (plan_has_endpoint(p, s->endpoints[i].key))
            return refuse(at, "another service has this address or socket already");
    return 0;
}

static void planned_done(struct planned *s)
{
    free(s->name);
    free(s->program);
    for (char **a = s->args; a && *a; a++)
        free(*a);
    free(s->args);
    for (size_t i = 0; i < s->n_endpoints; i++) {
        free(s->endpoints[i].key);
        free(s->endpoints[i].path);
    }
    free(s->endpoints);
    *s = (struct planned){ 0 };
}

void plan_done(struct plan *p)
{
    for (size_t i = 0; i < p->len; i++)
        planned_done(&p->services[i]);
    free(p->services);
    *p = (struct plan){ NULL, 0 };
}

int plan_make(const struct master_cf *cf, const struct params *params, const char *master_cf_path,
              struct plan *ret, struct str *notes, struct str *err)
{
    _cleanup_(plan_done) struct plan p = { mem_new_n(struct planned, cf->len), 0 };

    for (size_t i = 0; i < cf->len; i++) {
        const struct place at = { master_cf_path, &cf->services[i], err };

        if (skip(&at, cf, notes))
            continue;
        _cleanup_(planned_done) struct planned s = { 0 };
        copy_entry(cf, at.entry, params, &s);
        int r = s.type == SERVICE_INET ? plan_inet(&at, params, &s) : plan_local(&at, &s);
        if (r == 0)
            r = check_unique(&at, &p, &s);
        if (r < 0)
            return r;
        p.services[p.len++] = TAKE(s, (struct planned){ 0 });
    }
    if (p.len == 0) {
        str_addf(err, "%s: no service", master_cf_path);
        return -EINVAL;
    }
    *ret = TAKE(p, ((struct plan){ NULL, 0 }));
    return 0;
}

struct planned *plan_find(const struct plan *p, const char *name, enum service_type type)
{
    for (size_t i = 0; i < p->len; i++)
        if (p->services[i].type == type && strcmp(p->services[i].name, name) == 0)
            return &p->services[i];
    return NULL;
}

bool plan_has_endpoint(const struct plan *p, const char *key)
{
    for (size_t i = 0; i < p->len; i++)
        for (size_t k = 0; k < p->services[i].n_endpoints; k++)
            if (strcmp(p->services[i].endpoints[k].key, key) == 0)
                return true;
    return false;
}
