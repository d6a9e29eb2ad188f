/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msg_anvil.h - anvil: what each client does to all processes together, and which clients have passed their tests
 *
 *     anvil_event    -> anvil_counts      (nothing for ANVIL_DISCONNECT and ANVIL_RESUME)
 *     anvil_recall   -> anvil_memory
 *     anvil_remember ->                   (no answer)
 *
 * A server keeps one connection per process. When it ends, the clients whose connections it had reported, and
 * not their end, count as gone.
 */
#ifndef IPC_MSG_ANVIL_H
#define IPC_MSG_ANVIL_H

#include "ipc/ipc.h"

enum anvil_kind {
    ANVIL_CONNECT,      /* one more connection */
    ANVIL_DISCONNECT,
    ANVIL_RESUME,       /* a connection that another anvil had counted */
    ANVIL_MESSAGE,      /* MAIL */
    ANVIL_RCPT,
    ANVIL_NEWTLS,       /* a TLS session that was not resumed */
    ANVIL_AUTH,
    ANVIL_LOOK_NEWTLS,  /* how many TLS sessions already, without counting one */
    ANVIL_KIND_LAST = ANVIL_LOOK_NEWTLS
};

struct anvil_event {
    uint32_t kind;
    char service[64];           /* of master.cf */
    char client[64];            /* an address, or a network "2001:db8::/84" */
};
IPC_SHAPE(anvil_event, IPC_U32(anvil_event, kind, ANVIL_KIND_LAST), IPC_STR(anvil_event, service),
          IPC_STR(anvil_event, client),);

struct anvil_counts {
    uint32_t connections;       /* at this time */
    uint32_t rate;              /* of what was reported, in the current anvil_rate_time_unit */
};
IPC_SHAPE(anvil_counts, IPC_U32(anvil_counts, connections, UINT32_MAX), IPC_U32(anvil_counts, rate, UINT32_MAX),);

struct anvil_recall {
    char client[64];
};
IPC_SHAPE(anvil_recall, IPC_STR(anvil_recall, client),);

struct anvil_memory {
    char passed[128];           /* "" nothing; else as it was remembered */
};
IPC_SHAPE(anvil_memory, IPC_STR(anvil_memory, passed),);

struct anvil_remember {
    char client[64];
    char passed[128];
    uint64_t expires;           /* seconds since 1970 */
};
IPC_SHAPE(anvil_remember, IPC_STR(anvil_remember, client), IPC_STR(anvil_remember, passed),
          IPC_U64(anvil_remember, expires, INT64_MAX),);

#endif
