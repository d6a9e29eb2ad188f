/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conversation.c - see conversation.h
 *
 * Both run in one loop, so that a session which waits for more than its client sends ends when that one closes.
 */
#include "tests/fuzz/conversation.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "io/loop.h"

struct conversation {
    struct span input;
    void (*serve)(struct stream *client);
    struct str *ret;
    int server_fd, client_fd;
};

static void serve(void *arg)
{
    const struct conversation *c = arg;

    c->serve(stream_new(c->server_fd));
}

static void speak(void *arg)
{
    const struct conversation *c = arg;
    _cleanup_(stream_free_ptr_) struct stream *st = stream_new(c->client_fd);
    struct span got;

    stream_write(st, c->input);
    stream_close_write(st);
    while (stream_peek(st, &got) == 0) {
        if (c->ret)
            str_add(c->ret, got);
        stream_consume(st, got.len);
    }
}

void converse(struct span input, void (*session)(struct stream *client), struct str *ret)
{
    struct conversation c = { .input = input, .serve = session, .ret = ret };
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        abort();
    c.server_fd = pair[0];
    c.client_fd = pair[1];
    fiber_start(serve, &c);
    fiber_start(speak, &c);
    if (loop_run() < 0)
        abort();
}
