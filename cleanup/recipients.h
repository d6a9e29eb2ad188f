/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recipients.h - the recipients of one message: completed, aliases expanded, each only once
 */
#ifndef CLEANUP_RECIPIENTS_H
#define CLEANUP_RECIPIENTS_H

#include "base/hash.h"
#include "conf/conf.h"
#include "ipc/msg_submit.h"
#include "queue/queue.h"
#include "table/table.h"

/* virtual(5): opened once per process. */
struct aliases {
    const struct params *params;
    struct maps *maps;
    struct match_list *local; /* mydestination: there, "user" without a domain is looked up too */
    bool propagate;           /* propagate_unmatched_extensions has "virtual" */
};

/* Open the tables that p names. 0, or negative with *err. */
int aliases_open(const struct params *p, struct aliases *ret, struct str *err);
void aliases_close(struct aliases *a);

struct recipients {
    struct queue_rcpt *items;
    size_t len, cap;
    struct hash known; /* addresses in it, case folded */
};
void recipients_done(struct recipients *r);

/* Take out what an address stands for: those that have it now, or had it before they were expanded. */
void recipients_remove(struct recipients *r, struct span address);

/*
 * Add what an envelope recipient stands for. expand: look it up in the alias tables.
 *
 * Returns 0, or
 *   -EINVAL    not an address: empty, or with a NUL in it
 *   -EMSGSIZE  an address became longer than SUBMIT_ADDRESS_MAX
 *   -ELOOP     deeper than virtual_alias_recursion_limit
 *   -E2BIG     more than virtual_alias_expansion_limit addresses
 *   other      a table cannot be read now
 */
enum recipients_mode { RECIPIENTS_AS_GIVEN, RECIPIENTS_EXPAND };
MAY_WAIT
int recipients_add(struct recipients *r, struct aliases *a, const struct submit_rcpt *given,
                   enum recipients_mode mode);

#endif
