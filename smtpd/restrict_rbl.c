/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restrict_rbl.c - DNS lists: blocked and allowed clients by address (RFC 5782) and by domain
 *
 * A list is named as "zen.example" or with the answers that count, as
 * "zen.example=127.0.0.[2..11]". A list that does not answer blocks nobody; but where
 * a client might have been allowed, a later refusal is only a temporary one.
 *
 * Runs in: smtpd (clients and what the list's DNS says are hostile). Logs lists that do not answer.
 */
#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/own.h"
#include "mail/address.h"
#include "smtpd/expand.h"
#include "smtpd/reply.h"
#include "smtpd/restrict_internal.h"

#define OCTETS 4

struct rbl {
    char *text;                         /* as main.cf has it: the key of rbl_reply_maps */
    char *domain;
    bool filtered;
    uint32_t allowed[OCTETS][256 / 32]; /* a bit for each value of each octet of the answer */
};

void rbl_free(struct rbl *rbl)
{
    if (!rbl)
        return;
    free(rbl->text);
    free(rbl->domain);
    free(rbl);
}

DEFINE_CLEANUP(struct rbl, rbl_free);

const char *rbl_domain(const struct rbl *rbl)
{
    return rbl->domain;
}

/* ---- filters ---- */

/* "7" or "5..7" */
static bool parse_range(struct span text, uint32_t bits[static 8])
{
    ptrdiff_t dots = span_find(text, (struct span)SPAN(".."));
    uint32_t from, to;

    if (span_u32(dots < 0 ? text : span_first(text, (size_t)dots), 255, &from) < 0)
        return false;
    to = from;
    if (dots >= 0 && span_u32(span_from(text, (size_t)dots + 2), 255, &to) < 0)
        return false;
    for (uint32_t i = from; i <= to; i++)
        bits[i / 32] |= 1u << i % 32;
    return from <= to;
}

/* An octet off the front: "0", "[1;3;5..7]" */
static bool parse_octet(struct span *in, uint32_t bits[static 8])
{
    if (!span_take(in, '['))
        return parse_range(span_cut(in, '.'), bits);

    ptrdiff_t end = span_chr(*in, ']');

    if (end <= 0)
        return false;

    struct span list = span_first(*in, (size_t)end);

    *in = span_from(*in, (size_t)end + 1);
    while (list.len > 0)
        if (!parse_range(span_cut(&list, ';'), bits))
            return false;
    return in->len == 0 || (span_take(in, '.') && in->len > 0);
}

static bool parse_filter(struct span in, struct rbl *rbl)
{
    for (size_t i = 0; i < OCTETS; i++)
        if (in.len == 0 || !parse_octet(&in, rbl->allowed[i]))
            return false;
    rbl->filtered = true;
    return in.len == 0;
}

int rbl_parse(const struct restriction_set *set, struct span text, struct rbl **ret,
              struct str *err)
{
    _cleanup_(rbl_free_ptr_) struct rbl *rbl = mem_new(struct rbl);
    struct span filter = text, domain = span_cut(&filter, '=');

    (void)set;
    rbl->text = mem_dup_span(text);
    rbl->domain = mem_dup_span(domain);
    if (!address_domain_valid(domain) || (domain.len < text.len && !parse_filter(filter, rbl))) {
        str_addf(err, "\"" SPAN_FMT "\": a domain, or a domain and what it answers, as in "
                 "\"list.example=127.0.0.[2..11]\", is wanted", SPAN_ARG(text));
        return -EINVAL;
    }
    *ret = TAKE_PTR(rbl);
    return 0;
}

bool rbl_matches(const struct rbl *rbl, const struct dns_record *r)
{
    const uint8_t *octets = (const uint8_t *)&r->addr.in.sin_addr;

    if (r->type != DNS_A)
        return false;
    for (size_t i = 0; rbl->filtered && i < OCTETS; i++)
        if (!(rbl->allowed[i][octets[i] / 32] & 1u << octets[i] % 32))
            return false;
    return true;
}

/* ---- asking ---- */

/* 9.2.0.192.list.example; nibbles for IPv6: RFC 5782 sections 2.1 and 2.4 */
void rbl_add_reversed(const union sockaddr_any *a, struct str *ret)
{
    const uint8_t *bytes = (const uint8_t *)&a->in.sin_addr;

    if (a->sa.sa_family == AF_INET6) {
        for (size_t i = 16; i-- > 0;)
            str_addf(ret, "%x.%x.", a->in6.sin6_addr.s6_addr[i] & 15,
                     a->in6.sin6_addr.s6_addr[i] >> 4);
        return;
    }
    for (size_t i = OCTETS; i-- > 0;)
        str_addf(ret, "%u.", bytes[i]);
}

/* 1 listed, 0 not, negative: no answer. name: what stands before the list's domain */
static int is_listed(struct smtpd *s, const struct rbl *rbl, struct str *name)
{
    _cleanup_(dns_answer_done) struct dns_answer answer = { 0 };

    str_add_str(name, rbl->domain);

    enum dns_status status = restrict_query(s, str_span(name), DNS_A, &answer);

    if (status == DNS_TEMPORARY) {
        log_warn("%s: RBL lookup error: %s", str_cstr(name), answer.text);
        return -EAGAIN;
    }
    for (size_t i = 0; status == DNS_OK && i < answer.len; i++)
        if (rbl_matches(rbl, &answer.records[i]))
            return 1;
    return 0;
}

static int client_listed(struct smtpd *s, const struct rbl *rbl, struct str *name)
{
    if (s->remote.sa.sa_family != AF_INET && s->remote.sa.sa_family != AF_INET6)
        return 0;
    rbl_add_reversed(&s->remote, name);
    return is_listed(s, rbl, name);
}

static int domain_listed(struct smtpd *s, const struct rbl *rbl, struct span domain,
                         struct str *name)
{
    struct span inner;

    if (address_literal(domain, &inner) || !address_domain_valid(domain))
        return 0;
    str_add(name, domain);
    str_add_char(name, '.');
    return is_listed(s, rbl, name);
}

/* ---- refusing ---- */

static void add_reason(struct smtpd *s, struct span name, struct str *ret)
{
    _cleanup_(dns_answer_done) struct dns_answer answer = { 0 };

    if (restrict_query(s, name, DNS_TXT, &answer) == DNS_OK)
        for (size_t i = 0; i < answer.len && ret->len == 0; i++)
            if (answer.records[i].data)
                show(ret, span_make(answer.records[i].data, answer.records[i].data_len));
}

/* rbl_reply_maps, else default_rbl_reply: raw, since they hold names of ours */
static int find_template(struct smtpd *s, const struct rbl *rbl, struct str *ret)
{
    int r = maps_get(s->sv->rbl_replies, span_of(rbl->text), ret);

    if (r == 0)
        str_set(ret, span_of(conf_raw(s->sv->server->conf, "default_rbl_reply")));
    return r;
}

/* "554 text" gets its enhanced code, if it has none */
static void add_detail(struct str *reply)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    struct span rest = str_span(reply);
    struct span code = span_first(rest, 3);
    uint32_t n;

    rest = span_skip_ws(span_from(rest, 3));
    if (span_u32(code, 599, &n) < 0 || n < 400) { /* a template without a code */
        code = span_of("554");
        rest = str_span(reply);
    }
    if (rest.len > 1 && rest.ptr[1] == '.')
        str_addf(&text, SPAN_FMT " " SPAN_FMT, SPAN_ARG(code), SPAN_ARG(rest));
    else
        str_addf(&text, SPAN_FMT " %c.7.1 " SPAN_FMT, SPAN_ARG(code), code.ptr[0], SPAN_ARG(rest));
    str_set(reply, str_span(&text));
}

