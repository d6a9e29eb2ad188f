/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route.c - whose address is it, and where does it go
 *
 * The order of classes, and what transport_maps may override, is as Postfix
 * documents it (ADDRESS_CLASS_README, transport(5)), because operators have
 * configurations that depend on it. A domain with letters beyond ASCII is
 * looked up as written and as A-labels, so a list may hold either.
 *
 * Runs in: smtpd, qmgr, cleanup (addresses are hostile, tables are not). Logs nothing.
 */
#include "mail/route.h"

#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "mail/address.h"
#include "mail/idna.h"
#include "mail/interfaces.h"

struct router {
    const struct params *params;
    struct match_list *destinations, *alias_domains, *mailbox_domains, *relay_domains;
    struct maps *aliases, *transports, *local_rcpts, *mailboxes, *relay_rcpts;
    struct maps *sender_transports, *sender_relayhosts;
    struct interfaces *own;         /* what user@[literal] is local for */
};

/* ---- opening ---- */

/* Is `word` in the parameter's list of words? */
static bool lists_word(const char *list, const char *word)
{
    struct span in = span_of(list);
    struct span w;

    while (span_word(&in, ", \t\r\n", &w))
        if (span_eq_str(w, word))
            return true;
    return false;
}

static enum match_kind domains(const struct params *p, const char *name)
{
    return lists_word(p->parent_domain_matches_subdomains, name) ? MATCH_DOMAIN_PARENTS : MATCH_DOMAIN;
}

static int open_match_lists(struct router *r, struct str *err)
{
    const struct params *p = r->params;
    const struct match_setting lists[] = {
#define DOMAINS(parameter) #parameter, p->parameter, domains(p, #parameter)
        { DOMAINS(mydestination), &r->destinations },
        { DOMAINS(virtual_alias_domains), &r->alias_domains },
        { DOMAINS(virtual_mailbox_domains), &r->mailbox_domains },
        { DOMAINS(relay_domains), &r->relay_domains },
#undef DOMAINS
    };

    return match_list_open_settings(lists, ARRAY_LEN(lists), err);
}

static int open_maps(struct router *r, struct str *err)
{
    const struct params *p = r->params;
    const struct maps_setting maps[] = {
        { "virtual_alias_maps", p->virtual_alias_maps, &r->aliases },
        { "transport_maps", p->transport_maps, &r->transports },
        { "local_recipient_maps", p->local_recipient_maps, &r->local_rcpts },
        { "virtual_mailbox_maps", p->virtual_mailbox_maps, &r->mailboxes },
        { "relay_recipient_maps", p->relay_recipient_maps, &r->relay_rcpts },
        { "sender_dependent_default_transport_maps", p->sender_dependent_default_transport_maps,
          &r->sender_transports },
        { "sender_dependent_relayhost_maps", p->sender_dependent_relayhost_maps, &r->sender_relayhosts },
    };

    return maps_open_settings(maps, ARRAY_LEN(maps), err);
}

void router_free(struct router *r)
{
    if (!r)
        return;
    match_list_free(r->destinations);
    match_list_free(r->alias_domains);
    match_list_free(r->mailbox_domains);
    match_list_free(r->relay_domains);
    maps_free(r->aliases);
    maps_free(r->transports);
    maps_free(r->local_rcpts);
    maps_free(r->mailboxes);
    maps_free(r->relay_rcpts);
    maps_free(r->sender_transports);
    maps_free(r->sender_relayhosts);
    interfaces_free(r->own);
    free(r);
}

DEFINE_CLEANUP(struct router, router_free);

int router_open(const struct conf *c, const struct params *p, struct router **ret, struct str *err)
{
    _cleanup_(router_free_ptr_) struct router *r = mem_new(struct router);

    (void)c;
    r->params = p;
    r->own = interfaces_new();

    int e = open_match_lists(r, err);

    if (e == 0)
        e = open_maps(r, err);
    if (e < 0)
        return e;
    e = interfaces_add(r->own, p->inet_interfaces);
    if (e == 0)
        e = interfaces_add(r->own, p->proxy_interfaces);
    if (e < 0) {
        str_addf(err, "inet_interfaces: cannot list this system's addresses: %s", strerror(-e));
        return e;
    }
    *ret = TAKE_PTR(r);
    return 0;
}

/* ---- classes ---- */

bool router_has_interface(const struct router *r, const union sockaddr_any *addr)
{
    return interfaces_have(r->own, addr);
}

