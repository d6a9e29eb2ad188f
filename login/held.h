/* SPDX-License-Identifier: Apache-2.0 */
/*
 * held.h - a signed-in client: served by a session process, or parked
 *
 *     handoff.c   begins and wakes sessions, and hears what they want of the front
 *     relay.c     copies between the client and its session where the front keeps a layer
 *     lot.c       where parked ones wait for their client, their mailbox or their time
 *     deflate.c   COMPRESS=DEFLATE
 *     watch.c     tells of changes in directories that sessions have handed over
 *     places.c    counts them with all others of their user, at anvil
 *     idle.c      which of a user's sessions is idle, when there are too many
 *
 *     login ---> LIVE ---session_park---> PARKED ---client, mailbox, time---> LIVE ...
 *                  '--- the session ends, or the connection: gone ---'
 *
 * A parked one has no fiber and no buffers, only this struct, its descriptors, and its TLS if it has any.
 */
#ifndef LOGIN_HELD_H
#define LOGIN_HELD_H

#include "base/hash.h"
#include "base/heap.h"
#include "base/list.h"
#include "ipc/msg_place.h"
#include "ipc/msg_session.h"
#include "login/login.h"

struct deflate;
struct relay;

/* Its place among the sessions of its user (places.c). */
struct place {
    struct hash_node node;
    uint64_t id;
    char *user;                     /* NULL: it is not counted */
    enum place_state { PLACE_ASKED, PLACE_REFUSED, PLACE_TAKEN } state;
    struct waitq *answered;         /* while it is asked for: who waits */
    uint64_t busy_until;            /* asked to end it was busy; not asked again before */
};

struct held {
    struct server *sv;
    struct stream *client;
    struct ipc *session;            /* NULL: parked */
    struct place place;
    struct deflate *deflate;        /* NULL: not compressed */
    struct relay *relay;            /* NULL: the session has the client's own socket */
    bool tls, idling;
    bool changed;                   /* a watched directory has, since it was watched */
    uint64_t client_hash;           /* the same for all connections that one client has */
    uint64_t heard_ms;              /* when the client last said something, as far as is known here */
    uint32_t linger_ms;             /* how long its session waits for it before it parks */
    unsigned remote_port, local_port;
    char remote[INET6_ADDRSTRLEN], local[INET6_ADDRSTRLEN], session_id[40];

    /* parked */
    int dirs[SESSION_WATCHED];      /* -1: none */
    struct str state, pass, who, tally;     /* of session_park */
    struct poll_fd *input;
    struct heap_node due;           /* the next keep-alive, or the end */
    bool in_lot;
    bool waits_turn;                /* it is to be woken, after others */
    bool waking;                    /* it has been, and is one of the few at once */
    struct list link, turn;
};

/* A session process has taken over: serve until it ends or parks. h is gone or in the lot afterwards. */
MAY_WAIT void held_live(struct held *h);
/* Give the parked session to a new process. 0: held_live() is next. */
MAY_WAIT int held_resume(struct held *h);
void held_free(struct held *h);

/* places.c. A place for it: 0, or -EUSERS. places_leave() gives it back; harmless if it has none. */
MAY_WAIT int places_take(struct held *h, struct span user);
void places_leave(struct held *h);
/* idle.c. May it be ended to make room for another of its user, and how long has its client said nothing? */
enum place_rank idle_judge(const struct held *h, uint64_t *ret_silent_ms);
/* End it. If it has a process that lives, that is asked to, and does so by `until` if it is idle. */
void idle_end(struct held *h, uint64_t until);

/* lot.c: it is parked from now on; its fiber ends. */
void lot_park(struct held *h);
/* Draining has begun: the process can end when there are no parked ones left. */
void lot_drain(void);
/* The suite stops: all end, with BYE. */
void lot_stop(void);
/* A parked one ends, to make room for another of its user. */
void lot_evict(struct held *h);
/* Something has changed in its mailbox. */
void lot_changed(struct held *h);
/* What it was woken for has been done, or costs nobody else's time: the next one's turn. Harmless if it was not woken. */
void lot_woken(struct held *h);

/* watch.c. At start, before there are threads: 0 or -errno. */
int watch_open(void);
/* Watch both of h->dirs; the first change sets h->changed, and wakes it if it is parked. False: cannot be. */
bool watch_begin(struct held *h);
/* Closes them. Harmless if nothing is watched. */
void watch_end(struct held *h);

/* relay.c: fibers that copy; `session` is taken; d may be NULL. */
struct relay *relay_start(struct stream *client, struct deflate *d, struct stream *session);
/* Hold back what the client says, or let it go on. Nothing is half passed on in between, unless the session has bytes to read. */
MAY_WAIT void relay_hold(struct relay *r);
void relay_go_on(struct relay *r);
/* Wait until all that the session said has been passed on, and end both directions. Frees r. */
MAY_WAIT void relay_end(struct relay *r);

/* A line of the front's own for the client, through its layers; at most 30 seconds. 0 or the stream's error. */
MAY_WAIT int held_say(struct held *h, const char *line);

#endif
