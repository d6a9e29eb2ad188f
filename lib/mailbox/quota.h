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
 * bytes, or one that says "full" and is older than 15 minutes, is counted anew, so that what other
 * programs have done without telling is not wrong for long.
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
};

/* "1000000S,2000C", "1000000" (bytes), either with blanks around. 0 or -EINVAL. */
int quota_limits_parse(struct span text, struct quota_limits *ret);

/* Limits and use; -ENOENT: there is no quota. */
int quota_load(const char *maildir, struct quota *ret);

/* See that the file has these limits; counts if it has not. -ENOENT: no such Maildir. */
int quota_set(const char *maildir, const struct quota_limits *limits);

/* Is there room? 0 yes; 1 there is no quota; -EDQUOT. */
int quota_check(const char *maildir, uint64_t bytes, uint64_t messages);

/* What has come, or gone (negative). Nothing without a quota, and no failure matters: it will be counted anew. */
void quota_add(const char *maildir, int64_t bytes, int64_t messages);

#endif
