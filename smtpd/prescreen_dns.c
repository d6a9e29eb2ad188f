/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prescreen_dns.c - weighted DNS block and allow lists, asked in parallel
 *
 * Each list is asked once, however many filters and weights name it. What the lists have said is kept for as long
 * as DNS allows, so that a flood from one address asks once.
 *
 * Runs in: smtpd (what the lists' DNS says is hostile). Logs listings, as dnsblog does.
 */
#include "smtpd/prescreen_dns.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/own.h"
#include "dns/dns.h"
#include "smtpd/restrict_internal.h"

enum { KEPT_MAX = 10000, WEIGHT_MAX = 1000000 };

/* One item of postscreen_dnsbl_sites. */
struct site {
    struct rbl *rbl;
    int64_t weight;
    size_t question;            /* index of its list */
};

struct dnsbl {
    const struct params *params;
    struct site *sites;
    size_t n_sites, cap_sites;
    const char **domains;       /* one a question */
    size_t n_domains;
    struct table *replies;      /* postscreen_dnsbl_reply_map: names that hide a secret part; NULL: none */
    struct hash scores;
    struct list oldest_first;
};

/* ---- settings ---- */

static int parse_site(const struct restriction_set *set, struct span text, struct site *ret, struct str *err)
{
    struct span weight = text, list = span_cut(&weight, '*');

    ret->weight = 1;
    if (list.len < text.len && (span_i64(weight, &ret->weight) < 0 || ret->weight > WEIGHT_MAX ||
                                ret->weight < -WEIGHT_MAX)) {
        str_addf(err, "\"" SPAN_FMT "\": expected a number as the weight, as in \"list.example*2\"",
                 SPAN_ARG(text));
        return -EINVAL;
    }
    return rbl_parse(set, list, &ret->rbl, err);
}

/* The list of this domain, one for all its filters */
static size_t question_of(struct dnsbl *d, const char *domain)
{
    for (size_t i = 0; i < d->n_domains; i++)
        if (span_eq_nocase_str(span_of(domain), d->domains[i]))
            return i;
    d->domains = mem_realloc(d->domains, d->n_domains + 1, sizeof *d->domains);
    d->domains[d->n_domains] = domain;
    return d->n_domains++;
}

static int add_sites(struct dnsbl *d, const struct restriction_set *set, struct str *err)
{
    struct span list = span_of(d->params->postscreen_dnsbl_sites), word;

    while (span_word(&list, ", \t\r\n", &word)) {
        MEM_GROW(d->sites, d->n_sites, d->cap_sites);

        struct site *site = &d->sites[d->n_sites++];
        int r = parse_site(set, word, site, err);

        if (r < 0)
            return r;
        site->question = question_of(d, rbl_domain(site->rbl));
    }
    return 0;
}

int dnsbl_open(const struct params *p, const struct restriction_set *set, struct dnsbl **ret, struct str *err)
{
    _cleanup_(str_free) struct str why = STR_INIT;
    struct dnsbl *d = mem_new(struct dnsbl); /* of the process: not freed */
    const char *parameter = "postscreen_dnsbl_sites";

    d->params = p;
    d->scores = HASH_INIT;
    list_init(&d->oldest_first);
    int r = add_sites(d, set, &why);
    if (r == 0 && *p->postscreen_dnsbl_reply_map) {
        parameter = "postscreen_dnsbl_reply_map";
        r = table_open(span_of(p->postscreen_dnsbl_reply_map), &d->replies, &why);
    }
    if (r < 0) {
        conf_blame(parameter, err);
        str_add(err, str_span(&why));
        return r;
    }
    *ret = d->n_sites > 0 ? d : NULL;
    return 0;
}

/* ---- the score of an address ---- */

static void note_listing(struct dnsbl_score *s, const struct site *site, const struct dns_record *r,
                         int64_t *heaviest)
{
    char as[INET6_ADDRSTRLEN];

    log_info("addr %s listed by domain %s as %s", s->text, rbl_domain(site->rbl),
             socket_addr_print(&r->addr, as));
    s->score += site->weight;
    if (site->weight > *heaviest) {
        *heaviest = site->weight;
        s->domain = rbl_domain(site->rbl);
    }
}

static void add_site(struct dnsbl_score *s, const struct site *site, const struct dns_answer *a, int64_t *heaviest)
{
    for (size_t i = 0; a->status == DNS_OK && i < a->len; i++)
        if (rbl_matches(site->rbl, &a->records[i])) {
            note_listing(s, site, &a->records[i], heaviest);
            return;
        }
}

/* How long all answers hold, within the operator's bounds */
static void limit_ttl(struct dnsbl_score *s, const struct dns_answer *a)
{
    if (a->status == DNS_NOT_FOUND || a->status == DNS_NO_DATA)
        s->ttl = a->negative_ttl < s->ttl ? a->negative_ttl : s->ttl;
    for (size_t i = 0; i < a->len; i++)
        if (a->records[i].ttl < s->ttl)
            s->ttl = a->records[i].ttl;
}

static void hide_domain(struct dnsbl_score *s)
{
    _cleanup_(str_free) struct str shown = STR_INIT;
    struct dnsbl *d = s->dnsbl;

    if (!s->domain || !d->replies || table_get(d->replies, span_of(s->domain), &shown) <= 0)
        return;
    for (size_t i = 0; i < d->n_domains; i++)
        if (span_eq_str(str_span(&shown), d->domains[i])) {
            s->domain = d->domains[i];
            return;
        }
    s->domain = str_take(&shown); /* lives as long as the score */
}

static void evaluate(struct dnsbl_score *s, struct dns_answer *answers)
{
    const struct dnsbl *d = s->dnsbl;
    int64_t heaviest = 0;

    s->complete = true;
    s->ttl = d->params->postscreen_dnsbl_max_ttl;
    for (size_t i = 0; i < d->n_domains; i++) {
        limit_ttl(s, &answers[i]);
        if (answers[i].status == DNS_TEMPORARY) {
            log_warn("%s: DNS list did not answer about %s: %s", d->domains[i], s->text, answers[i].text);
            s->complete = false;
        }
    }
    for (size_t i = 0; i < d->n_sites; i++)
        add_site(s, &d->sites[i], &answers[d->sites[i].question], &heaviest);
    if (s->ttl < d->params->postscreen_dnsbl_min_ttl)
        s->ttl = d->params->postscreen_dnsbl_min_ttl;
    hide_domain(s);
}

static void run_questions(void *arg)
{
    struct dnsbl_score *s = arg;
    const struct dnsbl *d = s->dnsbl;
    struct dns_answer *answers = mem_new_n(struct dns_answer, d->n_domains);
    char **names = mem_new_n(char *, d->n_domains);

    for (size_t i = 0; i < d->n_domains; i++) {
        _cleanup_(str_free) struct str name = STR_INIT;

        rbl_add_reversed(&s->addr, &name);
        str_add_str(&name, d->domains[i]);
        names[i] = str_take(&name);
    }
    dns_query_all((const char *const *)names, d->n_domains, DNS_A,
                  clock_deadline_ms(d->params->postscreen_dnsbl_timeout * 1000), answers);
    evaluate(s, answers);
    s->done = true;
    s->fresh_until = s->complete ? clock_deadline_ms(s->ttl * 1000) : 0;
    for (size_t i = 0; i < d->n_domains; i++) {
        dns_answer_done(&answers[i]);
        free(names[i]);
    }
    free(answers);
    free(names);
    waitq_wake(&s->waiting, SIZE_MAX);
    dnsbl_release(s); /* the use of this fiber */
}

/* ---- those that are kept ---- */

static void forget(struct dnsbl_score *s)
{
    bool own = s->domain != NULL;

    for (size_t i = 0; own && i < s->dnsbl->n_domains; i++)
        own = s->domain != s->dnsbl->domains[i];
    if (own)
        free((char *)s->domain);
    hash_remove(&s->dnsbl->scores, &s->node);
    list_remove(&s->link);
    free(s);
}

/* A few at a time, and more when there are too many */
static void forget_old(struct dnsbl *d)
{
    struct dnsbl_score *s;
    int looks = 8;

    LIST_FOREACH(s, &d->oldest_first, struct dnsbl_score, link)
    {
        if (looks-- == 0)
            return;
        if (s->users == 0 && (clock_ms() >= s->fresh_until || d->scores.len > KEPT_MAX))
            forget(s);
    }
}

struct dnsbl_score *dnsbl_ask(struct dnsbl *d, const union sockaddr_any *addr, const char *text)
{
    forget_old(d);

    struct dnsbl_score *s = HASH_ENTRY(hash_get(&d->scores, span_of(text)), struct dnsbl_score, node);

    if (s && s->done && s->users == 0 && clock_ms() >= s->fresh_until) {
        forget(s);
        s = NULL;
    }
    if (s) {
        s->users++;
        return s;
    }
    s = mem_new(struct dnsbl_score);
    s->dnsbl = d;
    s->addr = *addr;
    snprintf(s->text, sizeof s->text, "%s", text);
    s->node.key = span_of(s->text);
    waitq_init(&s->waiting);
    hash_put(&d->scores, &s->node);
    list_push_back(&d->oldest_first, &s->link);
    s->users = 2; /* the caller and the fiber */
    fiber_start(run_questions, s);
    return s;
}

int dnsbl_wait(struct dnsbl_score *s, uint64_t deadline)
{
    return s->done ? 0 : waitq_wait(&s->waiting, deadline);
}

void dnsbl_release(struct dnsbl_score *s)
{
    if (--s->users == 0 && clock_ms() >= s->fresh_until)
        forget(s);
}
