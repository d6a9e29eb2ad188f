/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan_parts.h - what the files behind folder_refresh() share: one reading of a mailbox's directories
 */
#ifndef MAILBOX_SCAN_PARTS_H
#define MAILBOX_SCAN_PARTS_H

#include "mailbox/internal.h"

/* What the index knows of a message, while names are compared */
struct known {
    uint32_t uid, flags;
    uint64_t letters;
    bool in_new, seen;
};

/* A file that the index does not know or knows otherwise; uid 0: new */
struct found {
    char *file;
    uint32_t uid;
    bool in_new;
};

struct scan {
    struct folder *folder;
    struct index_txn *txn;
    struct index_mailbox rec;
    bool take, full;
    uint64_t modseq; /* of everything found now */
    uint32_t first_lost; /* of the UIDs that were perhaps given before the machine was started; 0: not to be thought of */
    bool found_again[INDEX_UNFLUSHED_MAX];
    struct known *known;
    size_t n_known, cap_known;
    struct found *found;
    size_t n_found, cap_found;
    struct uid_list *recent;
    struct takeover *takeover; /* NULL: none */
    bool changed, assigned;
    bool all_known; /* `known` has all that the index has, not only those in new/ */
    bool stood_still; /* nobody has changed cur/ while it was read */
};

void scan_done(struct scan *s);

/* ---- reading (scan_read.c): names in new/ and cur/ beside what the index knows ---- */

/* Everything; and new/ alone, since a delivery changes nothing else. What has left new/ may be in cur/: then *all is set, and
 * all has been read. */
int scan_read_all(struct scan *s);
int scan_read_new(struct scan *s, bool *all);

/* ---- writing down (scan_record.c), within the transaction ---- */

/* What is new, or otherwise than the index had it */
int scan_record_found(struct scan *s);
/* What the index had, and no directory has; believed only if cur/ stood still. */
int scan_record_missing(struct scan *s);
/* UIDs that were perhaps given before a start of the machine and have no message: somebody who was told of one that is gone now may have to
 * forget it. */
int scan_record_lost(struct scan *s);

#endif
