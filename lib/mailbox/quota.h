/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quota.h - how much a Maildir may hold and holds: the file "maildirsize" of Maildir++
 *
 *     1000000S,2000C        limits: bytes, messages; either may be missing
 *     345000 120            what there was when it was last counted, ...
 *     2300 1                ... what has come since ...
 *     -1200 -1              ... and gone
 *
 * It lies in the Maildir itself and counts all folders. Without the file there is no quota. A file longer than 5120
 * bytes, or with limits alone, is counted anew; so is one that says "full" if it is older than 15 minutes or has more
 * than one line of numbers, so that what other programs have done without telling is not wrong for long.
 *
 * Limits come from tables (at a delivery) or from the users file (at a sign-in). The latter leaves a mark, the file
 * "postern-quota-rule", by which deliveries, which cannot read that file, know whose limits these are.
 *
 * All calls block (disk).
 */
#ifndef MAILBOX_QUOTA_H
#define MAILBOX_QUOTA_H

#include <stdbool.h>

#include "base/str.h"

struct quota_limits {
    uint64_t bytes, messages;   /* 0: none */
};
struct quota {
    struct quota_limits limits;
    uint64_t bytes, messages;   /* used */
    unsigned lines;             /* that say so */
};

/* "1000000S,2000C", "1000000" (bytes), either with blanks around. 0 or -EINVAL. */
int quota_limits_parse(struct span text, struct quota_limits *ret);

/* A rule as Dovecot's users files have it, for all mailboxes: "*:storage=1G:messages=5000" (storage: KiB unless a unit
 * B, k, M, G, T follows; bytes=N is storage in bytes). 0 or -EINVAL. */
int quota_rule_parse(struct span rule, struct quota_limits *ret);

/* Limits and use; -ENOENT: there is no quota. */
int quota_load(const char *maildir, struct quota *ret);

/* The limits that tables have for the Maildir, unless a rule has set its own. Counts if they are new. -ENOENT: no such
 * Maildir. */
int quota_set(const char *maildir, const struct quota_limits *limits);
/* The limits of the user's own rule; empty: there is none, and what an earlier one has set is gone. -EINVAL: it cannot be
 * understood, all is as it was; -ENOENT likewise. */
int quota_set_rule(const char *maildir, struct span rule);

/* Is there room for so much more? What frees as much as it takes always has it. 0 yes; 1 there is no quota; -EDQUOT. */
int quota_check(const char *maildir, int64_t bytes, int64_t messages);

/* What has come, or gone (negative). Nothing without a quota, and no failure matters: it will be counted anew. */
void quota_add(const char *maildir, int64_t bytes, int64_t messages);
/* All messages of this folder, which is no part of the Maildir any more, have gone. */
void quota_gone(const char *maildir, const char *folder);

#endif
