/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parked.h - what a session is made of between two commands, as bytes
 *
 * Whatever a session remembers beyond a command has to be here, or parking loses it.
 */
#ifndef IMAPD_PARKED_H
#define IMAPD_PARKED_H

#include "mailbox/snapshot.h"
#include "session.h"

struct parked {
    bool idling;                /* in IDLE; its command's tag is `tag` */
    bool selected;
    bool condstore, qresync, rev2, utf8, modseq_held;
    uint32_t keywords_told, bad_commands;
    uint64_t hidden;
    struct imap_stats stats;
    struct span tag;
    struct seqset saved;        /* the caller's: seqset_done() */
    struct snapshot snapshot;   /* if selected */
};

/* Append the state of s. */
void parked_encode(const struct imap *s, bool idling, struct str *ret);

/*
 * Version, sum over all bytes, lengths and the mailbox's ranges are checked: -EBADMSG. The result points
 * into bytes, but for `saved`. Nothing in it is a right: it is used as the user whom auth names.
 */
int parked_decode(struct span bytes, struct parked *ret);

#endif