/* name: what was asked of DNS */
static enum verdict refuse_listed(struct smtpd *s, const struct rbl *rbl, const struct str *name,
                                  const struct subject *about)
{
    _cleanup_(str_free) struct str template = STR_INIT;
    _cleanup_(str_free) struct str reason = STR_INIT;
    _cleanup_(str_free) struct str text = STR_INIT;
    char code[16];

    if (find_template(s, rbl, &template) < 0)
        return restrict_lookup_failed(s, about);
    add_reason(s, str_span(name), &reason);
    snprintf(code, sizeof(code), "%d", (int)s->sv->params->maps_rbl_reject_code);

    const struct expand_value values[] = {
        { "rbl_class", span_of(about->class) }, { "rbl_code", span_of(code) },
        { "rbl_domain", span_of(rbl->domain) }, { "rbl_reason", str_span(&reason) },
        { "rbl_txt", str_span(&reason) },       { "rbl_what", about->name },
    };

    expand_reply(s, str_span(&template), values, ARRAY_LEN(values), &text);
    add_detail(&text);
    return restrict_refuse_text(s, str_span(&text));
}

static enum verdict check_domain(struct smtpd *s, const struct rbl *rbl, struct span domain,
                                 const struct subject *about)
{
    _cleanup_(str_free) struct str name = STR_INIT;

    return domain_listed(s, rbl, domain, &name) > 0 ? refuse_listed(s, rbl, &name, about)
                                                    : VERDICT_NONE;
}

