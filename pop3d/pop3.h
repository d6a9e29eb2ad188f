/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pop3.h - a POP3 session in the TRANSACTION state (RFC 1939 section 5)
 *
 *     main.c       what the process is
 *     session.c    from "+OK Logged in." to the UPDATE state
 *     command.c    the commands
 *     maildrop.c   the snapshot of INBOX that the client sees
 *     uidl.c       unique-ids in the form of this or another server
 *     retrieve.c   a message on the wire: CRLF, dot-stuffing
 */
#ifndef POP3D_POP3_H
#define POP3D_POP3_H

#include "io/stream.h"
#include "mailbox/account.h"
#include "mailbox/saved_uidl.h"
#include "sasl/session_front.h"

/* ---- maildrop.c ---- */

/* Numbers and sizes as they were at the beginning; messages that come later are not in it. */
struct maildrop {
    struct account *account;
    struct mailbox *mailbox;
    struct saved_uidls saved;
    bool *deleted, *retrieved;  /* by number - 1 */
    uint32_t count, n_deleted;
    uint64_t size;              /* of all */
    uint64_t deleted_size;
};

/* Open INBOX. 0, or negative with *err. */
int maildrop_open(struct maildrop *d, const char *maildir, struct str *err);
void maildrop_done(struct maildrop *d);

bool maildrop_is_deleted(const struct maildrop *d, uint32_t number);
uint64_t maildrop_size(const struct maildrop *d, uint32_t number);
void maildrop_delete(struct maildrop *d, uint32_t number);
void maildrop_reset(struct maildrop *d);
/* The unique-id: the one that the message came with from another server (mailbox/saved_uidl.h), else by a format of uidl.h. The
 * same in every session. */
void maildrop_uidl(const struct maildrop *d, uint32_t number, const char *format, struct str *ret);
/* The client has it: \Seen when the session ends (maildrop_update). */
void maildrop_retrieved(struct maildrop *d, uint32_t number);
/* Descriptor, or -ENOENT: another session has removed the message. */
int maildrop_read(struct maildrop *d, uint32_t number);
/* Mark as \Seen what was retrieved. */
int maildrop_mark_seen(struct maildrop *d);
/* Remove what is marked (UPDATE state). */
int maildrop_update(struct maildrop *d);

/* ---- session.c ---- */

struct pop3 {
    struct stream *client;
    struct session_front *heard;    /* what its front says unasked; NULL: nothing */
    const char *uidl_format;    /* pop3_uidl_format */
    const char *mechanisms;     /* auth_mechanisms; NULL: none */
    bool tls;
    bool keep_flags;            /* pop3_no_flag_updates */
    size_t line_limit;          /* pop3_line_limit */
    unsigned bad_limit;         /* imap_bad_command_limit */
    int64_t timeout_ms;         /* pop3_timeout; 0: none */
    struct maildrop drop;
    bool quit, failed;
    unsigned bad_commands;
    uint32_t n_top, n_retr;
    uint64_t top_bytes, retr_bytes;
};

/* Serve the client until it leaves. maildir: of INBOX. *why: how it ended, for the log. */
MAY_WAIT void pop3_serve(struct pop3 *s, const char *maildir, const char **why);
void pop3_done(struct pop3 *s);

/* ---- command.c ---- */

/* Run one command line and answer it. */
MAY_WAIT void pop3_command(struct pop3 *s, struct span line);

/* ---- retrieve.c ---- */

/*
 * Send the message behind fd with CRLF line ends, dots stuffed, and the final ".". body_lines: how
 * many lines after the header section (TOP), UINT64_MAX for all. Returns the bytes sent, or a
 * read error; then the answer is incomplete and the connection is of no more use.
 */
MAY_WAIT int64_t retrieve(struct stream *client, int fd, uint64_t body_lines);

#endif
