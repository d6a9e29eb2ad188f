/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restrict.c - access restrictions: one row per name, one function per fact
 *
 * Names, meaning, reply codes and texts are those of postconf(5), since
 * operators' configurations and log watchers depend on them. A failed lookup is
 * never taken for an answer: it is a 4xx.
 *
 * Runs in: smtpd (names are the administrator's, what they test is hostile).
 */
#include "smtpd/restrict.h"

#include <errno.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/own.h"
#include "dns/dns.h"
#include "mail/address.h"
#include "mail/idna.h"
#include "smtpd/reply.h"
#include "smtpd/smtpd.h"

struct restriction {
    struct span name;
    enum verdict (*ask)(struct smtpd *s);
    bool guards_relay;
};

/* ---- who is the client ---- */

static enum verdict mynetworks(struct smtpd *s)
{
    return s->trusted ? VERDICT_PERMIT : VERDICT_NONE;
}

static enum verdict sasl_authenticated(struct smtpd *s)
{
    return s->sasl_username.len > 0 ? VERDICT_PERMIT : VERDICT_NONE;
}

/* ---- constant answers ---- */

static enum verdict permit(struct smtpd *s)
{
    (void)s;
    return VERDICT_PERMIT;
}

static enum verdict reject(struct smtpd *s)
{
    return refuse_rcpt(s, "554 5.7.1", "Recipient address rejected: Access denied");
}

static enum verdict defer(struct smtpd *s)
{
    return refuse_rcpt(s, "450 4.7.1", "Recipient address rejected: Try again later");
}

/* ---- whose is the recipient ---- */

static enum verdict lookup_failed(struct smtpd *s)
{
    return refuse_rcpt(s, "451 4.3.0", "Temporary lookup failure");
}

/* The class of s->rcpt, or a refusal */
static enum verdict class_of_rcpt(struct smtpd *s, enum address_class *ret)
{
    if (route_class(s->sv->router, address_domain(str_span(&s->rcpt)), ret) < 0)
        return lookup_failed(s);
    return VERDICT_NONE;
}

static enum verdict unless_ours(struct smtpd *s, const char *code)
{
    enum address_class class;
    enum verdict v = class_of_rcpt(s, &class);

    if (v == VERDICT_NONE && class == CLASS_DEFAULT)
        return refuse_rcpt(s, code, "Relay access denied");
    return v;
}

static enum verdict reject_unauth_destination(struct smtpd *s)
{
    return unless_ours(s, "554 5.7.1");
}

static enum verdict defer_unauth_destination(struct smtpd *s)
{
    return unless_ours(s, "454 4.7.1");
}

static enum verdict auth_destination(struct smtpd *s)
{
    enum address_class class;
    enum verdict v = class_of_rcpt(s, &class);

    return v == VERDICT_NONE && class != CLASS_DEFAULT ? VERDICT_PERMIT : v;
}

enum verdict restrict_unlisted_recipient(struct smtpd *s)
{
    static const char *const tables[] = {
        [CLASS_LOCAL] = "local recipient",
        [CLASS_VIRTUAL_ALIAS] = "virtual alias",
        [CLASS_VIRTUAL_MAILBOX] = "virtual mailbox",
        [CLASS_RELAY] = "relay recipient",
        [CLASS_DEFAULT] = "recipient",
    };
    enum address_class class;
    char code[32] = "550 5.1.1";
    char text[128];
    enum verdict v = class_of_rcpt(s, &class);

    if (v != VERDICT_NONE)
        return v;

    int exists = route_recipient_exists(s->sv->router, str_span(&s->rcpt), class);

    if (exists < 0)
        return lookup_failed(s);
    if (exists > 0)
        return VERDICT_NONE;
    if (class == CLASS_LOCAL) {
        int n = (int)s->sv->params->unknown_local_recipient_reject_code;

        snprintf(code, sizeof(code), "%d %d.1.1", n, n / 100);
    }
    snprintf(text, sizeof(text), "Recipient address rejected: User unknown in %s table", tables[class]);
    return refuse_rcpt(s, code, text);
}

/* ---- domains ---- */

static bool is_fqdn(struct span address)
{
    struct span domain = address_domain(address);
    struct span inner;

    return address_literal(domain, &inner) || span_chr(domain, '.') > 0;
}

static enum verdict non_fqdn_sender(struct smtpd *s)
{
    if (s->sender.len == 0 || is_fqdn(str_span(&s->sender)))
        return VERDICT_NONE;
    return refuse_sender(s, "504 5.5.2", "Sender address rejected: need fully-qualified address");
}

static enum verdict non_fqdn_recipient(struct smtpd *s)
{
    if (is_fqdn(str_span(&s->rcpt)))
        return VERDICT_NONE;
    return refuse_rcpt(s, "504 5.5.2", "Recipient address rejected: need fully-qualified address");
}

/* Can the domain receive mail: has it an MX or an address? A failed look-up is a "no", whose reply is
 * 450 in either case (unknown_address_reject_code). */
static bool domain_in_dns(struct smtpd *s, struct span domain)
{
    _cleanup_(dns_answer_done) struct dns_answer answer = { 0 };
    _cleanup_(str_free) struct str name = STR_INIT;
    struct span inner;

    if (address_literal(domain, &inner))
        return true;
    if (idna_to_ascii(domain, &name) < 0)
        return false;

    uint64_t deadline = clock_deadline_ms(s->sv->params->dns_timeout * 1000);

    if (dns_query(str_cstr(&name), DNS_MX, deadline, &answer) < 0)
        return false;
    if (answer.status == DNS_NO_DATA) {
        dns_answer_done(&answer);
        answer = (struct dns_answer){ 0 };
        if (dns_addresses(str_cstr(&name), AF_UNSPEC, deadline, &answer) < 0)
            return false;
    }
    return answer.status == DNS_OK;
}

static enum verdict unknown_sender_domain(struct smtpd *s)
{
    enum address_class class;
    struct span domain = address_domain(str_span(&s->sender));

    if (s->sender.len == 0)
        return VERDICT_NONE;
    if (route_class(s->sv->router, domain, &class) < 0)
        return refuse_sender(s, "451 4.3.0", "Temporary lookup failure");
    if (class != CLASS_DEFAULT)
        return VERDICT_NONE;
    if (domain_in_dns(s, domain))
        return VERDICT_NONE;
    return refuse_sender(s, "450 4.1.8", "Sender address rejected: Domain not found");
}

static enum verdict unknown_recipient_domain(struct smtpd *s)
{
    enum address_class class;
    enum verdict v = class_of_rcpt(s, &class);

    if (v != VERDICT_NONE || class != CLASS_DEFAULT ||
        domain_in_dns(s, address_domain(str_span(&s->rcpt))))
        return v;
    return refuse_rcpt(s, "450 4.1.2", "Recipient address rejected: Domain not found");
}

/* ---- the table ---- */

static const struct restriction restrictions[] = {
    /* main.cf name                          evaluated by                 guards the relay */
    { SPAN("permit_mynetworks"),             mynetworks,                  false },
    { SPAN("permit_sasl_authenticated"),     sasl_authenticated,          false },
    { SPAN("permit_auth_destination"),       auth_destination,            false },
    { SPAN("reject_unauth_destination"),     reject_unauth_destination,   true  },
    { SPAN("defer_unauth_destination"),      defer_unauth_destination,    true  },
    { SPAN("reject_unlisted_recipient"),     restrict_unlisted_recipient, false },
    { SPAN("reject_non_fqdn_sender"),        non_fqdn_sender,             false },
    { SPAN("reject_non_fqdn_recipient"),     non_fqdn_recipient,          false },
    { SPAN("reject_unknown_sender_domain"),  unknown_sender_domain,       false },
    { SPAN("reject_unknown_recipient_domain"), unknown_recipient_domain,  false },
    { SPAN("permit"),                        permit,                      false },
    { SPAN("reject"),                        reject,                      true  },
    { SPAN("defer"),                         defer,                       true  },
};

/* ---- lists ---- */

#define SUGGEST_MAX 64

/* Edit distance of two names (Levenshtein); names of the administrator, so both are short */
static size_t distance(struct span a, struct span b)
{
    size_t row[SUGGEST_MAX + 1];

    a = span_first(a, SUGGEST_MAX);
    b = span_first(b, SUGGEST_MAX);
    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 0; i < a.len; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t j = 0; j < b.len; j++) {
            size_t change = diagonal + (a.ptr[i] != b.ptr[j]);
            size_t least = row[j] < row[j + 1] ? row[j] : row[j + 1];

            diagonal = row[j + 1];
            row[j + 1] = change < least + 1 ? change : least + 1;
        }
    }
    return row[b.len];
}

