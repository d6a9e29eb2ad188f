/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - proxymap: look-up tables on behalf of processes that may not open them themselves
 *
 * "proxy:unix:passwd.byname" lets smtpd know who exists here without being able to read
 * /etc/passwd; and one open table serves all processes that name it.
 *
 * Parameters: proxy_read_maps.
 * Sandbox: user net_owner; reads its tables, and the system's user database if one of them is that; writes
 * nothing.
 */
#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "proxymap/proxymap.h"

static size_t n_failed;

/* One table that cannot be opened does not take the others away. */
static void say_failed(const char *text)
{
    log_error("%s", text);
    n_failed++;
}

static int start(struct server *sv)
{
    struct served *s = mem_new(struct served);

    served_open(s, sv->params->proxy_read_maps, say_failed);
    for (size_t i = 0; i < s->len; i++)
        if (span_starts(span_of(s->items[i].name), (struct span)SPAN("unix:")))
            daemon_allow(sv, SANDBOX_NSS);
    sv->state = s;
    return daemon_checking(sv) && n_failed > 0 ? -EINVAL : 0;
}

int main(int argc, char **argv)
{
    static const struct daemon proxymap = {
        .name = "proxymap",
        .sandbox = { .user = RUN_AS_NET },
        .start = start,
        .session = proxymap_session,
    };
    return daemon_main(&proxymap, argc, argv);
}
