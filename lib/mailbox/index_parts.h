/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_parts.h - what the files behind index.h share: keys, access to one record, pages of messages
 */
#ifndef MAILBOX_INDEX_PARTS_H
#define MAILBOX_INDEX_PARTS_H

#include "mailbox/index.h"

/* ---- messages that are stored and not in the tree yet ---- */

enum { ARRIVALS_SIZE = 10240 };

/* Of which state of which mailbox the arrivals are the continuation; little-endian */
struct arrivals_head {
    uint32_t sum, uidvalidity, uidnext, reserved;
    uint64_t id, highestmodseq;
};

/* A message, its file among the bytes; and what the mailbox's record has after it */
struct arrival {
    struct index_message message;
    uint64_t cur_stamp;
    uint32_t touched;
};

/* The file as it was read last. One transaction at a time looks at it. */
struct index_arrivals {
    int fd;
    struct arrivals_head past;      /* when the file begins like this, nothing in it is new */
    struct arrivals_head head;
    uint32_t len;
    size_t end;                     /* where the next one is written */
    struct arrival items[INDEX_ARRIVALS_MAX];
    char bytes[ARRIVALS_SIZE];
};

/* ---- an open index ---- */

/* A mapping of its own, the paths behind it, and on both sides what nobody can write to */
struct index {
    size_t size;                            /* of what can be written to */
    MDB_env *env;
    MDB_dbi db;
    ino_t inode;                            /* of data.mdb, 0: not known */
    bool checked;                           /* its branches, by this session: before the first write */
    bool unwritten;                         /* a commit could not be written: LMDB goes on strike, what is on disk is whole */
    char *path, *data, *lock;               /* the directory and its files */
    char *aside, *aside_data, *aside_lock, *aside_arrivals; /* where it goes when it is damaged */
    char *doubted;                          /* this file says that it may be */
    char *validity;                         /* the file of the greatest UIDVALIDITY */
    char *arrived;                          /* the file of arrivals */
    struct index_arrivals arrivals;
};

/* ---- damage (index_guard.c) ---- */

/* From now on, a fault of the process puts x aside while it is busy (opened, or in a transaction), and in doubt at other times. */
void index_guard_begin(struct index *x);
void index_guard_busy(struct index *x);
void index_guard_idle(void);
void index_guard_end(struct index *x);
void index_on_assertion(MDB_env *env, const char *text);    /* of LMDB */

/* Somebody has put it aside, or removed it. One stat(2). */
bool index_is_replaced(const struct index *x);

/* Each call of LMDB that follows pages is counted at its beginning and at its end: the number is odd within one. */
extern volatile uint32_t index_calls;
static inline void index_call_begin(void)
{
    index_calls = index_calls + 1;
}
static inline void index_call_end(void)
{
    index_calls = index_calls + 1;
}

/* ---- calls of LMDB, counted ---- */

static inline int index_lmdb_get(struct index_txn *t, MDB_val *key, MDB_val *ret)
{
    index_call_begin();
    int rc = mdb_get(t->txn, t->db, key, ret);
    index_call_end();
    return rc;
}

static inline int index_lmdb_put(struct index_txn *t, MDB_val *key, MDB_val *value)
{
    index_call_begin();
    int rc = mdb_put(t->txn, t->db, key, value, 0);
    index_call_end();
    return rc;
}

static inline int index_lmdb_delete(struct index_txn *t, MDB_val *key)
{
    index_call_begin();
    int rc = mdb_del(t->txn, t->db, key, NULL);
    index_call_end();
    return rc;
}

static inline int index_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *ret, MDB_cursor_op op)
{
    index_call_begin();
    int rc = mdb_cursor_get(cursor, key, ret, op);
    index_call_end();
    return rc;
}

static inline int index_cursor_delete(MDB_cursor *cursor)
{
    index_call_begin();
    int rc = mdb_cursor_del(cursor, 0);
    index_call_end();
    return rc;
}

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
/* The same without the leaves of records: what leads LMDB to pages that it writes. */
int index_check_branches(struct index_txn *t);
/* As index_check(), for a file that nobody writes. */
int index_check_file(int fd, size_t page_size);
/* The two pages at the beginning, which say what LMDB has to map. */
int index_check_header(int fd);

/* ---- messages that are stored and not in the tree yet (index_arrivals.c) ---- */

int arrivals_open(struct index_arrivals *a, const char *path);
void arrivals_close(struct index_arrivals *a);
/* Before the transaction begins in which they are looked at, or within one that writes. 1: there may be some; 0; -errno. */
int arrivals_read(struct index_arrivals *a);
/* t->arrivals is set if there are some, on top of what the index has in this transaction. */
int arrivals_attach(struct index_arrivals *a, struct index_txn *t);
/* Count them into a mailbox's record. */
void arrivals_count(const struct index_txn *t, uint64_t id, struct index_mailbox *rec);
/* Put them where they belong, in a transaction that writes. */
int arrivals_take_in(struct index_txn *t);

/* Count a message into its mailbox's record (1), or out of it (-1). */
void index_count(struct index_mailbox *mb, const struct index_message *m, int sign);

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
