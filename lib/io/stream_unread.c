/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_unread.c - give a fresh stream bytes that another process has read from its connection before
 *
 * A front hands a client's connection over together with what the client has pipelined behind its
 * sign-in (ipc/msg_session.h).
 *
 * Runs in: imapd, pop3d. The bytes are the client's.
 */
#include "io/stream_unread.h"

#include <assert.h>

#include "base/mem.h"
#include "io/stream_internal.h"

void stream_unread(struct stream *st, struct span bytes)
{
    assert(!st->in && bytes.len <= STREAM_IN_MAX);
    if (bytes.len == 0)
        return;
    st->in = mem_calloc(bytes.len, 1);
    memcpy(st->in, bytes.ptr, bytes.len);
    st->in_cap = st->end = bytes.len;
}
