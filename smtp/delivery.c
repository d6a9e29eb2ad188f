/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delivery.c - one message to its next hop: which address next, what became of each recipient
 *
 * The next hops that qmgr names, then those of smtp_fallback_relay; for each a kept connection if
 * there is one, else its addresses in order until every recipient is decided. A 2xx or 5xx decides;
 * a 4xx or a broken connection does not, and what the last server said stands when no address is
 * left (RFC 5321 section 5.1).
 *
 * Runs in: smtp.
 */
#include <sys/un.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/address.h"
#include "smtp/smtp.h"

void delivery_result(struct delivery *d, struct delivery_rcpt *r, const struct connection *k,
                     uint32_t status, const char *dsn, struct span text, bool final)
{
    (void)d;
    r->result.status = status;
    snprintf(r->result.dsn, sizeof r->result.dsn, "%s", dsn);
    str_set(&r->result.text, span_first(text, 1024));
    str_reset(&r->result.relay);
    str_reset(&r->result.remote_mta);
    str_reset(&r->result.remote_reply);
    r->conn_use = k ? k->uses : 0;
    if (k)
        str_add(&r->result.relay, span_first(str_span(&k->relay), 512));
    if (final)
        r->state = RCPT_DECIDED;
}

static bool undecided(const struct delivery *d)
{
    for (uint32_t i = 0; i < d->request.n_rcpt; i++)
        if (d->rcpts[i].state == RCPT_UNDECIDED)
            return true;
    return false;
}

/* The last failure as a whole, for every undecided recipient: it stands unless another server has
 * its say. */
static void fail_all(struct delivery *d)
{
    const struct failure *why = &d->last;

    for (uint32_t i = 0; i < d->request.n_rcpt; i++)
        if (d->rcpts[i].state == RCPT_UNDECIDED)
            delivery_result(d, &d->rcpts[i], NULL,
                            why->permanent ? OUTCOME_BOUNCED : OUTCOME_DEFERRED, why->dsn,
                            str_span(&why->text), why->final);
}

/* Transfer over k. True if the server has had its say, false if the connection was lost. */
static bool use(struct delivery *d, struct connection *k)
{
    if (d->times.setup_us == 0)
        d->times.setup_us = clock_real_us();
    int r = transfer(d, k);
    bool heard = stream_error(k->stream) == 0;
    if (r == 0 && (d->tls.line.connection_reuse || !stream_ssl(k->stream)))
        cache_put(d->client, k);
    else
        connection_close(k);
    return heard;
}

/* ---- the addresses of one next hop ---- */

/* The first untried address; targets->len: none */
static size_t next_target(const struct targets *t)
{
    size_t i = 0;

    while (i < t->len && t->items[i].tried)
        i++;
    return i;
}

static size_t count_tried(const struct targets *t)
{
    size_t n = 0;

    for (size_t i = 0; i < t->len; i++)
        n += t->items[i].tried;
    return n;
}

static size_t limit_of(int64_t param)
{
    return param > 0 ? (size_t)param : SIZE_MAX;
}

static void try_targets(struct delivery *d, struct targets *t, bool *reached)
{
    const struct params *p = d->client->params;
    size_t addresses = limit_of(p->smtp_mx_address_limit),
           sessions = limit_of(p->smtp_mx_session_limit);
    size_t next, tried;

    while (undecided(d) && sessions > 0 && (next = next_target(t)) < t->len &&
           (tried = count_tried(t)) < addresses) {
        struct target *target = &t->items[next];
        struct connection *k = cache_take_server(d, target);
        if (k) {
            /* Another destination's: if it breaks, the server is connected to as if nothing had
             * been. */
            smtp_tls_log(d, k);
            target->tried = use(d, k);
            *reached |= target->tried;
            continue;
        }
        int fd = race_connect(d, t, next, addresses - tried, &target, &d->last);
        if (fd < 0) {
            fail_all(d);
            continue;
        }
        sessions--;
        if (connection_open(d, t, target, fd, &k, &d->last) < 0) {
            fail_all(d);
            continue;
        }
        *reached = true;
        use(d, k);
    }
}

