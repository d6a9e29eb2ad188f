/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message.h - a message, its file read as far as it is needed and at most once
 */
#ifndef IMAPD_MESSAGE_H
#define IMAPD_MESSAGE_H

#include "kept.h"
#include "mail/mime.h"
#include "mailbox/account.h"

struct message_limits {
    size_t mime_depth, mime_parts, addresses;
};

struct message {
    struct mailbox *mb;
    uint32_t seq;
    int fd;                 /* -1: not opened yet, or read to its end */
    bool complete;
    struct str data;        /* from the start, CRLF line ends */
    size_t header_len;      /* with the empty line; SIZE_MAX as long as its end was not seen */
    bool parsed;
    struct mime mime;
    struct message_limits limits;
    struct pace *pace;      /* asked while the file is read and taken apart; NULL: nobody */
    bool looked_up;
    struct str record;      /* what `kept` points into */
    struct kept kept;
    struct mailbox_note *notes; /* made, not written to the index yet */
    size_t n_notes, cap_notes, notes_bytes;
};

void message_init(struct message *m, struct mailbox *mb, struct message_limits limits, struct pace *pace);
void message_done(struct message *m);   /* also writes down what was found out */

/* Go to another message; memory is kept for it unless the last one was large. Nothing is read. */
void message_open(struct message *m, uint32_t seq);

/*
 * What is kept in the index; only if it is not there it is made from the file. Valid until the next
 * message_open(). 0; -ENOENT: expunged meanwhile; -errno; or why the pace has stopped, as with all that follow.
 */
enum message_want {
    KEPT_HEADER = 1 << 0,       /* envelope and header */
    KEPT_STRUCTURE = 1 << 1,
    KEPT_PREVIEW = 1 << 2,
    KEPT_EMAIL_ID = 1 << 3,
    KEPT_IF_THERE = 1 << 4,     /* make nothing for this: only look */
};
int message_kept(struct message *m, unsigned want, const struct kept **ret);

/* The header section with its empty line / the whole; valid until the next message_...() call. 0;
 * -ENOENT: expunged meanwhile; -errno. */
int message_header(struct message *m, struct span *ret);
int message_all(struct message *m, struct span *ret);
/* When the message came into its mailbox: the moment in its file's name, which every copy has anew
 * (SAVEDATE, RFC 8514). False: the name tells none. */
bool message_save_date(struct mailbox *mb, uint32_t seq, int64_t *ret);

/* The tree of parts of the whole. */
int message_mime(struct message *m, const struct mime **ret);

#endif
