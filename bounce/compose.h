/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compose.h - the text of a delivery status notification (RFC 3464, RFC 6522; RFC 6533 for SMTPUTF8)
 *
 *     header
 *     --boundary   Notification: for people
 *     --boundary   Delivery report: for programs
 *     --boundary   the message, or its header        <- the caller copies it
 *     --boundary--
 *
 * All lines end with CRLF. Addresses and texts from outside are escaped: none can begin a line.
 */
#ifndef BOUNCE_COMPOSE_H
#define BOUNCE_COMPOSE_H

#include "conf/conf.h"
#include "ipc/msg_deliver.h"
#include "mail/template.h"
#include "queue/queue.h"

enum notice_audience {
    TO_SENDER,
    TO_POSTMASTER,          /* a copy: what happened, and the header of the message */
    TO_POSTMASTER_INSTEAD,  /* of a message without a sender: a report that could not be delivered */
};

struct notice {
    const struct params *params;
    const struct templates *templates; /* expanded */
    const struct queue_envelope *e; /* of the message reported on, journal applied */
    enum report_kind kind;
    enum notice_audience audience;
    const char *to;                 /* who gets it */
    int64_t now;                    /* seconds */
    uint64_t number;                /* in the journal (queue/queue.h), where cleanup notes that it is queued; 0: it does not */
    char boundary[96];              /* not within the message, as nobody could know it */
    /* Called now and then while the text grows, so that ten thousand recipients need not be in memory as text:
     * takes what there is and resets it. May be NULL. */
    void (*spill)(struct str *text, void *arg);
    void *spill_arg;
};

/* Fill n, for the sender, and choose a boundary. */
void notice_init(struct notice *n, const struct params *p, const struct templates *t,
                 const struct queue_envelope *e, enum report_kind kind, int64_t now);

/* Is this recipient's fate to be told in a report of that kind? By state and NOTIFY (RFC 3461 section 4.1). */
bool notice_concerns(const struct notice *n, const struct queue_rcpt *r);
size_t notice_count(const struct notice *n);

/* Does the whole message go back, or its header only (RET, bounce_size_limit)? */
bool notice_returns_body(const struct notice *n);

/* Does it hold bytes above 127? */
bool notice_is_8bit(const struct notice *n);

/* Everything before the returned message. */
MAY_WAIT void notice_add_head(struct str *ret, const struct notice *n);
/* Everything after it. */
void notice_add_tail(struct str *ret, const struct notice *n);

/* "non-delivery", "delay", "delivery status": the word in the log. */
const char *notice_name(enum report_kind kind);

/* Append text in lines of at most 79 bytes where it has blanks to break at; further lines begin with
 * four blanks. Ends with CRLF. */
void notice_add_folded(struct str *ret, struct span text);

#endif
