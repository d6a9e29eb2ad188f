/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message.h - a message file, read as far as it is needed and at most once
 */
#ifndef IMAPD_MESSAGE_H
#define IMAPD_MESSAGE_H

#include "mail/mime.h"
#include "mailbox/account.h"

struct message_limits {
    size_t mime_depth, mime_parts;
};

struct message {
    int fd;                 /* -1: not open, or read to its end */
    bool complete;
    struct str data;        /* from the start, CRLF line ends */
    size_t header_len;      /* with the empty line; SIZE_MAX as long as its end was not seen */
    bool parsed;
    struct mime mime;
    struct message_limits limits;
};

void message_init(struct message *m, struct message_limits limits);
void message_done(struct message *m);

/* Go to another message; memory is kept for it unless the last one was large. 0; -ENOENT: expunged
 * meanwhile; -errno. */
int message_open(struct message *m, struct mailbox *mb, uint32_t seq);

/* The header section with its empty line / the whole; valid until the next message_...() call. 0 or
 * -errno. */
int message_header(struct message *m, struct span *ret);
int message_all(struct message *m, struct span *ret);
/* The tree of parts of the whole. */
int message_mime(struct message *m, const struct mime **ret);

#endif
