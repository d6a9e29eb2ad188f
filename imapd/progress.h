/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress.h - a command that takes long: tell the client how far it is, notice that it has gone
 *
 * Every command has a progress, from its beginning. What reads messages calls progress_step() between two of them and hands
 * the pace down for what it does within one; both end the work when nobody waits for it. What changes the mailbox holds the
 * writer's lock of the index: it is told by the account (struct account_watcher), never waits for the client, and goes on
 * to its end, whoever has gone.
 */
#ifndef IMAPD_PROGRESS_H
#define IMAPD_PROGRESS_H

#include <stdint.h>

#include "base/pace.h"
#include "io/fiber.h"

struct imap;

/* Parts of a command, by what may come between */
enum progress_part {
    PROGRESS_WORKING,   /* untagged lines; NO if its time is over */
    PROGRESS_PREPARING, /* the same, but what is counted comes later */
    PROGRESS_ANSWERING, /* nothing: part of an answer is on its way and cannot be taken back */
};

struct progress {
    struct pace pace;
    enum progress_part part;
    uint32_t done, total;
    uint64_t next_look, next_line, deadline;    /* clock_ms() */
};

/* A command begins. */
void progress_begin(struct imap *s);

/* total: the pieces of work that come next, of which none is done; 0: nothing of them is told, since another part of the
 * command has counted its own already and a client wants numbers that grow */
void progress_count(struct imap *s, uint32_t total);
/* The limit of time counts from now on: what came before was the client's. */
void progress_allow_time(struct imap *s);

/*
 * Between two pieces of work, of which `done` are done. 0; -EPIPE: the client has gone; -ECANCELED:
 * the server is stopping; -ETIME: imap_search_time_limit is over. The pace stops for the same reasons.
 */
MAY_WAIT int progress_step(struct imap *s, uint32_t done);

/* For struct account_watcher: work that may end, and work that goes on (arg: the session). */
MAY_WAIT int progress_watch_reading(void *arg);
void progress_watch_writing(uint32_t done, uint32_t total, void *arg);

#endif