static int unix_target(struct delivery *d, struct targets *ret)
{
    const struct nexthop *hop = &d->hop;
    const struct params *p = d->client->params;
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    _cleanup_(str_free) struct str path = STR_INIT;

    if (hop->host.data[0] != '/')
        str_addf(&path, "%s/", p->queue_directory);
    str_add(&path, str_span(&hop->host));
    if (path.len >= sizeof addr.sun_path) {
        failure_set(&d->last, true, "5.3.5", "path of socket %s is too long", str_cstr(&path));
        return -1;
    }
    memcpy(addr.sun_path, path.data, path.len);
    MEM_GROW(ret->items, ret->len, ret->cap);
    struct target *t = &ret->items[ret->len++];
    *t = (struct target){ .host = mem_strdup(p->myhostname) };
    memcpy(&t->addr, &addr, sizeof addr);
    return 0;
}

/* ---- what the connections of a delivery have in common ---- */

/* Addresses to send from, "192.0.2.1, 2001:db8::1": the first of each family that parses */
static void take_bind_addresses(struct delivery *d, struct span list)
{
    struct span word;

    while (span_word(&list, ", \t\r\n", &word)) {
        union sockaddr_any a;
        if (socket_addr_parse(word, 0, &a) < 0)
            continue;
        union sockaddr_any *of = &d->bind[a.sa.sa_family == AF_INET6];
        if (of->sa.sa_family == AF_UNSPEC)
            *of = a;
    }
}

/* By table for the destination, else for the sender (*value: what it says); then the parameters. */
static int find_bind_addresses(struct delivery *d, const struct nexthop *hop, struct str *value)
{
    const struct params *p = d->client->params;
    struct maps *maps = d->client->tables.bind_address;
    struct span sender = str_span(&d->request.sender);
    int r = 0;

    if (!maps_empty(maps)) {
        r = maps_get(maps, str_span(&hop->host), value);
        if (r == 0)
            r = sender.len == 0 ? maps_get(maps, span_of("<>"), value)
                                : maps_get_address(maps, sender, p->recipient_delimiter,
                                                   MAPS_FULL | MAPS_AT_DOMAIN, value, NULL);
    }
    if (r < 0)
        return r;
    take_bind_addresses(d, str_span(value));
    take_bind_addresses(d, span_of(p->smtp_bind_address));
    take_bind_addresses(d, span_of(p->smtp_bind_address6));
    return 0;
}

static bool is_kept(struct delivery *d, struct span text, const struct nexthop *hop)
{
    struct match_list *l = d->client->kept_destinations;

    return d->client->params->smtp_connection_cache_on_demand || match_list_has(l, text) > 0 ||
           match_list_has(l, str_span(&hop->host)) > 0;
}

/* Set d->tls, d->bind and d->key for the next hop `text`, which is d->hop. 0, or negative with
 * d->last. */
static int agree(struct delivery *d, struct span text)
{
    const struct params *p = d->client->params;
    const struct nexthop *hop = &d->hop;
    _cleanup_(str_free) struct str from = STR_INIT;

    str_set(&d->hop_text, text);
    if (smtp_tls_destination(d, str_cstr(&d->hop_text), &d->last) < 0)
        return -1;

    memset(d->bind, 0, sizeof d->bind);
    str_reset(&d->key);
    str_reset(&d->terms);
    if (find_bind_addresses(d, hop, &from) < 0) {
        failure_set(&d->last, false, "4.3.0", "smtp_bind_address_maps: lookup error");
        return -1;
    }
    if (!is_kept(d, text, hop))
        return 0;
    str_set(&d->terms, str_span(&d->tls.identity));
    if (from.len > 0) {
        str_add_char(&d->terms, '\n');
        str_add(&d->terms, str_span(&from));
    }
    /* Who has signed in as one sender does not send for another, nor one next hop's password for
     * another's. */
    if (p->smtp_sasl_auth_enable) {
        str_add_char(&d->terms, '\n');
        str_add(&d->terms, text);
        if (p->smtp_sender_dependent_authentication)
            str_add(&d->terms, str_span(&d->request.sender));
    }
    str_add(&d->key, text);
    str_add_char(&d->key, ' ');
    str_add(&d->key, str_span(&d->terms));
    return 0;
}

/* ---- smtp_delivery_status_filter ---- */

/* "5.1.1 text" becomes what the table says, as long as success stays success and failure failure.
 */
