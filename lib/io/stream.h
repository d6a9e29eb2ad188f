/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.h - buffered connection: lines, counted reads, TLS, deadlines, sticky errors
 *
 * One fiber may read while another one writes (a relay); otherwise a stream belongs to one fiber.
 * A stream keeps its first error, and all later calls return it: write without
 * a check at each call, check when you read and once at the flush. Buffers are
 * allocated when bytes are there and given back while it waits idle.
 *
 * Errors of all waiting calls: -ENODATA the peer closed in order and nothing
 * is left to read; -EPIPE/-ECONNRESET the connection broke; -ETIMEDOUT;
 * -ECANCELED; -EPROTO TLS failed. "It stays so" for all of these. The first,
 * and a time-out or cancel of a read, stop only reading: a peer that has closed
 * its side still gets its answers, and the others a goodbye ("421 ..."), which
 * a cancelled fiber sends as far as it goes without a wait.
 */
#ifndef IO_STREAM_H
#define IO_STREAM_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/own.h"
#include "base/span.h"
#include "io/fiber.h"

struct stream;

struct stream *stream_new(int fd); /* takes fd, makes it non-blocking; never NULL */
struct stream *stream_new_nonblocking(int fd); /* the same for one that is, as accept4() gives it */
void stream_free(struct stream *st); /* closes; what was not flushed is lost. NULL is allowed */
DEFINE_CLEANUP(struct stream, stream_free);

int stream_fd(const struct stream *st);
int stream_error(const struct stream *st);               /* 0, or the sticky error */
void stream_fail(struct stream *st, int error);          /* set it (negative errno) if none is set */
/* Give the descriptor up (for hand-over); the stream is freed. Unread input is appended to *rest. */
struct str;
int stream_detach(struct stream *st, struct str *rest);

/*
 * timeout_ms: longest wait of one read or write operation (0: none).
 * deadline: clock_ms() time by which everything must be over, CLOCK_NEVER none;
 * the nearer of the two counts.
 */
void stream_set_timeout(struct stream *st, int64_t timeout_ms);
void stream_set_deadline(struct stream *st, uint64_t deadline);

/* ---- reading ---- */

/*
 * Read one line, without its line end (CRLF, or a lone LF, which sets
 * stream_line_had_bare_lf()).
 *
 * max   longest line accepted, in bytes, line end not counted
 * ret   set on success; points into the stream's buffer, valid until the next read from st
 *
 * Returns 0, or -EMSGSIZE: longer than max; it has been skipped and st is still usable.
 * A last line without a line end is lost: -ENODATA. Pending output is flushed before it waits.
 */
MAY_WAIT int stream_getline(struct stream *st, size_t max, struct span *ret);
bool stream_line_had_bare_lf(const struct stream *st);
/* After -EMSGSIZE: the last bytes, some 20, of the line that was skipped; until the next read. */
struct span stream_long_line_tail(const struct stream *st);

/* At least one byte of input, as much as is buffered; it stays there until stream_consume().
 * Flushes pending output before it waits. */
MAY_WAIT int stream_peek(struct stream *st, struct span *ret);
void stream_consume(struct stream *st, size_t n);
/* Wait until at least `n` bytes are buffered (n at most 64 KiB), then as stream_peek. */
MAY_WAIT int stream_peek_n(struct stream *st, size_t n, struct span *ret);

/* Exactly n bytes. */
MAY_WAIT int stream_read(struct stream *st, void *buf, size_t n);

/* Bytes that are buffered or in the TLS layer: readable without waiting. */
size_t stream_buffered(const struct stream *st);
/* Throw away buffered plaintext (RFC 3207 section 4.2); returns how many bytes there were. */
size_t stream_discard_input(struct stream *st);
/* True when the peer has closed or the connection failed; does not wait, reads nothing away. */
bool stream_peer_gone(struct stream *st);

/* ---- writing (buffered; flushed by stream_flush, by reads that wait, or when 64 KiB are pending) ---- */

MAY_WAIT void stream_write(struct stream *st, struct span bytes);
MAY_WAIT void stream_puts(struct stream *st, const char *text);
MAY_WAIT void stream_printf(struct stream *st, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
MAY_WAIT int stream_flush(struct stream *st);            /* 0 or the sticky error */
/* What the connection takes without a wait; not under TLS, where nothing is sent. True: nothing is left. */
bool stream_flush_now(struct stream *st);

/* Send n bytes of file fd from offset; a small file, or under TLS, through the buffer (then flush), else by
 * sendfile, which makes the process ignore SIGPIPE. -EIO: the file is shorter. */
MAY_WAIT int stream_sendfile(struct stream *st, int fd, off_t offset, uint64_t n);

/* ---- layers ---- */

/*
 * Do the TLS handshake on this connection. ssl: a fresh SSL made by lib/tls, its state
 * (accept/connect) set; the stream owns it from now on, also on failure. Buffered plaintext
 * must have been discarded before. 0, or the sticky error; stream_tls_error() has the reason.
 */
MAY_WAIT int stream_start_tls(struct stream *st, SSL *ssl);
/*
 * The same for a server that has to look something up before it can choose its certificate: when the
 * handshake stops for that (SSL_CTX_set_cert_cb), resolve(arg) is called between OpenSSL's calls, so that it
 * may wait. It returns 0 to go on, or a negative errno, which ends the handshake.
 */
MAY_WAIT int stream_start_tls_resolving(struct stream *st, SSL *ssl, int (*resolve)(void *arg), void *arg);
SSL *stream_ssl(const struct stream *st);                /* NULL without TLS */
const char *stream_tls_error(const struct stream *st);   /* "" if none */
/* Send close_notify, if TLS is on, and shut down the writing side. Does not wait for the peer. */
MAY_WAIT void stream_close_write(struct stream *st);

/* ---- descriptors beside bytes (Unix sockets; used by lib/ipc) ---- */

/* Send fd (duplicated at once; the caller keeps his) together with the next byte written. */
void stream_send_fd(struct stream *st, int fd);
/* The next descriptor that has arrived with bytes read so far, or -ENOENT. */
int stream_take_fd(struct stream *st);

#endif
