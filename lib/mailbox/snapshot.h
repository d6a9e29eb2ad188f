/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.h - an open mailbox as a few bytes, and open again as if it had never been closed
 *
 * A parked session leaves these bytes with its front (ipc/msg_session.h). What its mailbox_sync() then reports is what
 * that of a session would have reported that had stayed.
 */
#ifndef MAILBOX_SNAPSHOT_H
#define MAILBOX_SNAPSHOT_H

#include "mailbox/account.h"

/* Messages of a snapshot that have gone since; more is damage. */
#define SNAPSHOT_GONE_MAX 4000000

struct snapshot {
    bool read_only;
    uint64_t id;
    uint32_t uidvalidity, uidnext;
    uint64_t highestmodseq, first_untold;
    struct span name;           /* of the mailbox when it was selected */
    struct span uids, recent;   /* lists of ranges, checked */
};

/* Append the bytes. Messages that are expunged and not told yet are among them. */
void mailbox_snapshot(const struct mailbox *mb, struct str *ret);

/* 0, or -EBADMSG: not such bytes. The result points into them. */
int snapshot_parse(struct span bytes, struct snapshot *ret);

/* Open the mailbox as it was. 0; -ENOENT; -ESTALE: another mailbox has its name, or its UIDs count no more; -EBADMSG;
 * or -errno. */
int mailbox_resume(struct account *a, const struct snapshot *s, struct mailbox **ret);

/* Its directories new/ and cur/, for somebody who watches them without being able to reach them. 0 or -errno. */
int mailbox_open_directories(const struct mailbox *mb, int ret[static 2]);

#endif
