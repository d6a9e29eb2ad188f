/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxymap.h - what the files of proxymap share
 */
#ifndef PROXYMAP_PROXYMAP_H
#define PROXYMAP_PROXYMAP_H

#include "daemon/daemon.h"
#include "ipc/msg_map.h"
#include "table/table.h"

/* The tables that callers may ask: what proxy_read_maps names as "proxy:type:name". */
struct served {
    struct served_table {
        char *name;                 /* "type:name", as callers ask for it */
        struct table *table;        /* NULL: it could not be opened; said in the log */
    } *items;
    size_t len, cap;
};

/*
 * Open what a list such as proxy_read_maps names; elements without "proxy:" are skipped, since
 * their readers open them themselves. failed gets one text for each table that cannot be opened:
 * callers of it are told to come back later, those of the others are served.
 */
void served_open(struct served *s, const char *list, void (*failed)(const char *text));
void served_done(struct served *s);

/* The answer to one query. answer->value must be initialised; answer->status is always set. */
MAY_WAIT
void served_answer(struct served *s, const struct map_query *query, struct map_answer *answer);

MAY_WAIT void proxymap_session(struct server *sv, struct stream *client, const struct peer *peer);

#endif
