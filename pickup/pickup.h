/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pickup.h - local submission: what the process holds, and its parts
 */
#ifndef PICKUP_PICKUP_H
#define PICKUP_PICKUP_H

#include "daemon/daemon.h"
#include "ipc/msg_submit.h"
#include "queue/queue.h"
#include "table/table.h"

/* One per process; set up by start(). */
struct pickup {
    const struct params *params;
    struct queue_dirs dirs;        /* maildrop/, corrupt/ */
    struct match_list *authorized; /* NULL: everybody (the default) */
    struct ipc_pool *cleanup;
    bool scanning; /* a fiber goes through maildrop/ */
    bool scan_wanted; /* and shall do so once more: something was put there meanwhile */
};

/* session.c: serve one connection of sendmail. */
MAY_WAIT
void pickup_session(struct server *sv, struct stream *client, const struct peer *peer);

/* maildrop.c: submit what postdrop left in maildrop/ while the suite was down, and what was
 * requeued. When it runs already it is repeated by who runs it. */
MAY_WAIT
void maildrop_scan(struct pickup *p);

/* authorize.c: may this user submit mail (authorized_submit_users)? 1 yes, 0 no, negative: cannot
 * be told now. refusal gets the text for the answer. */
MAY_WAIT
int authorize(struct pickup *p, uid_t uid, struct str *refusal);

/* notice.c: tell the sender of a message from maildrop/ that it was refused. 0: the notice is in
 * the queue. */
MAY_WAIT
int notice_send(struct pickup *p, const struct queue_envelope *e, int content_fd,
                const struct submit_result *why);

/* submit.c */
/* Make of a client's submit what pickup vouches for: origin, user, and only the flags that are the
 * client's to set. */
void submit_sanitize(struct submit *s, uid_t uid);
/* "ID: uid=1000 from=<ann>" */
void submit_log(const struct submit *s, const struct submit_result *res);
/* A temporary failure of our own making. */
void submit_result_temporary(struct submit_result *res, const char *text);

#endif
