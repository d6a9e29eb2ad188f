/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipc.c - messages and runs of bytes over a stream, strictly checked
 *
 * A message is read whole into the connection's own buffer before it is looked
 * at, so that a parse never waits; its length is bounded. Bulk bytes are not
 * copied: a chunk is lent from the stream's buffer. Whatever is malformed makes
 * the connection fail for good, because after it nobody knows where the next
 * message starts.
 *
 * Runs in: every program (input is hostile). Logs nothing.
 */
#include "ipc/ipc.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "ipc/internal.h"
#include "ipc/shape.h"

enum {
    IPC_BODY_MAX = 1 << 20,     /* the longest message */
    IPC_CHUNK_MAX = 64 * 1024,
    IPC_KEEP = 4096,            /* what an idle connection keeps of its buffers */
};

struct ipc *ipc_new(struct stream *st)
{
    struct ipc *c = mem_new(struct ipc);

    assert(st);
    c->st = st;
    list_init(&c->link);
    return c;
}

void ipc_free(struct ipc *c)
{
    if (!c)
        return;
    stream_free(c->st);
    str_free(&c->body);
    str_free(&c->out);
    free(c);
}

struct stream *ipc_stream(struct ipc *c)
{
    return c->st;
}

bool ipc_was_kept(const struct ipc *c)
{
    return c->was_kept;
}

/* refuse - the other side does not speak our language */
static int refuse(struct ipc *c)
{
    stream_fail(c->st, -EPROTO);
    return -EPROTO;
}

/* encode - the message as it goes on the wire, in c->out */
static int encode(struct ipc *c, const struct ipc_shape *shape, const void *msg)
{
    uint32_t net = 0;

    str_reset(&c->out);
    str_add(&c->out, span_make(&net, sizeof net));
    int r = ipc_encode(shape, msg, &c->out);
    if (r == 0 && c->out.len - sizeof net > IPC_BODY_MAX)
        r = -EMSGSIZE;
    if (r < 0) {
        stream_fail(c->st, r);
        return r;
    }
    net = htonl((uint32_t)(c->out.len - sizeof net));
    memcpy(c->out.data, &net, sizeof net);
    return 0;
}

void ipc_send(struct ipc *c, const struct ipc_shape *shape, const void *msg)
{
    if (encode(c, shape, msg) == 0)
        stream_write(c->st, str_span(&c->out));
}

int ipc_send_now(struct ipc *c, const struct ipc_shape *shape, const void *msg)
{
    int r = encode(c, shape, msg);

    if (r < 0 || stream_error(c->st) < 0)
        return r < 0 ? r : stream_error(c->st);
    if (send(stream_fd(c->st), c->out.data, c->out.len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)c->out.len)
        return 0;
    stream_fail(c->st, -EPIPE);
    shutdown(stream_fd(c->st), SHUT_RDWR);      /* the fiber that reads finds out */
    return -EPIPE;
}

void ipc_send_fd(struct ipc *c, int fd)
{
    stream_send_fd(c->st, fd);
}

static void send_one_chunk(struct ipc *c, struct span bytes)
{
    uint32_t net = htonl((uint32_t)bytes.len);

    stream_write(c->st, span_make(&net, sizeof net));
    if (bytes.len > 0)
        stream_write(c->st, bytes);
}

void ipc_send_chunk(struct ipc *c, struct span bytes)
{
    while (bytes.len > IPC_CHUNK_MAX) {
        send_one_chunk(c, span_first(bytes, IPC_CHUNK_MAX));
        bytes = span_from(bytes, IPC_CHUNK_MAX);
    }
    send_one_chunk(c, bytes);
}

int ipc_flush(struct ipc *c)
{
    return stream_flush(c->st);
}

/* settle - give back what the call before lent from the stream's buffer */
static void settle(struct ipc *c)
{
    if (c->lent > 0)
        stream_consume(c->st, c->lent);
    c->lent = 0;
}

/* read_exactly - an end of the connection in here is no orderly one */
static int read_exactly(struct ipc *c, void *buf, size_t n)
{
    int r = stream_read(c->st, buf, n);

    return r == -ENODATA ? -EPROTO : r;
}

static int read_length(struct ipc *c, size_t max, size_t *ret)
{
    uint32_t net;
    int r = read_exactly(c, &net, sizeof net);

    if (r < 0)
        return r;
    if (ntohl(net) > max)
        return refuse(c);
    *ret = ntohl(net);
    return 0;
}

/* load - have the next message in c->body */
static int load(struct ipc *c)
{
    struct span some, body;
    size_t len;

    if (c->loaded)
        return 0;
    settle(c);
    if (c->chunk_left > 0)
        return refuse(c);       /* we stopped in the middle of a run */
    int r = stream_peek(c->st, &some);
    if (r < 0)
        return r;
    r = read_length(c, IPC_BODY_MAX, &len);
    if (r < 0)
        return r;
    str_reset(&c->body);
    str_reserve(&c->body, len);
    r = read_exactly(c, c->body.data, len);
    if (r < 0)
        return r;
    c->body.len = len;
    c->body.data[len] = '\0';
    body = str_span(&c->body);
    if (ipc_decode_type(&body, &c->type) < 0)
        return refuse(c);
    c->fields = body;
    c->loaded = true;
    return 0;
}

int ipc_peek_type(struct ipc *c, struct span *ret)
{
    int r = load(c);

    if (r == 0)
        *ret = c->type;
    return r;
}

/* shrink - an idle connection should cost little */
static void shrink(struct ipc *c)
{
    if (c->body.cap > IPC_KEEP)
        str_free(&c->body);
    if (c->out.cap > IPC_KEEP)
        str_free(&c->out);
}

int ipc_wait_request(struct ipc *c, struct span *ret)
{
    struct span some;

    if (c->loaded)
        return ipc_peek_type(c, ret);
    settle(c);
    shrink(c);
    fiber_set_idle(c->asked); /* who has just connected is about to ask */
    int r = stream_peek(c->st, &some);
    fiber_set_idle(false);
    c->asked = true;
    return r < 0 ? r : ipc_peek_type(c, ret);
}

int ipc_recv(struct ipc *c, const struct ipc_shape *shape, void *msg)
{
    int r = load(c);

    if (r < 0)
        return r;
    if (!span_eq_str(c->type, shape->type) || ipc_decode_fields(c->fields, shape, msg) < 0)
        return refuse(c);
    c->loaded = false;
    return 0;
}

int ipc_recv_fd(struct ipc *c, int *ret_fd)
{
    int fd = stream_take_fd(c->st);

    if (fd < 0)
        return fd;
    *ret_fd = fd;
    return 0;
}

int ipc_recv_chunk(struct ipc *c, struct span *ret)
{
    struct span some;

    settle(c);
    if (c->loaded)
        return refuse(c);       /* a message is still to be received */
    if (c->chunk_left == 0) {
        int r = read_length(c, IPC_CHUNK_MAX, &c->chunk_left);

        if (r < 0)
            return r;
        if (c->chunk_left == 0) {
            *ret = SPAN_NULL;
            return 0;
        }
    }
    int r = stream_peek(c->st, &some);
    if (r < 0)
        return r == -ENODATA ? -EPROTO : r;
    *ret = span_first(some, c->chunk_left);
    c->lent = ret->len;
    c->chunk_left -= ret->len;
    return 0;
}

bool ipc_is_quiet(struct ipc *c)
{
    settle(c);
    return !c->loaded && c->chunk_left == 0 && stream_error(c->st) == 0 &&
           stream_buffered(c->st) == 0;
}
