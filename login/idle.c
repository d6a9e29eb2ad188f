/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle.c - which sessions can be ended to make room for another of their user, and how
 *
 * A session with the client's own socket says nothing to its front of what it does; the kernel tells how long ago the
 * client, or the session, has said something. Whether it really waits for its client only the session
 * itself knows, so it is asked to leave, and does not if it has work. A client that has not acknowledged what it was sent
 * in spite of several attempts is taken for dead: one that has lost its network or changed it, and is on
 * its way back in.
 *
 * Runs in: imapd-login, pop3d-login.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "login/held.h"

enum {
    SILENT_MIN_MS = 1000,   /* so that a client which opens many at once does not lose the first of them */
    DEAD_RETRANSMITS = 3,
};

enum place_rank idle_judge(const struct held *h, uint64_t *ret_silent_ms)
{
    struct tcp_info info = { 0 };
    socklen_t len = sizeof info;

    *ret_silent_ms = 0;
    if (getsockopt(stream_fd(h->client), IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
        return h->in_lot ? PLACE_PARKED : PLACE_BUSY;
    *ret_silent_ms = info.tcpi_last_data_recv;
    if (info.tcpi_unacked > 0 && info.tcpi_retransmits >= DEAD_RETRANSMITS)
        return PLACE_DEAD;
    if (h->in_lot)
        return PLACE_PARKED;
    if (!h->session || info.tcpi_last_data_recv < SILENT_MIN_MS || info.tcpi_last_data_sent < SILENT_MIN_MS)
        return PLACE_BUSY;
    return PLACE_SILENT;
}

void idle_end(struct held *h, uint64_t until)
{
    const struct session_yield yield = { until };
    uint64_t silent_ms;

    if (h->in_lot)
        lot_evict(h);
    else if (idle_judge(h, &silent_ms) == PLACE_DEAD)
        shutdown(stream_fd(h->client), SHUT_RDWR);      /* its session, or its waker, finds the connection closed */
    else if (h->session)
        ipc_send_now(h->session, &session_yield_shape, &yield);
}
