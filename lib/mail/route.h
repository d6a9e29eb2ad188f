/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route.h - address classes and the choice of transport and nexthop
 *
 * What Postfix's ADDRESS_CLASS_README, trivial-rewrite(8) and transport(5) describe: local (mydestination,
 * inet_interfaces literals), virtual alias, virtual mailbox, relay, default. Used by
 * smtpd (is the recipient ours, does it exist) and qmgr (where does it go).
 */
#ifndef MAIL_ROUTE_H
#define MAIL_ROUTE_H

#include "conf/conf.h"
#include "io/socket.h"
#include "table/table.h"

struct router;

/* Opens the tables the parameters name; p must outlive the router. 0, or negative with *err (which names the parameter). */
int router_open(const struct conf *c, const struct params *p, struct router **ret, struct str *err);
void router_free(struct router *r);

/* Is it an address of this system that inet_interfaces names? */
bool router_has_interface(const struct router *r, const union sockaddr_any *addr);

enum address_class { CLASS_LOCAL, CLASS_VIRTUAL_ALIAS, CLASS_VIRTUAL_MAILBOX, CLASS_RELAY, CLASS_DEFAULT };

/* The class of a domain. 0 and *ret, or a temporary failure (negative). */
MAY_WAIT int route_class(struct router *r, struct span domain, enum address_class *ret);

struct route {
    enum address_class class;
    char transport[64];
    struct str nexthop;         /* a domain is in A-labels, lower case */
    struct str address;         /* recipient as the agent shall see it */
    /* set when it cannot be delivered: transport "error" or "retry" with its text in nexthop */
};
void route_done(struct route *r);
/* sender: for sender_dependent_* (may be empty). *ret is zeroed or the result of an earlier call.
 * 0, or a temporary failure: defer. */
MAY_WAIT int route_resolve(struct router *r, struct span sender, struct span address, struct route *ret);

/*
 * Does the recipient exist? In virtual_alias_maps for every class, else by class: local_recipient_maps,
 * virtual_mailbox_maps, relay_recipient_maps (each empty: all exist). 1 yes, 0 no, negative temporary.
 */
MAY_WAIT int route_recipient_exists(struct router *r, struct span address, enum address_class class);

/* Complete a short address: myorigin when it has no domain (append_at_myorigin),
 * mydomain when the domain has no dot (append_dot_mydomain). External form; the null sender stays.
 * ret is reset first. */
void route_complete(const struct params *p, struct span address, struct str *ret);

#endif
