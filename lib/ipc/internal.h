/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal.h - what the files of lib/ipc share
 */
#ifndef IPC_INTERNAL_H
#define IPC_INTERNAL_H

#include "base/list.h"
#include "ipc/ipc.h"

struct ipc {
    struct stream *st;
    struct str body;        /* the message being received */
    struct span type;       /* both lie in body */
    struct span fields;
    bool loaded;            /* body holds a message not yet received */
    struct str out;         /* the message being composed */
    size_t chunk_left;      /* bytes of the current chunk that are not lent yet */
    size_t lent;            /* bytes of the stream's buffer the caller looks at */
    bool asked;             /* a first request has come */
    bool was_kept;
    struct list link;       /* in its pool, while idle */
    uint64_t idle_since;
};

/* Between two exchanges: nothing is half received, unexpected or failed. */
bool ipc_is_quiet(struct ipc *c);

#endif
