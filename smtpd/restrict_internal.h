/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restrict_internal.h - between the engine, the table and the families of restrictions
 */
#ifndef SMTPD_RESTRICT_INTERNAL_H
#define SMTPD_RESTRICT_INTERNAL_H

#include "dns/dns.h"
#include "smtpd/restrict.h"
#include "smtpd/smtpd.h"
#include "table/table.h"

/* What must be known before a restriction can be asked; until then it is passed over. */
enum need { NEEDS_NOTHING, NEEDS_HELO, NEEDS_SENDER, NEEDS_RCPT, NEEDS_ETRN };

/* What follows its name in a list. */
enum argument { NO_ARG, ARG_TABLE, ARG_RBL, ARG_POLICY, ARG_SECONDS, ARG_CLASS, ARG_CCERT };

struct restriction {
    struct span name;
    enum argument argument;
    enum need need;
    bool guards_relay;
    enum verdict (*ask)(struct smtpd *s, const struct restriction_item *item);
};

/* The inside of "{ ... }"; anything else as it is. */
struct span restrict_unbrace(struct span text);

/* The argument of check_ccert_access: type:table, or { type:table, { search_order = ... } }. */
int ccert_parse(struct span text, struct restriction_item *item, struct str *err);

/* Ask a list, also from within a restriction. */
MAY_WAIT enum verdict restrictions_run(struct smtpd *s, const struct restriction_list *l);

/* ---- refusing ---- */

/* Whom a reply is about: "<NAME>: CLASS rejected: ...". */
struct subject {
    const char *class;              /* "Client host", "Sender address" ... */
    struct span name;               /* as it may be shown; ptr NULL: none is shown */
};

/* What the list being asked is about, for replies of restrictions that have no subject of their
 * own. scratch owns the name. */
struct subject subject_of_stage(const struct smtpd *s, struct str *scratch);
struct subject subject_client(const struct smtpd *s);
struct subject subject_helo(const struct smtpd *s);
struct subject subject_sender(const struct smtpd *s, struct str *scratch);
struct subject subject_rcpt(const struct smtpd *s, struct str *scratch);

/* Append "450 4.7.1 <name>: Class rejected: why". detail: "7.1", the code's first digit is put
 * before it. */
void reply_text(struct str *ret, const struct subject *about, int64_t code, const char *detail,
                const char *why);

/* Refuse with this reply. NONE under warn_if_reject. A code of 421 or 521 ends the session. */
MAY_WAIT
enum verdict restrict_refuse_text(struct smtpd *s, struct span text);
MAY_WAIT
enum verdict restrict_refuse(struct smtpd *s, const struct subject *about, int64_t code,
                             const char *detail, const char *why);

/* Refuse with this temporary reply if nothing else refuses. NONE. */
MAY_WAIT enum verdict restrict_defer_if_permit(struct smtpd *s, struct span text);
/* One of both, as a parameter "..._tempfail_action" says: defer_if_permit, or defer at once. */
MAY_WAIT enum verdict restrict_tempfail(struct smtpd *s, const char *action, struct span text);
/* Turn later refusals of 5xx into this reply. NONE. */
MAY_WAIT enum verdict restrict_defer_if_reject(struct smtpd *s, struct span text);

/* "451 4.3.0 <name>: Temporary lookup failure", and for what main.cf or a table says wrongly. */
MAY_WAIT enum verdict restrict_lookup_failed(struct smtpd *s, const struct subject *about);
MAY_WAIT enum verdict restrict_config_error(struct smtpd *s, const struct subject *about);

/* ---- the families: each function of restrict.def ---- */

#define RESTRICTION(name, argument, need, guards_relay, ask, text)                                 \
    MAY_WAIT enum verdict ask(struct smtpd *s, const struct restriction_item *item);
#include "smtpd/restrict.def"
/* Not by name, but where main.cf names a class. */
MAY_WAIT enum verdict ask_class(struct smtpd *s, const struct restriction_item *item);

/* ---- access(5) tables: restrict_access.c, restrict_action.c ---- */

/*
 * Look a name up as access(5) says: host name or domain with its parents; network address with its
 * networks; mail address. 1 and *value (the first hit), 0, or negative: temporary failure.
 */
MAY_WAIT
int access_find_domain(const struct smtpd *s, struct table *t, struct span domain,
                       struct str *value);
MAY_WAIT
int access_find_network(struct table *t, struct span addr, struct str *value);
MAY_WAIT
int access_find_address(const struct smtpd *s, struct table *t, struct span address,
                        struct str *value);

/* Do what the right-hand side of a table, or a policy service, says. source: its name, for
 * warnings. */
MAY_WAIT
enum verdict access_act(struct smtpd *s, const char *source, struct span value,
                        const struct subject *about);

/* Is the recipient address_verify_sender? Servers that we probe may ask whether it exists. */
bool restrict_is_probe_sender(const struct smtpd *s);

/* ---- DNS: restrict_dns.c ---- */

/* DNS_OK, or why not. name need not be ASCII. */
MAY_WAIT
enum dns_status restrict_query(struct smtpd *s, struct span name, enum dns_type type,
                               struct dns_answer *ret);
MAY_WAIT
enum dns_status restrict_addresses(struct smtpd *s, struct span name, struct dns_answer *ret);

enum domain_state { DOMAIN_EXISTS, DOMAIN_UNKNOWN, DOMAIN_NULL_MX, DOMAIN_TEMPORARY };
/* Has the domain an MX or an address? */
MAY_WAIT enum domain_state restrict_domain_state(struct smtpd *s, struct span domain);

/* ---- arguments ---- */

/* "zen.example=127.0.0.[2..11]". 0 or -EINVAL with *err. */
int rbl_parse(const struct restriction_set *set, struct span text, struct rbl **ret,
              struct str *err);
void rbl_free(struct rbl *rbl);
const char *rbl_domain(const struct rbl *rbl);
/* Is this one of the answers that count? */
bool rbl_matches(const struct rbl *rbl, const struct dns_record *r);
/* "9.2.0.192.", for the list's domain to follow */
void rbl_add_reversed(const union sockaddr_any *a, struct str *ret);
/* "inet:127.0.0.1:10031", "unix:/run/policy", "{ inet:..., timeout=10s }". 0, or negative with
 * *err. */
int policy_parse(const struct restriction_set *set, struct span text, struct policy **ret,
                 struct str *err);
void policy_free(struct policy *p);

#endif
