/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_client.h - the queue as postqueue and postsuper see it: through qmgr, or on the directories when it is down
 */
#ifndef CLI_QUEUE_CLIENT_H
#define CLI_QUEUE_CLIENT_H

#include "conf/conf.h"
#include "ipc/msg_queue.h"
#include "queue/queue.h"

/* One message of the listing. */
struct queue_item {
    uint32_t state;             /* enum queue_state */
    char id[QUEUE_ID_MAX + 1];
    uint64_t arrival;           /* seconds */
    uint64_t size;
    bool forced_expire;
    struct str sender;
    size_t n_rcpts, cap;        /* cap: of rcpts, for another message */
    struct queue_item_rcpt {
        struct str address, orig;
        struct str reason;      /* why it waits, empty if not known */
    } *rcpts;
};
void queue_item_done(struct queue_item *item);
/* A recipient more; its texts are empty. */
struct queue_item_rcpt *queue_item_add_rcpt(struct queue_item *item);

struct queue_client {
    struct ipc *qmgr;           /* NULL: the suite is down */
    char refusal[512];          /* why qmgr refused, after -EPERM */
    struct queue_dirs dirs;     /* open when it is down */
};

/*
 * Reach qmgr, else open the directories and lock the queue, so that a qmgr that starts waits.
 * 0 (ret->qmgr tells which); -EACCES: down, and the caller may not read the directories; -EBUSY: a qmgr runs
 * but does not answer; others.
 */
int queue_client_open(const struct params *p, struct queue_client *ret);
void queue_client_close(struct queue_client *c);

/* Call fn for each message, in the order of postqueue -p. 0, a negative value of fn's, -EPERM, or -errno. */
int queue_client_list(struct queue_client *c, int (*fn)(const struct queue_item *item, void *arg),
                      void *arg);

/* Call fn for each destination that mail waits for. 0, -EPERM, or -errno; c->qmgr is not NULL. */
int queue_client_destinations(struct queue_client *c,
                              void (*fn)(const struct queue_destination *d, void *arg), void *arg);

/* Do it to one message. 1 done, 0 no such message (in that state), -EPERM refused, -errno. When the suite
 * is down QUEUE_DO_FLUSH and QUEUE_DO_FLUSH_SITE give -ECONNREFUSED. */
int queue_client_act(struct queue_client *c, const struct queue_command *cmd);

/*
 * The same for many messages, cmd->queue_id set to each id in turn: requests go out before the answers to earlier ones
 * are in, since a million round trips take minutes. fn is called for each id in order with what queue_client_act()
 * would return. 0; or negative when qmgr refuses or is gone, and the rest was not tried.
 */
int queue_client_act_on_many(struct queue_client *c, const struct queue_command *cmd,
                             char (*ids)[QUEUE_ID_MAX + 1], size_t n,
                             void (*fn)(size_t i, int result, void *arg), void *arg);

/* "maildrop", "active", "incoming", "deferred", "hold" */
const char *queue_state_name(uint32_t state);
/* That name's state, or -1. */
int queue_state_find(struct span name);

/* The same two on the directories; used by the functions above. */
int queue_direct_list(const struct queue_dirs *d,
                      int (*fn)(const struct queue_item *item, void *arg), void *arg);
int queue_direct_act(const struct queue_dirs *d, uint32_t action, const char *id);

#endif
