/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c - one caller's kept connection: queries, each with its answer
 *
 * Runs in: proxymap; callers talk to strangers and are mistrusted.
 */
#include <errno.h>

#include "base/log.h"
#include "proxymap/proxymap.h"

static void say_refused(const struct map_query *query, const struct peer *peer)
{
    _cleanup_(str_free) struct str name = STR_INIT;

    str_add_escaped(&name, str_span(&query->table), 200, STR_ASCII);
    log_warn("refused: table %s is not in proxy_read_maps as proxy:%s (asked by uid %u)",
             str_cstr(&name), str_cstr(&name), (unsigned)peer->uid);
}

static int serve_query(struct server *sv, struct ipc *c, const struct peer *peer)
{
    struct map_query query = { 0 };
    struct map_answer answer = { 0 };
    int r = ipc_recv(c, &map_query_shape, &query);

    if (r == 0) {
        served_answer(sv->state, &query, &answer);
        if (answer.status == MAP_REFUSED)
            say_refused(&query, peer);
        ipc_send(c, &map_answer_shape, &answer);
        r = ipc_flush(c);
    }
    str_free(&query.table);
    str_free(&query.key);
    str_free(&answer.value);
    return r;
}

void proxymap_session(struct server *sv, struct stream *client, const struct peer *peer)
{
    _cleanup_(ipc_free_ptr_) struct ipc *c = ipc_new(client);
    struct span type;
    int r = 0;

    while (r == 0 && ipc_wait_request(c, &type) == 0)
        r = serve_query(sv, c, peer);
    if (r == -EPROTO)
        log_warn("malformed request from uid %u", (unsigned)peer->uid);
}
