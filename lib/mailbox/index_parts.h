/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_parts.h - what the files behind index.h share: keys, access to one record, pages of messages
 */
#ifndef MAILBOX_INDEX_PARTS_H
#define MAILBOX_INDEX_PARTS_H

#include "mailbox/index.h"

/* ---- keys and records (index_key.c) ---- */

enum { INDEX_KEY_MAX = 1 + 8 + 255 + 1 };

struct index_key {
    size_t len;
    unsigned char bytes[INDEX_KEY_MAX];
};

struct index_key index_key_of(char kind, uint64_t id);
struct index_key index_key_numbered(char kind, uint64_t id, uint32_t n);
struct index_key index_key_modseq(char kind, uint64_t id, uint64_t modseq, uint32_t n);
void index_key_add(struct index_key *k, uint64_t n, unsigned width);
/* The number of `width` bytes at this offset of a key. */
uint64_t index_key_number(const void *bytes, size_t offset, unsigned width);

/* What LMDB says, as -errno; -EBADMSG: damaged. */
int index_errno(int rc);

int index_get(struct index_txn *t, struct index_key *k, struct span *ret);
int index_put(struct index_txn *t, struct index_key *k, struct span bytes);
int index_delete(struct index_txn *t, struct index_key *k);
/* Have the keys on both sides of where LMDB looks for this one, which is perhaps known to be missing, this one between them?
 * 0, or -EBADMSG. */
int index_check_place(struct index_txn *t, const MDB_val *wanted, bool missing);

/* Read all of it (index_check.c). 0: sound as far as LMDB's own structure goes; -EBADMSG; what pread(2) says. In a
 * transaction that writes, and has written nothing, so that nobody else does. */
int index_check(struct index_txn *t);
/* The same for a file that nobody writes. */
int index_check_file(int fd, size_t page_size);

/* ---- the greatest UIDVALIDITY so far (index_validity.c) ---- */

/* The clock reaches it in 2096. One beyond it is damage, or was another program's own idea, and cannot be outdone for long. */
#define INDEX_VALIDITY_MAX 4000000000u

/* Open and lock the file; *ret_greatest is 0 where it has no number. The lock lasts until *ret_fd is closed. */
int index_validity_lock(const char *path, int *ret_fd, uint32_t *ret_greatest);
/* Write a greater one. It is on disk when this returns 0. */
int index_validity_write(int fd, uint32_t n);

/* ---- pages of messages (index_page.c) ---- */

/*
 * A transaction keeps the page that it has looked at last, decoded, and writes it when it turns to another one, or
 * is committed: a command on messages in a row costs an encoding for each 32 of them.
 */
struct index_kept_page {
    bool valid, changed;
    uint32_t number;
    uint64_t id, stored_modseq; /* greatest modseq of the page in the database; 0: it is not there */
    struct index_page page;
    struct str name;        /* of the file of the message that was looked at last */
};
void index_kept_page_free(struct index_kept_page *k);

/* Find, set or remove a message without its name. -ENOENT. The result is valid until the next call on t. */
int index_page_find(struct index_txn *t, uint64_t id, uint32_t uid, const struct index_message **ret);
int index_page_set(struct index_txn *t, uint64_t id, const struct index_message *m);
int index_page_remove(struct index_txn *t, uint64_t id, uint32_t uid);

/* A whole page, len 0 if there is none. Valid until the next call on t. */
int index_page_get(struct index_txn *t, uint64_t id, uint32_t number, const struct index_page **ret);

/* Write the kept page if it was changed: before anything else reads pages, and before the commit. */
int index_page_flush(struct index_txn *t);

#endif
