/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h - one signed-in client, from the answer to its sign-in to its goodbye
 */
#ifndef IMAPD_SESSION_H
#define IMAPD_SESSION_H

#include "conf/conf.h"
#include "io/stream.h"
#include "mailbox/account.h"
#include "progress.h"
#include "sasl/session_front.h"
#include "seqset.h"

enum imap_state {
    IMAP_AUTHENTICATED = 1 << 0,
    IMAP_SELECTED = 1 << 1,
    IMAP_LOGOUT = 1 << 2,
};
#define IMAP_ANY (IMAP_AUTHENTICATED | IMAP_SELECTED)

/* The literal that is an APPEND's message: announced, but not asked for or read yet. */
struct imap_literal {
    bool pending;
    bool sync;              /* the client waits for "+" (RFC 7888 has those that do not) */
    uint64_t size;
};

/* For the log line at the end; names as operators know them. */
struct imap_stats {
    uint64_t in, out, deleted, expunged, hdr_count, hdr_bytes, body_count, body_bytes;
};

/* What a session remembers beyond a command is in parked.c as well, or parking would lose it. */
struct imap {
    const struct params *params;
    struct stream *client;
    struct account *account;
    struct ipc *front;              /* where it can be parked (park.h); NULL: nowhere */
    struct session_front *heard;    /* what it says unasked; NULL: nothing */
    struct span pass;               /* with which it can be woken */
    const char *log_name;           /* "imap(user)<pid><session>" */
    bool relayed;                   /* client is a socket pair to the front */
    bool compressed, compress_next; /* the front compresses, or will when the command is answered (compress.c) */
    bool stays;                     /* it cannot be parked: do not try again */
    uint64_t heard_ms;              /* when the client was last busy with us */
    int64_t linger_ms;              /* a client that says nothing for so long is parked */
    struct mailbox *mb;             /* NULL unless a mailbox is selected */
    enum imap_state state;
    bool uid;                       /* the command has the prefix UID */
    bool by_number;                 /* and yet names messages by number, as UID SEARCH 1:3 does */
    bool condstore;                 /* the client has asked for MODSEQ (RFC 7162 section 3.1) */
    bool qresync;                   /* ... and has enabled VANISHED (section 3.2) */
    bool modseq_held;               /* told a HIGHESTMODSEQ before that of an expunge not told yet (RFC 7162 section 6) */
    bool rev2;                      /* ... IMAP4rev2 (RFC 9051) */
    bool utf8;                      /* ... UTF8=ACCEPT (RFC 6855) */
    const struct capability_masks *masks;   /* whose tables are asked (capability.h); NULL: none */
    uint64_t hidden;                /* capabilities that this client is not told of */
    struct seqset saved;            /* UIDs of the result that "$" stands for (RFC 5182) */
    size_t late_room;               /* names of files are to follow before more bytes than these are written (late_names.h); 0: none */
    size_t keywords_told;           /* keywords of mb that the client has been told of with FLAGS */

    struct progress progress;       /* of the command that runs */
    struct str tag;                 /* its tag */
    struct str command;             /* one that holds literals; else it is in the stream's buffer */
    struct imap_literal literal;
    const char *reply_status;       /* "OK", "NO", "BAD": the tagged answer, sent after the ... */
    struct str reply_text;          /* ... untagged ones */
    unsigned bad_commands;          /* in a row */
    struct imap_stats stats;
};

/*
 * Serve a client until it logs out or is gone.
 *
 * sign_in_tag   tag of the command with which it signed in, to be answered; empty: none
 * ret_reason    why it ended, for the log; NULL: it has not, it is parked
 *
 * s holds params, client and account; all else is zero. The caller closes them afterwards;
 * imap_done() releases what else the session has come to own.
 */
MAY_WAIT void imap_serve(struct imap *s, struct span sign_in_tag, const char **ret_reason);
/* The same for one that was parked, as it was then. Without a reason it has parked. */
MAY_WAIT void imap_serve_again(struct imap *s, struct span state, const char **ret_reason);

/* It waits for its client from now on, and may be ended without harm; or it has work. */
void imap_set_idle(struct imap *s, bool idle);
/* The conversation with the front is out of step: the session cannot be parked any more. */
void imap_lose_front(struct imap *s);

/* The counters, as they stand at the end of the line in the log. */
void imap_log_tally(const struct imap *s, struct str *out);
void imap_done(struct imap *s);

#endif
