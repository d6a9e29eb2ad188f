/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue.h - queue files, format 1, and the directories they live in
 *
 * One message, one file:
 *
 *     fixed header, 64 bytes   magic "PSTQ", version, flags, offsets and sizes, see below
 *     envelope records         type byte, u32 length, bytes (record.def)
 *     content                  raw bytes, CRLF lines, one contiguous run
 *     journal records          appended: what became of recipient N, next retry, ...
 *
 * The header is written last (with content size and end offset), before the flush, so that a file
 * without it is incomplete. A torn journal record at the end is ignored by readers, and cut off by
 * queue_read() when the descriptor is writable. Numbers are little-endian.
 *
 * State by place (each step one rename): tmp/ID being received -> new/ID accepted -> cur/ID qmgr's;
 * hold/ID, corrupt/ID; maildrop/ID left by postdrop (same format, origin local).
 */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include "base/own.h"
#include "base/str.h"
#include "ipc/msg_deliver.h"
#include "ipc/msg_submit.h"

#define QUEUE_ID_MAX 31

enum queue_place { QUEUE_TMP, QUEUE_NEW, QUEUE_CUR, QUEUE_HOLD, QUEUE_CORRUPT, QUEUE_MAILDROP, QUEUE_PLACES };

/* Directory descriptors of a queue. */
struct queue_dirs {
    int fd[QUEUE_PLACES];
};
/* Open those in `places` (bit 1 << place) below queue_directory. Others are -1. */
int queue_dirs_open(const char *queue_directory, unsigned places, struct queue_dirs *ret);
void queue_dirs_close(struct queue_dirs *d);
const char *queue_place_name(enum queue_place p);           /* "tmp", "new", ... */

/* A fresh id: long form (facts: time in base 52, 'z', then a per-process unique part), sortable by time,
 * never reused. */
void queue_id_new(char ret[static QUEUE_ID_MAX + 1]);
/* [0-9A-Za-z]{1,31}? Ids from outside must pass before they are used as a file name. */
bool queue_id_valid(struct span id);
/* Microseconds since the epoch that an id carries. 0, or -EINVAL: it is of another form. */
int queue_id_time(struct span id, int64_t *ret_us);

/* ---- the envelope in memory ---- */

struct queue_rcpt {
    char *address, *orig, *dsn_orcpt;       /* orig, dsn_orcpt: NULL if none */
    uint32_t dsn_notify;
    /* from the journal: */
    enum queue_rcpt_state { RCPT_PENDING, RCPT_SENT, RCPT_DEFERRED, RCPT_BOUNCED, RCPT_REPORTED } state;
    uint32_t attempts;
    char dsn[16];
    uint32_t fate;                          /* enum outcome_fate */
    uint64_t report;                        /* the last one begun that tells of this state; 0: none */
    bool was_delayed;                       /* the sender had been told of the delay before the last attempt */
    char *text, *relay, *remote_mta, *remote_reply;    /* last outcome; NULL if none */
    int64_t last_us;
};

struct queue_envelope {
    char id[QUEUE_ID_MAX + 1];
    int64_t arrival_us;
    uint32_t origin, flags;                 /* enum submit_origin, submit_flags */
    char *sender;                           /* "" null sender */
    uint32_t dsn_ret;
    char *dsn_envid;                        /* NULL if none */
    char *client_name, *client_addr, *helo, *proto, *service, *sasl_method, *sasl_username, *sasl_sender; /* NULL if none */
    char *log_ident;                        /* the id it had before a content filter (XFORWARD); NULL if none */
    uint32_t log_source;                    /* by XFORWARD: 0 not said, 1 local, 2 network */
    char *content_filter;                   /* "transport:destination" that replaces the routes; NULL if none */
    uint32_t client_port;
    uint32_t priority;                      /* RFC 6710's -9 ... 9, SUBMIT_PRIORITY_ZERO added; 0: not given */
    uint64_t uid;
    struct queue_rcpt *rcpts;
    size_t n_rcpts;
    uint64_t content_offset, content_size, journal_offset;
    /* from the journal: */
    int64_t next_retry;                     /* seconds, 0: none recorded */
    uint32_t attempts;                      /* of the message */
    bool expire;                            /* force-expired */
    bool delay_reported;
    uint64_t delay_report;                  /* the last one begun that tells of the delay; 0: none */
};
void queue_envelope_done(struct queue_envelope *e);

/*
 * Does the sender want to be told of that of this recipient (RFC 3461 section 4.1)? Without NOTIFY: of failures
 * and delays. Of a success he is also told who had been told of the delay, if confirm_delay_cleared says so.
 */
bool queue_rcpt_wants(const struct queue_rcpt *r, enum dsn_notify kind);
bool queue_rcpt_wants_success(const struct queue_rcpt *r, bool confirm_delay_cleared);

/* ---- writing ---- */

