/* SPDX-License-Identifier: Apache-2.0 */
/*
 * anvil.h - what the process has
 */
#ifndef ANVIL_ANVIL_H
#define ANVIL_ANVIL_H

#include "anvil/counters.h"
#include "anvil/places.h"
#include "daemon/daemon.h"
#include "table/cache.h"

struct anvil {
    struct counters *counters;
    struct places *places;      /* of live mailbox sessions */
    struct cache *passed;       /* clients that have passed their tests; NULL: cannot be kept */
};

/* The session: one call per server process. */
MAY_WAIT void anvil_session(struct server *sv, struct stream *client, const struct peer *peer);

#endif