/* ---- restrictions ---- */

enum verdict ask_rbl_client(struct smtpd *s, const struct restriction_item *item)
{
    _cleanup_(str_free) struct str name = STR_INIT;
    struct subject about = { "Client host", span_of(s->addr) };

    return client_listed(s, item->rbl, &name) > 0 ? refuse_listed(s, item->rbl, &name, &about)
                                                  : VERDICT_NONE;
}

enum verdict ask_rhsbl_client(struct smtpd *s, const struct restriction_item *item)
{
    struct subject about = { "Client host", str_span(&s->name) };

    return s->name_state == CLIENT_NAME_OK ? check_domain(s, item->rbl, about.name, &about)
                                           : VERDICT_NONE;
}

enum verdict ask_rhsbl_reverse(struct smtpd *s, const struct restriction_item *item)
{
    struct subject about = { "Unverified Client host", str_span(&s->reverse_name) };

    return s->reverse_name_state == CLIENT_NAME_OK ? check_domain(s, item->rbl, about.name, &about)
                                                   : VERDICT_NONE;
}

enum verdict ask_rhsbl_helo(struct smtpd *s, const struct restriction_item *item)
{
    struct subject about = subject_helo(s);

    return check_domain(s, item->rbl, about.name, &about);
}

enum verdict ask_rhsbl_sender(struct smtpd *s, const struct restriction_item *item)
{
    _cleanup_(str_free) struct str scratch = STR_INIT;
    struct subject about = subject_sender(s, &scratch);

    return check_domain(s, item->rbl, address_domain(str_span(&s->sender)), &about);
}

enum verdict ask_rhsbl_rcpt(struct smtpd *s, const struct restriction_item *item)
{
    _cleanup_(str_free) struct str scratch = STR_INIT;
    struct subject about = subject_rcpt(s, &scratch);

    return check_domain(s, item->rbl, address_domain(str_span(&s->rcpt)), &about);
}

/* ---- allowing ---- */

/* Being on a list of good clients is no leave to relay. */
static bool rcpt_is_foreign(struct smtpd *s)
{
    enum address_class class;

    return s->rcpt.len > 0 &&
           (route_class(s->sv->router, address_domain(str_span(&s->rcpt)), &class) < 0 ||
            class == CLASS_DEFAULT);
}

static enum verdict allow(struct smtpd *s, int listed)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    struct subject about = subject_client(s);

    if (listed < 0) {
        reply_text(&text, &about, 450, "7.1", "Try again later");
        return restrict_defer_if_reject(s, str_span(&text));
    }
    return listed > 0 && !rcpt_is_foreign(s) ? VERDICT_PERMIT : VERDICT_NONE;
}

enum verdict ask_dnswl_client(struct smtpd *s, const struct restriction_item *item)
{
    _cleanup_(str_free) struct str name = STR_INIT;

    return allow(s, client_listed(s, item->rbl, &name));
}

enum verdict ask_rhswl_client(struct smtpd *s, const struct restriction_item *item)
{
    _cleanup_(str_free) struct str name = STR_INIT;

    if (s->name_state != CLIENT_NAME_OK)
        return VERDICT_NONE;
    return allow(s, domain_listed(s, item->rbl, str_span(&s->name), &name));
}
