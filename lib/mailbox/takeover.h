/* SPDX-License-Identifier: Apache-2.0 */
/*
 * takeover.h - what Dovecot or Courier know of a mailbox that we see for the first time
 *
 * Dovecot keeps UIDVALIDITY and UIDs in "dovecot-uidlist" (version 3, or 1 of old), Courier in "courierimapuiddb"
 * (as version 1); keyword letters are in "dovecot-keywords" (keyword.c), Courier's keywords in
 * "courierimapkeywords/". A move then costs no client a resynchronisation. The files are read once and left as
 * they are.
 */
#ifndef MAILBOX_TAKEOVER_H
#define MAILBOX_TAKEOVER_H

#include "base/hash.h"
#include "base/str.h"

struct takeover {
    uint32_t uidvalidity, uidnext;
    struct hash by_base;            /* struct takeover_message */
    struct takeover_message *messages;
    size_t len, cap;
    struct str text;                /* the file; names point into it */
};

struct takeover_message {
    struct hash_node node;          /* key: the part of the file name before ":" */
    uint32_t uid;
    uint64_t vsize;                 /* size with CRLF, 0 if not told */
    struct span pop3_uidl;          /* from before Dovecot (saved_uidl.h); mostly NULL */
    uint64_t keywords;              /* Courier's; Dovecot's are letters in the file name */
    uint64_t keywords_age;          /* of which generation they are: Courier has several files, the latest counts */
};

/* Read the mailbox's UID list. 1 found and believable; 0 none; -errno. */
int takeover_load(const char *folder_path, struct takeover *ret);
/* The same from text. False: no such list. Lines that make no sense are skipped, the message is then a new one. */
bool takeover_parse(struct span text, struct takeover *ret);
void takeover_done(struct takeover *t);

/* What is known of a file, or NULL. */
const struct takeover_message *takeover_find(const struct takeover *t, struct span base);

/* Courier's keywords: their names into *names (as in keyword.c), their bits into the messages. */
void takeover_courier_keywords(const char *folder_path, struct takeover *t, struct str *names);
/* The same from text */
void takeover_courier_parse(struct span text, struct takeover *t, struct str *names);

#endif
