/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipc.h - messages between processes: named fields and descriptors over a Unix socket
 *
 * On the wire a message is
 *
 *     u32 length of what follows (network order)
 *     type name NUL
 *     { field name NUL  u32 length  bytes } ...      numbers in decimal text
 *
 * so that a trace can be read with the naked eye and nothing needs quoting. A
 * shape declares a message once, for both ends. The receiver mistrusts the
 * sender: every field exactly once, in range, nothing else.
 *
 * A conversation is a plain sequence of messages over a kept connection; bulk
 * bytes (message content) travel between messages as chunks: u32 length, bytes;
 * length 0 ends the run.
 */
#ifndef IPC_IPC_H
#define IPC_IPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/own.h"
#include "base/span.h"
#include "base/str.h"
#include "io/stream.h"

enum ipc_kind { IPC_KIND_END, IPC_KIND_U32, IPC_KIND_U64, IPC_KIND_STR, IPC_KIND_DYN };

struct ipc_field {
    enum ipc_kind kind;
    const char *name;
    size_t offset;
    uint64_t max;           /* greatest number; for text most bytes (STR: array size - 1) */
};

struct ipc_shape {
    const char *type;
    size_t size;            /* of the struct */
    const struct ipc_field *fields;
};

/* u32/u64: at most max. STR: char[] member, terminated, no NUL inside. DYN: struct str member,
 * any bytes, at most max; it must be initialised before ipc_recv, and the owner of the struct calls ipc_msg_done. */
#define IPC_U32(s, f, m) { IPC_KIND_U32, #f, offsetof(struct s, f), (m) }
#define IPC_U64(s, f, m) { IPC_KIND_U64, #f, offsetof(struct s, f), (m) }
#define IPC_STR(s, f)    { IPC_KIND_STR, #f, offsetof(struct s, f), sizeof(((struct s *)0)->f) - 1 }
#define IPC_DYN(s, f, m) { IPC_KIND_DYN, #f, offsetof(struct s, f), (m) }
#define IPC_END          { IPC_KIND_END, NULL, 0, 0 }

/* Free the DYN members of a message and make them empty; for _cleanup_: NAME_msg_done(). */
void ipc_msg_done(const struct ipc_shape *shape, void *msg);

/* Define `name_shape` and `name_msg_done` for `struct name`: IPC_SHAPE(submit_result, IPC_U32(...), ..., ) */
#define IPC_SHAPE(name, ...)                                                                       \
    static const struct ipc_field name##_fields[] = { __VA_ARGS__ IPC_END };                       \
    static const struct ipc_shape name##_shape = { #name, sizeof(struct name), name##_fields };    \
    __attribute__((unused)) static inline void name##_msg_done(struct name *msg)                   \
    {                                                                                              \
        ipc_msg_done(&name##_shape, msg);                                                          \
    }                                                                                              \
    struct name

struct ipc;

struct ipc *ipc_new(struct stream *st); /* takes st; never NULL */
void ipc_free(struct ipc *c);           /* NULL is allowed */
DEFINE_CLEANUP(struct ipc, ipc_free);
struct stream *ipc_stream(struct ipc *c);

/* ---- sending: buffered, errors are sticky in the stream ---- */
MAY_WAIT void ipc_send(struct ipc *c, const struct ipc_shape *shape, const void *msg);
/* Send a short message at once and without a wait, so that several fibers may do it while another one reads. What
 * ipc_send() has still in its buffer comes later. 0, or negative: a peer that does not read what it is sent is hung up on. */
int ipc_send_now(struct ipc *c, const struct ipc_shape *shape, const void *msg);
void ipc_send_fd(struct ipc *c, int fd);              /* with the next message; the caller keeps his */
MAY_WAIT void ipc_send_chunk(struct ipc *c, struct span bytes);  /* empty: end of the run */
MAY_WAIT int ipc_flush(struct ipc *c);

/* ---- receiving; pending output is flushed before a wait ---- */

/* Wait for the next message and tell its type (valid until the next call). 0; -ENODATA at the end
 * of the connection; -EPROTO malformed; or the stream's error. The message stays to be received. */
MAY_WAIT int ipc_peek_type(struct ipc *c, struct span *ret);
/* The same for a server: between two requests it is marked idle, so that draining ends it (-ECANCELED). The first one is
 * awaited even then, since whoever connects asks at once. */
MAY_WAIT int ipc_wait_request(struct ipc *c, struct span *ret);

/* Receive a message of this shape. 0; -EPROTO: another type, a field missing, twice, unknown or out
 * of range (*msg is then undefined but its DYN members are valid); or the stream's error. */
MAY_WAIT int ipc_recv(struct ipc *c, const struct ipc_shape *shape, void *msg);
int ipc_recv_fd(struct ipc *c, int *ret_fd);          /* came with the message received; the caller's */
/* The next chunk of a run, at most 64 KiB at a time, valid until the next call; *ret empty at its end. */
MAY_WAIT int ipc_recv_chunk(struct ipc *c, struct span *ret);

/* ---- reaching a service ---- */

/*
 * Connect to a service of this instance by its master.cf name ("cleanup").
 * A daemon can reach only services whose descriptors master handed it (the
 * caller table, callers.h); a tool goes by path under queue_directory,
 * set with ipc_set_directory(). 0; -EACCES: not in the caller table; -ENOENT,
 * -ECONNREFUSED: the suite is down; -ETIMEDOUT.
 */
MAY_WAIT int ipc_connect(const char *service, uint64_t deadline, struct ipc **ret);
void ipc_set_directory(const char *queue_directory);

/*
 * Kept connections to one service, shared by the fibers of a process. get
 * gives an idle one that still lives, or a new one; put gives it back after a
 * complete exchange (a failed stream is freed instead). idle_ms: closed after
 * this long unused (checked at get and put).
 */
struct ipc_pool;
struct ipc_pool *ipc_pool_new(const char *service, int64_t idle_ms, size_t max_idle);
void ipc_pool_free(struct ipc_pool *p);
MAY_WAIT int ipc_pool_get(struct ipc_pool *p, uint64_t deadline, struct ipc **ret);
void ipc_pool_put(struct ipc_pool *p, struct ipc *c);
/* True if c had served an exchange before this one: a failure before any reply may then only mean
 * that the server retired it, and a request that was not acted on may be repeated on a new one. */
bool ipc_was_kept(const struct ipc *c);

#endif
