/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message.h - the index of messages: where each is, and what wakes it
 */
#ifndef QMGR_MESSAGE_H
#define QMGR_MESSAGE_H

#include "qmgr/qmgr.h"

/* NULL if it is not in the index. */
struct message *message_find(const struct qmgr *q, struct span id);

/* A new record, in state INCOMING and in no list; no record of that id exists. */
struct message *message_new(struct qmgr *q, const char *id);
/* Take it out of the index and free it; it has no `active`. */
void message_drop(struct qmgr *q, struct message *m);

/* Note for listings what they say of m while it waits; e NULL: forget it. */
void message_describe(struct qmgr *q, struct message *m, const struct queue_envelope *e);

/* Wait for a place in the active set. */
void message_enqueue(struct qmgr *q, struct message *m);
/* Wait in another list, to be given to message_enqueue() one day. */
void message_park(struct qmgr *q, struct message *m, struct list *where);
/* Sleep until real time `due` (seconds; 0: as soon as there is a place). */
void message_defer(struct qmgr *q, struct message *m, int64_t due);
/* The message that shall become active now, taken out of its list; NULL if none is due or all places are taken. */
struct message *message_next(struct qmgr *q, int64_t now_ms);

/* Where its file is. */
enum queue_place message_place(const struct message *m);

/* It is not delivered at once: move it from new/ to cur/. 0 (also if it is there, or about to be removed), or -errno: it
 * is still in new/. */
int message_keep(struct qmgr *q, struct message *m);

/* A file that cannot be read as a queue file: out of the way, with one line in the log. */
void message_corrupt(struct qmgr *q, enum queue_place place, const char *id, const char *why);

/*
 * A message was accepted into new/: deliver it. Harmless when it is known already, or gone. MAY_WAIT.
 */
MAY_WAIT void message_accept(struct qmgr *q, const char *id);

#endif
