/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent.h - what the parts of local and virtual share
 *
 *     main_local.c, main_virtual.c   what the processes are
 *     session.c    qmgr's requests, one after another
 *     alias.c      local only: what the alias tables make of a recipient
 *     deliver.c    one recipient: find the mailbox, store the message, judge the result
 *     owner.c      a helper thread acts as the mailbox owner
 *     forward.c    a message to other addresses, through cleanup
 */
#ifndef LOCAL_AGENT_H
#define LOCAL_AGENT_H

#include "daemon/daemon.h"
#include "ipc/msg_deliver.h"
#include "mailbox/locate.h"
#include "mailbox/maildir.h"
#include "queue/delivery_line.h"

/* The process: what start() opened. */
struct agent {
    struct server *sv;
    bool system_users;          /* local: system users and aliases; virtual: virtual mailboxes */
    struct locator *locator;
    struct maps *aliases;       /* local */
    struct ipc_pool *cleanup;   /* local */
    struct maps *limits;        /* quotas by address */
    uint64_t max_size;          /* of a stored message; 0: no limit */
};

#define MESSAGE_HEAD_MAX 65536

/* One request of qmgr. */
struct message {
    struct agent *agent;
    struct deliver request;
    int fd;
    struct str head;            /* the first bytes of the content: all of most messages */
    int64_t handoff_us;
};

struct recipient {
    struct deliver_rcpt rcpt;
    struct outcome outcome;
};

/* Open what both programs need. 0, or negative after having logged why. */
int agent_start(struct server *sv, bool system_users, uint64_t max_size);
void agent_session(struct server *sv, struct stream *client, const struct peer *peer);

/* Set what became of a recipient; the text is cut to what an outcome may hold. */
void outcome_set(struct outcome *o, enum outcome_status status, const char *dsn, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* ---- deliver.c ---- */

/* Deliver to one recipient; the outcome is always set. */
MAY_WAIT void deliver_recipient(struct message *m, struct recipient *r);
/* The same to the recipient's own mailbox, whatever aliases there are. */
MAY_WAIT void deliver_mailbox(struct message *m, struct recipient *r);
/* Has the message been delivered to this address before (Delivered-To)? */
bool message_has_looped(const struct message *m, struct span address);
/* What is put in front of the message: Return-Path, X-Original-To, Delivered-To, each with LF. */
void deliver_prepend(const struct message *m, const struct recipient *r, bool return_path, struct str *ret);
/* The outcome of a failed delivery. r: -errno. */
void deliver_failed(struct outcome *o, const char *maildir, int r);

/* ---- owner.c ---- */

/* maildir_deliver() on a helper thread, as uid and gid (unless single_user). limits: the mailbox's quota; NULL: what
 * its own file says (mailbox/quota.h). -EDQUOT: it is full. */
struct quota_limits;
MAY_WAIT int owner_deliver(const struct agent *a, const struct location *where, const struct maildir_save *save,
                           const struct quota_limits *limits);

/* ---- alias.c ---- */

struct alias_list {
    struct str *addresses;      /* to forward to, external form, complete */
    size_t len, cap;
    bool self;                  /* the recipient's own mailbox is among them */
    char *refused;              /* a destination that is not supported, NULL if none */
    struct str owner;           /* it is a list: owner-NAME, who gets the reports on its members; else empty */
};
void alias_list_done(struct alias_list *l);
/* Parse the right-hand side of an alias (aliases(5)). user: the alias itself. */
void alias_parse(const struct params *p, struct span value, struct span user, struct alias_list *ret);

/* If the recipient is an alias: deliver to what it stands for, set the outcome, true. */
MAY_WAIT bool alias_deliver(struct message *m, struct recipient *r);

/* ---- forward.c ---- */

/* Hand the message to cleanup for other addresses. 0: taken, *ret_id is its new queue id (64 bytes); else the
 * outcome has been set. */
MAY_WAIT int forward_message(struct message *m, struct recipient *r, const struct alias_list *to,
                             char ret_id[static 64]);

#endif
