/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry.h - what is remembered of an address: "status:updated:text"
 */
#ifndef VERIFY_ENTRY_H
#define VERIFY_ENTRY_H

#include "conf/conf.h"
#include "ipc/msg_verify.h"

struct entry {
    enum address_status status;
    int64_t updated;        /* seconds since 1970: when the probe came to its end */
    struct str text;
};
void entry_done(struct entry *e);

/* 0, or -EINVAL: not an entry of ours. ret is zeroed or of an earlier call. */
int entry_parse(struct span text, struct entry *ret);
void entry_print(const struct entry *e, struct str *ret);

/* When it is no longer believed, and when another probe is due although it still is. */
int64_t entry_expires(const struct params *p, const struct entry *e);
int64_t entry_refreshes(const struct params *p, const struct entry *e);

/*
 * Is the outcome of a new probe to take the place of what is known? A failure does not undo a success before
 * that expires: one bad day of the other side must not make its users' addresses unknown.
 */
bool entry_replaces(const struct params *p, const struct entry *old, const struct entry *new);

#endif