struct queue_writer;

/*
 * Begin PLACE/ID (in maildrop/: ".ID", until it is published) with the envelope records (from e; recipients
 * included). The file appears when the buffer is full or at queue_commit(), so open(2)'s errors come from
 * those. 0; -EINVAL: no valid id, or no sender; -EMSGSIZE, -ERANGE: a member is larger than record.def allows.
 * d must live as long as the writer.
 */
int queue_create(const struct queue_dirs *d, enum queue_place place, const struct queue_envelope *e,
                 struct queue_writer **ret);
/* Append content; buffered so that a small message costs one write. 0 or -errno, which then stays. */
int queue_write(struct queue_writer *w, struct span bytes);
uint64_t queue_written(const struct queue_writer *w);
/* A file that does not exist yet shall be made in `to` at once: no rename is needed later. Others may then see it
 * before it is complete. */
void queue_aim(struct queue_writer *w, const struct queue_dirs *d, enum queue_place to);
/* Write what is left and the header, flush to disk, close. Not yet renamed. It blocks, so call it by
 * offload(), and queue_publish() in the same call: they touch only *w and descriptors. 0 or -errno. */
int queue_commit(struct queue_writer *w);
/* Rename from its place to `to`, unless it is there. 0: the writer is freed. Else it is still the caller's to abort. */
int queue_publish(struct queue_writer *w, const struct queue_dirs *d, enum queue_place to);
/* Give up: unlink and free. NULL is allowed. */
void queue_abort(struct queue_writer *w);
DEFINE_CLEANUP(struct queue_writer, queue_abort);

/* 0 or -errno. */
int queue_move(const struct queue_dirs *d, enum queue_place from, enum queue_place to, const char *id);
int queue_unlink(const struct queue_dirs *d, enum queue_place place, const char *id);

/* Call fn for each file of a place whose name is a valid id, in no order; stops when fn returns a negative
 * value, and returns it. */
int queue_scan(const struct queue_dirs *d, enum queue_place place, int (*fn)(const char *id, void *arg),
               void *arg);

/* The same in pieces: next gives an id at a time, 1; 0 at the end; or -errno. One thread at a time. */
struct queue_walk;
int queue_walk_new(const struct queue_dirs *d, enum queue_place place, struct queue_walk **ret);
int queue_walk_next(struct queue_walk *w, char ret[static QUEUE_ID_MAX + 1]);
void queue_walk_free(struct queue_walk *w); /* NULL is allowed */
DEFINE_CLEANUP(struct queue_walk, queue_walk_free);

/* ---- reading: input may be a damaged file, so everything is bounded and checked ---- */

struct queue_limits {
    uint64_t max_envelope;      /* bytes of envelope records */
    uint64_t max_rcpts;
    uint64_t max_journal;
};
extern const struct queue_limits queue_default_limits;

/* Open PLACE/ID; oflags: O_RDONLY, or O_RDWR for journalling. The descriptor or -errno. */
int queue_open(const struct queue_dirs *d, enum queue_place place, const char *id, int oflags);
/* Read envelope and journal of an open file. 0; -EBADMSG: not a complete queue file (*err says what; err may be
 * NULL), else -errno. *ret is written only on success. */
int queue_read(int fd, const char *id, const struct queue_limits *l, struct queue_envelope *ret, struct str *err);

/*
 * Compare the content with the sum in the header. 0, -EBADMSG, or -errno. For a file found in tmp/ or new/ after a
 * crash: it may have a header and still have holes, if the power failed before its flush had ended.
 */
int queue_verify(int fd);

/* ---- journal: each call appends one record (a single write); 0 or -errno, nothing is left behind then ---- */
int journal_outcome(int fd, const struct outcome *o, int64_t now_us);
int journal_retry(int fd, int64_t next_retry, uint32_t attempts);
int journal_reported(int fd, uint32_t first_rcpt, uint32_t n);      /* their failure has been reported */
int journal_delay_reported(int fd);
int journal_expire(int fd);
/*
 * A report of all that have failed (or were delivered, or wait: kind, an enum report_kind) so far is begun, under a number that no
 * other report of this message has; and: it is in the queue, so that they are reported. See docs/bounces.md.
 */
int journal_report_begun(int fd, uint64_t number, uint32_t kind);
int journal_report_queued(int fd, uint64_t number);

/* Visit every record of envelope and journal with its offset, for postcat; type names from record.def ("unknown"
 * for others). 0; -EBADMSG at the first place that is no record; or the negative value that fn stopped it with. */
int queue_dump(int fd, int (*fn)(uint64_t offset, int type, const char *type_name, struct span bytes, void *arg),
               void *arg);
/* Append what postcat shows of a record: "sender: ann@example.com", "named_attribute: service=smtp". */
void queue_record_print(int type, struct span bytes, struct str *ret);

#endif