static void filter_status(struct delivery *d, struct delivery_rcpt *r)
{
    _cleanup_(str_free) struct str key = STR_INIT, value = STR_INIT;
    struct outcome *o = &r->result;
    char dsn[sizeof o->dsn];

    str_addf(&key, "%s ", o->dsn);
    str_add(&key, str_span(&o->text));
    int found = maps_get(d->client->tables.status_filter, str_span(&key), &value);
    size_t n = found > 0 ? status_dsn_parse(str_span(&value), dsn) : 0;
    if (found > 0 && (n == 0 || (dsn[0] == '2') != (o->dsn[0] == '2')))
        log_warn("smtp_delivery_status_filter: \"%s\" cannot stand for \"%s\": using the latter",
                 str_cstr(&value), o->dsn);
    else if (found > 0) {
        memcpy(o->dsn, dsn, sizeof dsn);
        str_set(&o->text, span_skip_ws(span_from(str_span(&value), n)));
        o->status = dsn[0] == '2'   ? OUTCOME_SENT
                    : dsn[0] == '4' ? OUTCOME_DEFERRED
                                    : OUTCOME_BOUNCED;
    }
}

static void filter_all(struct delivery *d)
{
    for (uint32_t i = 0; !maps_empty(d->client->tables.status_filter) && i < d->request.n_rcpt; i++)
        filter_status(d, &d->rcpts[i]);
}

/* ---- next hops ---- */

enum go_on { GO_ON, STOP };

/* This next hop did not work; perhaps another one does, unless the mail must not go elsewhere. */
static enum go_on pass_on(struct delivery *d)
{
    fail_all(d);
    return d->last.final ? STOP : GO_ON;
}

/* Over a kept connection, if there is one. *ret_used: the address whose server has had its say,
 * family 0: none. The connection may have been closed meanwhile, which says nothing about the
 * server. */
static void try_kept(struct delivery *d, union sockaddr_any *ret_used)
{
    struct connection *k = d->key.len > 0 ? cache_take(d->client, str_span(&d->key)) : NULL;

    if (!k)
        return;
    smtp_tls_log(d, k);
    union sockaddr_any remote = k->remote;
    if (use(d, k))
        *ret_used = remote;
}

static void leave_out(struct targets *t, const union sockaddr_any *used)
{
    for (size_t i = 0; i < t->len; i++)
        if (memcmp(&t->items[i].addr, used, sizeof *used) == 0)
            t->items[i].tried = true;
}

static enum go_on try_nexthop(struct delivery *d, struct span text, bool *reached)
{
    _cleanup_(targets_done) struct targets targets = { 0 };
    union sockaddr_any used = { 0 };

    if (nexthop_parse(text, d->client->default_port, &d->hop) < 0) {
        failure_set(&d->last, true, "5.4.4",
                    "bad next hop \"" SPAN_FMT "\": expected host, [host] or host:port",
                    SPAN_ARG(text));
        return pass_on(d);
    }
    if (agree(d, text) < 0)
        return pass_on(d);
    try_kept(d, &used);
    if (used.sa.sa_family != AF_UNSPEC)
        *reached = true;
    if (!undecided(d))
        return STOP;
    int r = d->hop.is_unix ? unix_target(d, &targets)
                           : targets_find(d->client, &d->hop, &targets, &d->last);
    if (r < 0)
        return *reached ? GO_ON : pass_on(d);
    leave_out(&targets, &used);
    try_targets(d, &targets, reached);
    return targets.we_are_mx || d->last.final ? STOP : GO_ON;
}

/* Every next hop of a list, while there are recipients. STOP: the fallback relays must not see this
 * mail. */
static enum go_on try_list(struct delivery *d, struct span list, bool *reached)
{
    enum go_on next = GO_ON;
    struct span word;

    while (next == GO_ON && undecided(d) && span_word(&list, ", \t\r\n", &word))
        next = try_nexthop(d, word, reached);
    return next;
}

void delivery_run(struct delivery *d)
{
    bool reached = false;
    enum go_on next = try_list(d, str_span(&d->request.nexthop), &reached);

    if (next == GO_ON && !d->client->lmtp)
        try_list(d, span_of(d->client->params->smtp_fallback_relay), &reached);
    d->dead = !reached && !d->last.permanent;
    filter_all(d);
}
