/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compress.c - COMPRESS=DEFLATE (RFC 4978): asked for here, done by the front
 *
 * The front compresses, as it does TLS, so that the state of it outlives this process when the session parks.
 * Between the answer, which is the last plain text, and the first compressed byte the front holds the
 * client's input back. It then hands over a socket pair in the place of what the session had.
 *
 * Runs in: imapd (input is hostile).
 */
#include "compress.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "command.h"
#include "io/stream_rest.h"
#include "ipc/msg_session.h"
#include "park.h"
#include "reply.h"

int cmd_compress(struct imap *s, struct parse *p)
{
    struct span name;

    if (!parse_sp(p) || !parse_atom(p, &name) || !parse_end(p) || !span_eq_nocase_str(name, "DEFLATE"))
        return reply_bad(s, "COMPRESS takes the mechanism DEFLATE.");
    if (s->compressed)
        return reply_no(s, "[COMPRESSIONACTIVE] DEFLATE is active already.");
    int held = park_hold_input(s);
    if (held < 0)
        return reply_no(s, "[UNAVAILABLE] No compression can be had now.");
    if (held > 0)
        return reply_bad(s, "Nothing may follow COMPRESS before its answer.");
    s->compressed = true;
    s->compress_next = true;
    return reply_ok(s, "DEFLATE active");
}

int compress_begin(struct imap *s)
{
    const struct session_compress ask = { 0 };
    struct session_compressed answer;
    _cleanup_close_ int fd = -1;

    s->compress_next = false;
    int r = stream_flush(s->client);
    if (r < 0)
        return r;
    if (s->relayed)
        shutdown(stream_fd(s->client), SHUT_WR); /* so that the front knows where the plain text ends */
    ipc_send(s->front, &session_compress_shape, &ask);
    r = session_front_skip(s->front);
    if (r == 0)
        r = ipc_recv(s->front, &session_compressed_shape, &answer);
    if (r == 0)
        r = ipc_recv_fd(s->front, &fd);
    if (r < 0)
        return r;
    stream_rest(s->client);
    if (dup3(fd, stream_fd(s->client), O_CLOEXEC) < 0)
        return -errno;
    s->relayed = true;
    return 0;
}
