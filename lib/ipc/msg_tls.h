/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msg_tls.h - the keys that seal TLS session tickets, from tlsmgr to the processes that speak TLS with clients
 *
 *     ticket_keys_ask -> ticket_keys
 *
 * A key is TICKET_KEY_BYTES random bytes: 16 of its name, which a ticket shows, 32 for AES-256, 32 for
 * HMAC-SHA256 (RFC 5077 section 4).
 */
#ifndef IPC_MSG_TLS_H
#define IPC_MSG_TLS_H

#include "ipc/ipc.h"

#define TICKET_KEY_BYTES 80

struct ticket_keys_ask {
    char service[64];           /* master.cf name of the asker, for a trace */
};
IPC_SHAPE(ticket_keys_ask, IPC_STR(ticket_keys_ask, service),);

struct ticket_keys {
    struct str current;         /* makes tickets, and opens them */
    struct str previous;        /* opens tickets only; empty: there is none */
    uint64_t valid_ms;          /* for so long; then ask again. 0: sessions are not to be resumed */
};
IPC_SHAPE(ticket_keys, IPC_DYN(ticket_keys, current, TICKET_KEY_BYTES),
    IPC_DYN(ticket_keys, previous, TICKET_KEY_BYTES), IPC_U64(ticket_keys, valid_ms, 1000ull * 604800),);

#endif
