/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delivery_line.h - the log line that every delivery agent writes for each recipient
 *
 *     ID: to=<ann@example.com>, orig_to=<a@example.com>, relay=mx[192.0.2.7]:25, conn_use=2, delay=0.8,
 *     delays=0.1/0/0.4/0.3, dsn=2.0.0, status=sent (250 ok)
 *
 * Keys, order and punctuation are what log analysers parse; text from outside is escaped and cut here.
 */
#ifndef QUEUE_DELIVERY_LINE_H
#define QUEUE_DELIVERY_LINE_H

#include "base/str.h"
#include "ipc/msg_deliver.h"

/* Real times in microseconds; 0: that point was not reached. */
struct delivery_times {
    int64_t arrival_us;     /* struct deliver */
    int64_t active_us;      /* struct deliver */
    int64_t handoff_us;     /* the agent got the request */
    int64_t setup_us;       /* the connection stood (or the mailbox was open) */
    int64_t done_us;
};

struct delivery_line {
    const char *queue_id;
    struct span to, orig;           /* orig empty, or equal to `to`: not shown */
    struct span relay;              /* "host[addr]:port", "local", "none" */
    unsigned conn_use;              /* shown from 2 on */
    struct delivery_times times;
    int resolution;                 /* delay_logging_resolution_limit */
    struct span tls;                /* after delays= if not empty */
    const char *dsn;
    const char *status;             /* "sent", "deferred", "bounced" ... */
    struct span text;
};

/* Append an address as log lines have it: as on the wire, the local part quoted where it needs it, so that an analyser
 * can cut it out; escaped and cut. */
void delivery_address_add(struct str *ret, struct span address);

/* Append the line (without a line end) to ret. */
void delivery_line_add(struct str *ret, const struct delivery_line *line);

/* Fill in what the messages between qmgr and the agent say; the rest (conn_use, tls) is left zero. The line borrows. */
void delivery_line_fill(struct delivery_line *ret, const struct deliver *request, const struct deliver_rcpt *rcpt,
                        const struct outcome *outcome, const struct delivery_times *times, int64_t resolution);

/*
 * The line of one recipient: what qmgr asked and what became of it. times: of the agent, arrival_us and active_us
 * are taken from the request. An outcome without a relay shows "none".
 */
void delivery_line_of(struct str *ret, const struct deliver *request, const struct deliver_rcpt *rcpt,
                      const struct outcome *outcome, const struct delivery_times *times, int64_t resolution);

/* "sent", "deferred" or "bounced" */
const char *outcome_status_name(uint32_t status);

/* Append a time with two significant digits and at most `resolution` decimals: 0.03, 2.1, 122. */
void delivery_delay_add(struct str *ret, int64_t us, int resolution);

#endif
