/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restrict.h - the lists of restrictions that main.cf names, and their evaluation
 *
 * A list is resolved at start, so a name that is not known stops the start. Its
 * items are asked in order; the first that permits or refuses decides.
 *
 *     restrict.c         lists, the stages of a session, what defer_if_* and warn_if_reject change
 *     restrict_table.c   the one table of restrictions, and reading a list
 *     restrict_*.c       the restrictions themselves, a family a file
 */
#ifndef SMTPD_RESTRICT_H
#define SMTPD_RESTRICT_H

#include "base/str.h"
#include "conf/conf.h"
#include "io/fiber.h"

struct smtpd;
struct restriction;
struct restriction_list;

/* The lists of main.cf, in the order in which a session meets them. */
enum stage {
    STAGE_CLIENT,
    STAGE_HELO,
    STAGE_SENDER,
    STAGE_RELAY,
    STAGE_RECIPIENT,
    STAGE_DATA,
    STAGE_END_OF_DATA,
    STAGE_ETRN,
    STAGES,
};

/* One name of a list with what stands behind it. */
struct restriction_item {
    const struct restriction *what;
    struct table *table;                /* argument TABLE, CCERT */
    unsigned char search_order[2], n_search_order; /* argument CCERT: which fingerprints are looked up; see ccert_parse */
    struct rbl *rbl;                    /* argument RBL */
    struct policy *policy;              /* argument POLICY; all sessions share it */
    const struct restriction_list *class; /* a restriction class; borrowed */
    int64_t seconds;                    /* argument SECONDS */
};

struct restriction_list {
    struct restriction_item *items;
    size_t len, cap;
};

/* A member of smtpd_restriction_classes. */
struct restriction_class {
    char *name;
    struct restriction_list list;
};

/* All that main.cf says about restrictions. */
struct restriction_set {
    const struct conf *conf;
    const struct params *params;
    struct restriction_list stages[STAGES];
    struct restriction_class *classes;
    size_t n_classes;
    bool closed;                        /* start is over: what would need a file is refused */
};

/*
 * Read smtpd_*_restrictions and smtpd_restriction_classes; opens tables. set must be zeroed but for
 * conf and params. 0, or -EINVAL and others with *err, which names the parameter and suggests the
 * nearest name that exists.
 */
int restrictions_open(struct restriction_set *set, struct str *err);
void restrictions_close(struct restriction_set *set);

/* One list of names, separated by blanks or commas. 0, or negative with *err. ret must be zeroed.
 * A bare "type:table" is looked up for what the stage is about. */
int restrictions_parse(struct restriction_set *set, enum stage stage, const char *text,
                       struct restriction_list *ret, struct str *err);
void restrictions_done(struct restriction_list *l);

/* Does the list hold a restriction that stops strangers from relaying? */
bool restrictions_guard_relay(const struct restriction_list *l);

enum verdict { VERDICT_NONE, VERDICT_PERMIT, VERDICT_REFUSED };

/*
 * What is to be asked at a point of the session; VERDICT_REFUSED: logged and answered. With
 * smtpd_delay_reject the first three ask nothing, and restrict_rcpt() asks their lists first.
 */
MAY_WAIT
enum verdict restrict_connect(struct smtpd *s);
MAY_WAIT
enum verdict restrict_helo(struct smtpd *s);
MAY_WAIT
enum verdict restrict_mail(struct smtpd *s);
/* About the recipient s->rcpt: may the client relay to it, the administrator's other rules, and at
 * last that it exists. */
MAY_WAIT
enum verdict restrict_rcpt(struct smtpd *s);
MAY_WAIT
enum verdict restrict_data(struct smtpd *s);
MAY_WAIT
enum verdict restrict_end_of_data(struct smtpd *s);
/* About the domain s->etrn; asks what smtpd_delay_reject has put off as well. */
MAY_WAIT
enum verdict restrict_etrn(struct smtpd *s);

/* ---- what a session keeps of it ---- */

struct restrict_state {
    bool warn;                          /* warn_if_reject: the next refusal is only logged */
    unsigned depth;                     /* of classes within classes and tables */
    struct str defer_if_reject;         /* the reply that replaces a 5xx; empty: none */
    struct str defer_if_permit[STAGES]; /* the reply that replaces a permission, by the stage it
                                           comes from */
    enum stage stage;                   /* being asked now */
    /* what access(5) tables and policy services want of the message: */
    bool hold, discard;
    struct str filter, redirect;
    struct str prepend; /* header lines, each with its CRLF */
    struct str bcc;     /* addresses, each with a NUL */
    char instance[48];  /* identifies the message to policy services; made when it is needed */
};
void restrict_state_done(struct restrict_state *rs);
/* The transaction is over: forget what concerned the message. */
void restrict_state_reset(struct restrict_state *rs);

#endif
