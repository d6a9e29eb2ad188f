/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_internal.h - the parts of a stream, shared by stream*.c
 *
 *     stream.c        life, deadlines, buffers' input side: lines, peek, read
 *     stream_write.c  output side: buffer, flush, sendfile
 *     stream_raw.c    bytes and descriptors to and from the socket, without waiting
 *     stream_tls.c    the TLS layer
 */
#ifndef IO_STREAM_INTERNAL_H
#define IO_STREAM_INTERNAL_H

#include "base/str.h"
#include "io/shuffle.h"
#include "io/stream.h"

enum {
    STREAM_IN_FIRST = 8 * 1024, /* input buffer; doubled while reads fill it */
    STREAM_IN_MAX = 64 * 1024,
    STREAM_OUT_MAX = 64 * 1024, /* flushed when so many bytes are pending */
    STREAM_TAIL_MAX = 24,       /* of a line over the limit: "{18446744073709551615+}" fits */
    STREAM_FDS_MAX = 64,        /* received descriptors nobody took; more are closed */
};

struct stream {
    int fd;
    int error;       /* both directions */
    int read_error;  /* reading only: end, timeout, cancel. A goodbye can still be written. */
    bool not_socket; /* a pipe or a file: read(2) and write(2) */
    bool drained;    /* the last read emptied the socket: wait before the next */
    bool bare_lf;
    bool flushing;   /* a fiber is sending `out`: another one, that reads, leaves it to that one */
    bool long_line;       /* the rest of a line over the limit is being skipped */
    unsigned char tail_len;
    char tail[STREAM_TAIL_MAX]; /* the last bytes of that line */
    struct poll_fd *poll; /* NULL until a fiber waits */
    int64_t timeout_ms;
    uint64_t deadline;
    uint64_t op_deadline; /* of the running operation; 0: not computed yet */

    char *in; /* input: in[pos, end) is unread; NULL when there is none */
    size_t in_cap, pos, end;
    size_t in_want; /* size of the next buffer */
    size_t scanned; /* bytes from pos known to hold no LF */

    struct str out; /* out.data[out_pos, out.len) is pending */
    size_t out_pos;

    int *in_fds, *out_fds; /* arrived, not taken; to be sent with the next byte */
    size_t n_in_fds, cap_in_fds, n_out_fds, cap_out_fds;

    const struct stream_layer *layer; /* TLS between buffers and socket; NULL: none */
    SSL *ssl;
    int bio_error; /* errno of the socket below TLS, negative; 0 none */
    char *tls_error;
};

/* What stream_tls.c does for a stream that has asked for it: a program that never does loads no OpenSSL. */
struct stream_layer {
    /* As raw_recv() and raw_send(). *ret_wait is what to wait for after -EAGAIN. */
    ssize_t (*read)(struct stream *st, void *buf, size_t len, unsigned *ret_wait);
    ssize_t (*write)(struct stream *st, const void *buf, size_t len, unsigned *ret_wait);
    size_t (*pending)(const struct stream *st); /* bytes read ahead */
    void (*end)(struct stream *st);             /* tell the peer that nothing more is written */
    void (*release)(struct stream *st);
};

/* One attempt, without waiting: bytes, 0 at the end (reading), -EAGAIN, or another -errno. */
ssize_t raw_recv(struct stream *st, void *buf, size_t len);
ssize_t raw_send(struct stream *st, const void *buf, size_t len, int flags);
void raw_close_fds(struct stream *st);

/* Wait for the socket, at most until the deadlines: 0, -ETIMEDOUT, -ECANCELED. */
MAY_WAIT
int stream_wait(struct stream *st, unsigned events);

/* st->error becomes r if none is set; returns the error. */
int stream_set_error(struct stream *st, int r);

/* Send what is pending; flags: MSG_MORE when more follows at once. */
MAY_WAIT
int stream_flush_flags(struct stream *st, int flags);

#endif
