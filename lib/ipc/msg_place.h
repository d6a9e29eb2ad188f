/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msg_place.h - places of live mailbox sessions: so many for one user from one address, over all fronts of a protocol
 *
 *     imapd-login, pop3d-login                  anvil
 *     place_take                             ->
 *         ... if there is none, anvil asks the fronts that have this user's sessions, perhaps this one:
 *                                            <- place_look         which is idle for longest?
 *     place_idlest                           ->
 *                                            <- place_close        that one is to end
 *     place_closed                           ->                    after its place_leave
 *                                            <- place_taken
 *     place_keep                             ->    (no answer) a session that another anvil had counted
 *     place_leave                            ->    (no answer)
 *
 * One connection for each front process, on which both sides speak when they have something to say; `id` is the
 * front's number of a session, `request` anvil's of a question. When it ends, the places of that front are free.
 */
#ifndef IPC_MSG_PLACE_H
#define IPC_MSG_PLACE_H

#include "ipc/ipc.h"

#define PLACE_USER_MAX 1024

struct place_take {
    uint64_t id;
    uint32_t limit;
    char protocol[16];          /* "imap", "pop3" */
    char client[64];            /* address */
    struct str user;
};
IPC_SHAPE(place_take, IPC_U64(place_take, id, UINT64_MAX), IPC_U32(place_take, limit, INT32_MAX),
    IPC_STR(place_take, protocol), IPC_STR(place_take, client), IPC_DYN(place_take, user, PLACE_USER_MAX),);

struct place_taken {
    uint64_t id;
    uint32_t granted;           /* 0: all are taken, and none by an idle session */
};
IPC_SHAPE(place_taken, IPC_U64(place_taken, id, UINT64_MAX), IPC_U32(place_taken, granted, 1),);

struct place_keep {
    uint64_t id;
    char protocol[16], client[64];
    struct str user;
};
IPC_SHAPE(place_keep, IPC_U64(place_keep, id, UINT64_MAX), IPC_STR(place_keep, protocol),
    IPC_STR(place_keep, client), IPC_DYN(place_keep, user, PLACE_USER_MAX),);

struct place_leave { uint64_t id; };
IPC_SHAPE(place_leave, IPC_U64(place_leave, id, UINT64_MAX),);

struct place_look {
    uint64_t request;
    char client[64];
    struct str user;
};
IPC_SHAPE(place_look, IPC_U64(place_look, request, UINT64_MAX), IPC_STR(place_look, client),
    IPC_DYN(place_look, user, PLACE_USER_MAX),);

/* In the order in which they are ended. */
enum place_rank {
    PLACE_DEAD,                 /* its client acknowledges nothing any more */
    PLACE_PARKED,
    PLACE_SILENT,               /* has a process, and has been silent for a while */
    PLACE_BUSY,                 /* none of these: not to be ended */
};

struct place_idlest {
    uint64_t request, id;
    uint32_t rank;              /* enum place_rank; PLACE_BUSY: there is none, and id means nothing */
    uint64_t silent_ms;
};
IPC_SHAPE(place_idlest, IPC_U64(place_idlest, request, UINT64_MAX), IPC_U64(place_idlest, id, UINT64_MAX),
    IPC_U32(place_idlest, rank, PLACE_BUSY), IPC_U64(place_idlest, silent_ms, UINT64_MAX),);

struct place_close { uint64_t request, id; };
IPC_SHAPE(place_close, IPC_U64(place_close, request, UINT64_MAX), IPC_U64(place_close, id, UINT64_MAX),);

struct place_closed {
    uint64_t request;
    uint32_t closed;            /* 0: it was busy after all */
};
IPC_SHAPE(place_closed, IPC_U64(place_closed, request, UINT64_MAX), IPC_U32(place_closed, closed, 1),);

#endif
