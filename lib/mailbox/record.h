/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.h - the values of the mailbox index, as bytes (schema: index.h)
 *
 * Numbers are little-endian. A file name is the last field and takes what is left. The decoders accept
 * only what the encoders make, because an index may come damaged from the disk and a
 * name in it becomes a path: -EBADMSG.
 */
#ifndef MAILBOX_RECORD_H
#define MAILBOX_RECORD_H

#include <stdbool.h>

#include "base/str.h"

/* What cur_stamp does not tell */
enum index_touched {
    INDEX_SETTLED,                  /* nothing: cur/ is as it was read */
    INDEX_TOUCHED,                  /* cur/ was changed by us since then, its stamp moved on unread */
    INDEX_UNSETTLED,                /* cur/ was read within the tick of its last change: to be read once more */
};

struct index_mailbox {
    uint32_t uidvalidity, uidnext;
    uint64_t highestmodseq;
    uint64_t new_stamp, cur_stamp;  /* mtime in ns of new/ and cur/ when they were read; 0: read again */
    int64_t scanned;                /* second of the last full reading of cur/ */
    uint32_t touched;               /* enum index_touched */
    uint32_t messages, unseen, deleted, in_new;
    uint64_t size;                  /* sum of vsize */
    struct span dir;                /* directory below the Maildir: "" or ".A.B" */
};

struct index_message {
    uint32_t uid;                   /* from the key */
    uint32_t flags;                 /* enum mail_flags */
    bool in_new;                    /* the file is in new/, else in cur/ */
    uint64_t keywords, modseq, vsize;
    int64_t received;
    struct span file;
};

void record_mailbox_encode(const struct index_mailbox *m, struct str *ret);
int record_mailbox_decode(struct span bytes, struct index_mailbox *ret);    /* dir points into bytes */

void record_message_encode(const struct index_message *m, struct str *ret);
int record_message_decode(struct span bytes, struct index_message *ret);    /* uid is left alone */

#endif
