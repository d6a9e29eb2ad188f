/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c - one caller's questions, each with its answer (ipc/msg_tls.h)
 *
 * Runs in: tlsmgr; callers talk to strangers and are mistrusted.
 */
#include "tlsmgr/session.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "tlsmgr/keys.h"

static int serve_question(struct ring *ring, struct ipc *c)
{
    struct ticket_keys_ask question;
    struct ticket_keys keys = { .current = STR_INIT };
    int r = ipc_recv(c, &ticket_keys_ask_shape, &question);

    if (r == 0) {
        ring_answer(ring, clock_ms(), &keys);
        ipc_send(c, &ticket_keys_shape, &keys);
        r = ipc_flush(c);
    }
    secret_free(&keys.current);
    secret_free(&keys.previous);
    return r;
}

void tlsmgr_session(struct server *sv, struct stream *client, const struct peer *peer)
{
    _cleanup_(ipc_free_ptr_) struct ipc *c = ipc_new(client);
    struct span type;
    int r = 0;

    while (r == 0 && ipc_wait_request(c, &type) == 0)
        r = serve_question(sv->state, c);
    if (r == -EPROTO)
        log_warn("malformed request from uid %u", (unsigned)peer->uid);
}