static bool is_own_literal(const struct router *r, struct span domain)
{
    union sockaddr_any a;
    struct span inner;

    return address_literal(domain, &inner) && socket_addr_parse(inner, 0, &a) == 0 &&
           router_has_interface(r, &a);
}

/* The first list that has one of two forms of a domain; ascii is empty when there is only one */
static int class_of(struct router *r, struct span domain, struct span ascii, enum address_class *ret)
{
    const struct {
        struct match_list *list;
        enum address_class class;
    } order[] = {
        { r->destinations,    CLASS_LOCAL },
        { r->alias_domains,   CLASS_VIRTUAL_ALIAS },
        { r->mailbox_domains, CLASS_VIRTUAL_MAILBOX },
        { r->relay_domains,   CLASS_RELAY },
    };

    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        int found = match_list_has(order[i].list, domain);

        if (found == 0 && ascii.len > 0)
            found = match_list_has(order[i].list, ascii);
        if (found < 0)
            return found;
        if (found > 0) {
            *ret = order[i].class;
            return 0;
        }
    }
    *ret = CLASS_DEFAULT;
    return 0;
}

int route_class(struct router *r, struct span domain, enum address_class *ret)
{
    _cleanup_(str_free) struct str ascii = STR_INIT;

    if (domain.len == 0 || is_own_literal(r, domain)) {
        *ret = CLASS_LOCAL;
        return 0;
    }
    if (!idna_is_ascii(domain))
        idna_to_ascii(domain, &ascii);
    return class_of(r, domain, str_span(&ascii), ret);
}

/* ---- transport and nexthop ---- */

void route_done(struct route *r)
{
    str_free(&r->nexthop);
    str_free(&r->address);
}

/* "transport:nexthop"; an empty part leaves what there was, but a transport alone asks for the
 * default nexthop, which is the recipient's domain (transport(5), "RESULT FORMAT") */
static void apply(struct route *ret, struct span value, struct span domain)
{
    struct span nexthop = span_trim(value);
    struct span transport = span_cut(&nexthop, ':');

    if (transport.len > 0) {
        snprintf(ret->transport, sizeof(ret->transport), SPAN_FMT, SPAN_ARG(transport));
        str_set(&ret->nexthop, domain);
    }
    if (nexthop.len > 0)
        str_set(&ret->nexthop, nexthop);
}

static void undeliverable(struct route *ret, const char *why)
{
    snprintf(ret->transport, sizeof(ret->transport), "error");
    str_set(&ret->nexthop, span_of(why));
}

/* Tables by sender; the null sender is "<>" there, as in postconf(5) */
static int get_by_sender(struct router *r, struct maps *m, struct span sender, struct str *value)
{
    if (maps_empty(m))
        return 0;
    if (sender.len == 0)
        return maps_get(m, span_of("<>"), value);
    return maps_get_address(m, sender, r->params->recipient_delimiter, MAPS_FULL | MAPS_AT_DOMAIN,
                            value, NULL);
}

/* Mail that leaves: relayhost stands in for the domain, unless the transport names its nexthop */
static int route_outward(struct router *r, struct span sender, struct span domain, struct route *ret)
{
    _cleanup_(str_free) struct str value = STR_INIT;
    struct span how = span_of(ret->class == CLASS_RELAY ? r->params->relay_transport
                                                        : r->params->default_transport);
    int found = ret->class == CLASS_DEFAULT ? get_by_sender(r, r->sender_transports, sender, &value) : 0;

    if (found < 0)
        return found;
    if (found > 0)
        how = str_span(&value);

    _cleanup_(str_free) struct str relayhost = STR_INIT;

    found = get_by_sender(r, r->sender_relayhosts, sender, &relayhost);
    if (found < 0)
        return found;
    if (found == 0)
        str_set(&relayhost, span_of(r->params->relayhost));
    apply(ret, how, relayhost.len > 0 ? str_span(&relayhost) : domain);
    return 0;
}

static int route_by_class(struct router *r, struct span sender, struct span domain, struct route *ret)
{
    switch (ret->class) {
    case CLASS_LOCAL:
        apply(ret, span_of(r->params->local_transport), domain);
        return 0;
    case CLASS_VIRTUAL_ALIAS:
        undeliverable(ret, "5.1.1 User unknown in virtual alias table");
        return 0;
    case CLASS_VIRTUAL_MAILBOX:
        apply(ret, span_of(r->params->virtual_transport), domain);
        return 0;
    case CLASS_RELAY:
    case CLASS_DEFAULT:
        return route_outward(r, sender, domain, ret);
    }
    return -EINVAL;
}