static const struct restriction *nearest(struct span name)
{
    const struct restriction *best = &restrictions[0];

    for (size_t i = 1; i < ARRAY_LEN(restrictions); i++)
        if (distance(name, restrictions[i].name) < distance(name, best->name))
            best = &restrictions[i];
    return best;
}

static const struct restriction *find(struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(restrictions); i++)
        if (span_eq_nocase(name, restrictions[i].name))
            return &restrictions[i];
    return NULL;
}

int restrictions_parse(const char *text, struct restriction_list *ret, struct str *err)
{
    struct span in = span_of(text);
    struct span word;

    while (span_word(&in, ", \t\r\n", &word)) {
        const struct restriction *r = find(word);

        if (!r) {
            str_addf(err, "unknown restriction \"" SPAN_FMT "\"; the nearest known one is \"" SPAN_FMT "\"",
                     SPAN_ARG(word), SPAN_ARG(nearest(word)->name));
            restrictions_done(ret);
            return -EINVAL;
        }
        MEM_GROW(ret->items, ret->len, ret->cap);
        ret->items[ret->len++] = r;
    }
    return 0;
}

void restrictions_done(struct restriction_list *l)
{
    free(l->items);
    *l = (struct restriction_list){ 0 };
}

bool restrictions_guard_relay(const struct restriction_list *l)
{
    for (size_t i = 0; i < l->len; i++)
        if (l->items[i]->guards_relay)
            return true;
    return false;
}

enum verdict restrictions_run(struct smtpd *s, const struct restriction_list *l)
{
    for (size_t i = 0; i < l->len; i++) {
        enum verdict v = l->items[i]->ask(s);

        if (v != VERDICT_NONE)
            return v;
    }
    return VERDICT_NONE;
}
