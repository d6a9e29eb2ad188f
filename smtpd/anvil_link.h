/* SPDX-License-Identifier: Apache-2.0 */
/*
 * anvil_link.h - the process's one connection to anvil
 *
 * One, because its end tells anvil that this process's clients are gone. After anvil has been
 * replaced it is told of those that are still there. When it cannot be reached, nobody is limited.
 */
#ifndef SMTPD_ANVIL_LINK_H
#define SMTPD_ANVIL_LINK_H

#include "ipc/msg_anvil.h"

struct anvil_link;

/* A connection that anvil counts, as long as it lives. */
struct anvil_client {
    struct list link;
    bool counted;
    struct anvil_event who;     /* service and client */
};

struct anvil_link *anvil_link_new(void);

/* Report an event of `who`. 0, or negative: no counts (said in the log, not too often). ANVIL_CONNECT also puts
 * `client` among those that are counted. */
MAY_WAIT int anvil_report(struct anvil_link *l, struct anvil_client *client, enum anvil_kind kind,
                          struct anvil_counts *ret);

/* The connection ends; harmless when it is not counted. */
MAY_WAIT void anvil_leave(struct anvil_link *l, struct anvil_client *client);

/* What is remembered of an address; "" nothing. */
MAY_WAIT void anvil_recall(struct anvil_link *l, const char *addr, struct anvil_memory *ret);
MAY_WAIT void anvil_remember(struct anvil_link *l, const struct anvil_remember *memory);

#endif