static int route_by_table(struct router *r, struct span domain, struct route *ret)
{
    _cleanup_(str_free) struct str value = STR_INIT;

    if (maps_empty(r->transports))
        return 0;

    int found = maps_get_address(r->transports, str_span(&ret->address),
                                 r->params->recipient_delimiter, MAPS_FULL | MAPS_DOMAIN, &value, NULL);

    if (found == 0)
        found = maps_get(r->transports, span_of("*"), &value);
    if (found < 0)
        return found;
    if (found > 0)
        apply(ret, str_span(&value), domain);
    return 0;
}

/* Is it double_bounce_sender here? What failed with that sender has been reported already, or was a probe: what comes
 * back to it has no reader. */
static bool is_double_bounce(const struct router *r, const struct route *to)
{
    _cleanup_(str_free) struct str own = STR_INIT;
    struct span address = str_span(&to->address), name = span_of(r->params->double_bounce_sender);

    if (to->class == CLASS_DEFAULT || name.len == 0 || !span_eq_nocase(address_local(address), address_local(name)))
        return false;
    if (to->class == CLASS_LOCAL)
        return true;
    route_complete(r->params, name, &own);
    return span_eq_nocase(address, str_span(&own));
}

static void discard(struct route *ret)
{
    snprintf(ret->transport, sizeof(ret->transport), "discard");
    str_set(&ret->nexthop, span_of("2.0.0 undeliverable postmaster notification discarded"));
}

int route_resolve(struct router *r, struct span sender, struct span address, struct route *ret)
{
    _cleanup_(str_free) struct str domain = STR_INIT;
    struct span inner;

    str_reset(&ret->nexthop);
    str_set(&ret->address, address);
    if (address_domain(address).len == 0) {
        str_add_char(&ret->address, '@');
        str_add_str(&ret->address, r->params->myorigin);
    }

    struct span given = address_domain(str_span(&ret->address));

    ret->class = CLASS_DEFAULT;
    if (address_literal(given, &inner)) {
        str_set(&domain, given);
    } else if (!address_domain_valid(given) || idna_to_ascii(given, &domain) < 0) {
        undeliverable(ret, "5.1.3 Bad recipient address syntax");
        return 0;
    }

    int e = route_class(r, given, &ret->class);

    if (e == 0 && is_double_bounce(r, ret)) {
        discard(ret);
        return 0;
    }
    if (e == 0)
        e = route_by_class(r, sender, str_span(&domain), ret);
    if (e == 0)
        e = route_by_table(r, str_span(&domain), ret);
    return e;
}

/* ---- recipients ---- */

static int exists_in(struct router *r, struct maps *m, struct span address, unsigned forms)
{
    _cleanup_(str_free) struct str value = STR_INIT;

    if (maps_empty(m))
        return 1;
    return maps_get_address(m, address, r->params->recipient_delimiter, forms, &value, NULL);
}

int route_recipient_exists(struct router *r, struct span address, enum address_class class)
{
    unsigned forms = MAPS_FULL | MAPS_AT_DOMAIN;
    unsigned local_forms = forms | MAPS_LOCALPART;
    bool bare = class == CLASS_LOCAL ||
                span_eq_nocase_str(address_domain(address), r->params->myorigin);
    int found = maps_empty(r->aliases) ? 0 : exists_in(r, r->aliases, address, bare ? local_forms : forms);

    if (found != 0)
        return found;
    switch (class) {
    case CLASS_LOCAL:
        return exists_in(r, r->local_rcpts, address, local_forms);
    case CLASS_VIRTUAL_ALIAS:
        return 0;
    case CLASS_VIRTUAL_MAILBOX:
        return exists_in(r, r->mailboxes, address, forms);
    case CLASS_RELAY:
        return exists_in(r, r->relay_rcpts, address, forms);
    case CLASS_DEFAULT:
        return 1;
    }
    return -EINVAL;
}

void route_complete(const struct params *p, struct span address, struct str *ret)
{
    struct span domain = address_domain(address);

    str_set(ret, address);
    if (address.len == 0)
        return;
    if (span_rchr(address, '@') < 0) {
        if (p->append_at_myorigin)
            str_addf(ret, "@%s", p->myorigin);
    } else if (p->append_dot_mydomain && domain.len > 0 && domain.ptr[0] != '[' &&
               span_chr(domain, '.') < 0) {
        str_addf(ret, ".%s", p->mydomain);
    }
}
