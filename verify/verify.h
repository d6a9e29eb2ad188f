/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify.h - what the process holds: the cache, and the probes that are under way
 *
 *     main.c      what the process is; writing the cache
 *     session.c   queries of smtpd, outcomes from qmgr
 *     probe.c     a probe: one message without content that an agent does not deliver
 *     entry.c     what is remembered of an address
 */
#ifndef VERIFY_VERIFY_H
#define VERIFY_VERIFY_H

#include "base/hash.h"
#include "daemon/daemon.h"
#include "io/fiber.h"
#include "table/cache.h"
#include "verify/entry.h"

struct verify {
    struct server *sv;
    const struct params *params;
    struct cache *cache;        /* NULL: address_verify_map is empty, or cannot be used */
    struct ipc_pool *cleanup;
    struct hash probes;         /* struct probe by address */
    struct waitq housekeeper;   /* waits here while there is nothing to write */
};

/* Under way from its submission until its outcome. */
struct probe {
    struct hash_node node;      /* key: the address, lower case */
    struct verify *v;
    struct waitq waiting;       /* queries */
    size_t users;               /* queries, and the fiber that submits it */
    uint64_t started_ms;
    bool settled;               /* out of the table; freed by the last user */
    struct entry outcome;       /* ADDRESS_UNKNOWN until then */
    char *address;              /* as it was asked for */
};

/* ---- probe.c ---- */

/* The one under way for the address, or a new one; NULL: there are too many. Counts the caller as a user. */
struct probe *probe_get(struct verify *v, struct span key, struct span address);
void probe_put(struct probe *p);
/* Tell those that wait. Takes the text. */
void probe_settle(struct verify *v, struct span key, struct entry *outcome);
/* Forget probes whose outcome has not come: the message was removed, or a process died. */
void probe_drop_old(struct verify *v);

/* ---- session.c ---- */

MAY_WAIT void verify_session(struct server *sv, struct stream *client, const struct peer *peer);

#endif
