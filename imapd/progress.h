/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress.h - a command that takes long: tell the client how far it is, notice that it has gone
 *
 * For what reads messages. COPY and MOVE make links within one transaction on the index, tens of thousands a second: a
 * client that does not read its lines must not hold that up.
 */
#ifndef IMAPD_PROGRESS_H
#define IMAPD_PROGRESS_H

#include "session.h"

struct progress {
    struct imap *s;
    uint32_t total;
    uint64_t next_look, next_line, deadline;    /* clock_ms() */
};

/* total: pieces of work; 0: nothing of it is told, since another part of the command has counted its own already and a
 * client wants numbers that grow */
void progress_start(struct progress *p, struct imap *s, uint32_t total);

/*
 * Between two pieces of work, of which `done` are done. 0; -EPIPE: the client has gone; -ECANCELED:
 * the server is stopping; -ETIME: imap_search_time_limit is over.
 */
MAY_WAIT int progress_step(struct progress *p, uint32_t done);

#endif
