/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - tlsmgr: the keys that seal TLS session tickets
 *
 * A client's session can be resumed by any process that has the key its ticket was sealed with. tlsmgr makes
 * these keys and tells them to smtpd and the fronts of IMAP and POP3, which ask when those that they
 * have run out. Keys are random, live in this process's memory only, and are gone when it ends.
 *
 * Parameters: smtpd_tls_session_cache_timeout, of which each key makes tickets for one half.
 * Sandbox: user net_owner; touches nothing.
 */
#include "base/mem.h"
#include "tlsmgr/keys.h"
#include "tlsmgr/session.h"

static int start(struct server *sv)
{
    struct ring *ring = mem_new(struct ring);

    ring->period_ms = (uint64_t)sv->params->smtpd_tls_session_cache_timeout * 1000 / 2;
    sv->state = ring;
    return 0;
}

int main(int argc, char **argv)
{
    static const struct daemon tlsmgr = {
        .name = "tlsmgr",
        .sandbox = { .user = RUN_AS_NET },
        .start = start,
        .session = tlsmgr_session,
        .resident = true,
    };
    return daemon_main(&tlsmgr, argc, argv);
}
