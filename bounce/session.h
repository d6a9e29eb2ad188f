/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h - qmgr's requests for reports
 */
#ifndef BOUNCE_SESSION_H
#define BOUNCE_SESSION_H

#include "bounce/policy.h"
#include "daemon/daemon.h"
#include "mail/template.h"

/* The process: what start() opened. */
struct bounce {
    struct ipc_pool *cleanup;
    struct templates templates; /* expanded */
    struct policy policy;
    unsigned notify;            /* enum notify_class: what the postmaster gets copies of */
    /* complete addresses: */
    struct str double_bounce_sender, bounce_notice, double_bounce_notice, delay_notice;
};

MAY_WAIT void bounce_session(struct server *sv, struct stream *client, const struct peer *peer);

#endif
