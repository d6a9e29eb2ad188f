/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wants.c - of what the sender wants to be told (RFC 3461 section 4.1)
 *
 * Runs in: qmgr, which asks for reports, and bounce, which composes them.
 */
#include "queue/queue.h"

bool queue_rcpt_wants(const struct queue_rcpt *r, enum dsn_notify kind)
{
    uint32_t notify = r->dsn_notify ? r->dsn_notify : DSN_FAILURE | DSN_DELAY;

    return !(notify & DSN_NEVER) && (notify & kind);
}

bool queue_rcpt_wants_success(const struct queue_rcpt *r, bool confirm_delay_cleared)
{
    if (queue_rcpt_wants(r, DSN_SUCCESS))
        return r->fate != FATE_CONFIRMING;
    return confirm_delay_cleared && r->was_delayed && queue_rcpt_wants(r, DSN_DELAY);
}
