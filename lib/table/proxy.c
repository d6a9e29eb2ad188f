/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy.c - proxy:type:name: the table is asked through the proxymap service
 *
 * For tables that this process may not open itself once it is sandboxed (accounts),
 * or that are better opened once for all. Connections to proxymap are kept, and
 * shared by all proxied tables of the process.
 *
 * Runs in: every program that reads tables; keys are hostile, the answer is checked.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ipc/ipc.h"
#include "ipc/msg_map.h"
#include "table/type.h"

enum {
    PROXY_TIMEOUT_MS = 100 * 1000, /* a directory behind it may be slow */
    PROXY_IDLE_MS = 60 * 1000,
    PROXY_IDLE_MAX = 16,
};

static struct ipc_pool *proxymap; /* one per process, as the pool is made for */

int proxy_open(const struct table_opening *o, void **ret)
{
    struct span name;

    if (!table_type_cut(span_of(o->name), &name, o->err))
        return -EINVAL;
    if (!proxymap)
        proxymap = ipc_pool_new("proxymap", PROXY_IDLE_MS, PROXY_IDLE_MAX);
    *ret = mem_strdup(o->name);
    return 0;
}

void proxy_close(void *impl)
{
    free(impl);
}

static int answer_status(const struct map_answer *answer, struct str *value)
{
    switch ((enum map_status)answer->status) {
    case MAP_FOUND:
        str_add(value, str_span(&answer->value));
        return 1;
    case MAP_NOT_FOUND:
        return 0;
    case MAP_REFUSED:
        return -EACCES;
    case MAP_TEMPORARY:
        break;
    }
    return -EAGAIN;
}

static int exchange(struct ipc *c, const struct map_query *query, struct str *value)
{
    struct map_answer answer = {0};

    ipc_send(c, &map_query_shape, query);
    int r = ipc_recv(c, &map_answer_shape, &answer);

    if (r == 0)
        r = answer_status(&answer, value);
    str_free(&answer.value);
    return r;
}

/* One attempt. 1 in *again: the kept connection had been closed by proxymap; ask on another. */
static int ask(const struct map_query *query, uint64_t deadline, struct str *value, bool *again)
{
    _cleanup_(ipc_free_ptr_) struct ipc *c = NULL;
    int r = ipc_pool_get(proxymap, deadline, &c);

    *again = false;
    if (r < 0)
        return r;
    stream_set_deadline(ipc_stream(c), deadline);
    r = exchange(c, query, value);
    if (stream_error(ipc_stream(c)) == 0 && r != -EPROTO) {
        ipc_pool_put(proxymap, TAKE_PTR(c));
        return r;
    }
    *again = ipc_was_kept(c) && (r == -ENODATA || r == -EPIPE || r == -ECONNRESET);
    return r;
}

int proxy_get(void *impl, struct span key, struct str *value)
{
    struct map_query query = {0};
    uint64_t deadline = clock_deadline_ms(PROXY_TIMEOUT_MS);
    bool again;
    int r;

    str_add_str(&query.table, impl);
    str_add(&query.key, key);
    do {
        r = ask(&query, deadline, value, &again);
    } while (again);
    str_free(&query.table);
    str_free(&query.key);
    return r;
}
