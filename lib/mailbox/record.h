/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.h - the values of the mailbox index, as bytes (schema: index.h)
 *
 * Numbers are little-endian. Each value begins with a checksum of the rest (u32). The decoders accept
 * only what the encoders make, because an index may come damaged from the disk and a
 * name in it becomes a path: -EBADMSG.
 *
 * What there is to know of a message in fixed width lies in pages of 32 UIDs, so that
 * opening a mailbox reads a few hundred bytes at a time; its file name lies by itself, and does not
 * change with the flags.
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
    uint32_t expunged;              /* how many expunges are remembered ... */
    uint64_t expunged_since;        /* ... that is all with a modseq greater than this */
    struct span dir;                /* directory below the Maildir: "" or ".A.B" */
};

struct index_message {
    uint32_t uid;                   /* from the key */
    uint32_t flags;                 /* enum mail_flags */
    bool in_new;                    /* the file is in new/, else in cur/ */
    uint64_t keywords, modseq, vsize;
    int64_t received;
    struct span file;
    bool named;                     /* the index has this whole name, not only its base: as it was read */
};

enum { PAGE_MESSAGES = 32 };

struct index_page {
    uint32_t len;
    struct index_message items[PAGE_MESSAGES];  /* by UID, all of one page; without their names */
};

void record_mailbox_encode(const struct index_mailbox *m, struct str *ret);
int record_mailbox_decode(struct span bytes, struct index_mailbox *ret);    /* dir points into bytes */

/* Any bytes, such as the names of keywords */
void record_bytes_encode(struct span content, struct str *ret);
int record_bytes_decode(struct span bytes, struct span *ret);               /* points into bytes */

/*
 * The name of a message's file: the base alone, which stays the same for the life of the message, when place, flags and
 * keywords make the rest of it; else '/' and the whole name, or, as older indexes have it, a whole name with ':' in it.
 */
void record_name_encode(struct span name, bool whole, struct str *ret);
int record_name_decode(struct span bytes, struct span *ret, bool *ret_whole);   /* points into bytes */

/* One path component, at most as long as a file system allows? */
bool record_is_file_name(struct span name);

/*
 * A STORE of many messages whose file names follow when the client has its answer (late.c): what the names still say.
 */
struct late_name {
    uint32_t uid;
    uint32_t flags;                 /* enum mail_flags */
    uint64_t letters;               /* keywords that have a letter */
};
struct late_names {
    uint64_t stamp;                 /* mtime of cur/ as it was left; 0: others have changed it, too */
    struct late_name *items;
    size_t len, cap;
};
void late_names_done(struct late_names *l);
void record_late_encode(const struct late_names *l, struct str *ret);
int record_late_decode(struct span bytes, struct late_names *ret);      /* adds to an empty list */

/* Which page a UID is on, and a page's bytes; it has at least one message. */
uint32_t record_page_of(uint32_t uid);
void record_page_encode(const struct index_page *p, struct str *ret);
int record_page_decode(struct span bytes, uint32_t page, struct index_page *ret);

/* The checksum: finds what disks and crashes do, not what a forger does. */
uint32_t record_sum(struct span bytes);

#endif
