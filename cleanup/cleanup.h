/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cleanup.h - what the process holds, and a message on its way through it
 */
#ifndef CLEANUP_CLEANUP_H
#define CLEANUP_CLEANUP_H

#include "cleanup/bcc.h"
#include "cleanup/filter.h"
#include "cleanup/headers.h"
#include "cleanup/inspect.h"
#include "cleanup/notify.h"
#include "cleanup/recipients.h"
#include "conf/conf.h"
#include "ipc/msg_submit.h"
#include "queue/queue.h"

/* One per process; set up by start(). */
struct cleanup {
    const struct params *params;
    struct queue_dirs dirs;
    struct aliases aliases;
    struct header_rules rules;
    struct milter_list milters; /* non_smtpd_milters */
    struct inspect_tables checks;
    struct bcc_tables bcc;
    struct notify notify;
    uint64_t space_checked_ms; /* when the free space was looked at last */
    uint64_t space_free;
};

/*
 * A message, in this order: message_init, the submit is received into m->submit, message_begin,
 * message_add_rcpt for each recipient, message_feed for each piece of content, message_finish,
 * message_done. None returns an error: the first one is kept in m->result, and what comes after it
 * is ignored, because the client sends all of the message before it reads the answer.
 */
struct message {
    struct cleanup *c;
    struct submit submit; /* the envelope borrows its texts */
    struct queue_envelope env;
    int report_fd; /* the queue file that this reports on; -1: it is no report */
    struct recipients rcpts;
    struct str only_rcpt; /* for the Received header; empty when there are several */
    struct header_pass headers;
    struct str head; /* the new header section until the file is opened */
    struct queue_writer *writer;
    struct filter *filter;       /* NULL: no mail filter sees it */
    struct inspect *inspect;     /* NULL: no table looks at it */
    struct str redirect;         /* replaces all recipients; empty: none */
    uint64_t size_in;            /* content received */
    bool announced;              /* a log line has named the id */
    bool settled;                /* it is published, or discarded on purpose */
    struct submit_result result; /* status OK as long as nothing went wrong */
};

void message_init(struct message *m, struct cleanup *c);
void message_begin(struct message *m);
MAY_WAIT
void message_add_rcpt(struct message *m, const struct submit_rcpt *rcpt);
/* The same without the copies that recipient_bcc_maps asks for */
MAY_WAIT
void message_add_expanded(struct message *m, const struct submit_rcpt *rcpt);
MAY_WAIT
void message_feed(struct message *m, struct span bytes);
/* The content is whole: make it durable and publish it. Then m->result is the answer. */
MAY_WAIT
void message_finish(struct message *m);
/* It cannot be taken: the first reason counts. */
void message_fail(struct message *m, enum submit_status status, const char *dsn, const char *text);
bool message_failed(const struct message *m);
/* Releases all; a message that was not published leaves no file. */
void message_done(struct message *m);

/* Serve a connection of a client that submits messages, one after the other. */
struct server;
struct peer;
MAY_WAIT
void cleanup_session(struct server *sv, struct stream *client, const struct peer *peer);

#endif
