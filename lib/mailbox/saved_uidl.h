/* SPDX-License-Identifier: Apache-2.0 */
/*
 * saved_uidl.h - POP3 unique-ids that the server before us gave and that no format makes again
 *
 * Courier's POP3 server numbers messages on its own ("courierpop3dsizelist"), and a Dovecot that was itself a successor
 * keeps ids in its UID list ("P" fields). At first contact they are copied to a file of ours in INBOX's directory,
 * so that they last longer than the files of those servers:
 *
 *     UID12-1275660208 1276528487.M364837P9451.host,S=1355      unique-id, file name without flags
 */
#ifndef MAILBOX_SAVED_UIDL_H
#define MAILBOX_SAVED_UIDL_H

#include "base/hash.h"
#include "base/str.h"

struct takeover;

struct saved_uidl {
    struct hash_node node;  /* key: file name without flags */
    struct span id;         /* printable ASCII, 1 to 70 bytes (RFC 1939 section 7) */
};

struct saved_uidls {
    struct str text;        /* the file; names and ids point into it */
    struct hash by_base;
    struct saved_uidl *items;
    size_t len, cap;
};
#define SAVED_UIDLS_INIT ((struct saved_uidls){ .text = STR_INIT, .by_base = HASH_INIT })

/* Write down what is known of a mailbox; list: its UID list (takeover.h), which may be empty. If there is nothing, no file
 * is made. 0 or -errno. */
int saved_uidls_write(const char *folder_path, const struct takeover *list);

/* What was written down; none is no error. Lines that make no sense are skipped. 0 or -errno; ret is the caller's to
 * release in both cases. */
int saved_uidls_load(const char *folder_path, struct saved_uidls *ret);
void saved_uidls_done(struct saved_uidls *l);

/* Empty: the message has none. */
struct span saved_uidls_find(const struct saved_uidls *l, struct span base);

/* Lines of our file from Courier's list. */
void saved_uidls_parse_courier(struct span text, struct str *ret);

#endif
