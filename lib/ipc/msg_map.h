/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msg_map.h - proxymap: looking up a key in a table that another process has open
 *
 *     map_query -> map_answer
 */
#ifndef IPC_MSG_MAP_H
#define IPC_MSG_MAP_H

#include "ipc/ipc.h"

struct map_query {
    struct str table;           /* "type:name" as in main.cf, without "proxy:" */
    struct str key;
};
IPC_SHAPE(map_query, IPC_DYN(map_query, table, 4096), IPC_DYN(map_query, key, 4096),);

enum map_status { MAP_FOUND, MAP_NOT_FOUND, MAP_TEMPORARY, MAP_REFUSED, MAP_STATUS_LAST = MAP_REFUSED };
struct map_answer {
    uint32_t status;
    struct str value;
};
IPC_SHAPE(map_answer, IPC_U32(map_answer, status, MAP_STATUS_LAST), IPC_DYN(map_answer, value, 65536),);

#endif
