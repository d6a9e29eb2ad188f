/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.h - the mailbox index of an account: one LMDB environment, MAILDIR/postern.index/
 *
 * Schema, version 2. One tree; the first byte of a key says what it is, numbers in keys are
 * big-endian so that they sort; `id` is the mailbox's own random number, which lies in its directory
 * (file postern-mailbox) and so follows it through renames. Values: record.h.
 *
 *     key                        value
 *     'a'                        "Postern index", version u32, greatest UIDVALIDITY given so far u32
 *     'b' id:8                   mailbox: UIDVALIDITY, UIDNEXT, HIGHESTMODSEQ, stamps, counters, directory
 *     'c' id:8 modseq:8 page:4   nothing: a page, by the greatest modseq in it
 *     'd' id:8 uid:4             note: what a session has found out about the content of a message (account.h)
 *     'k' id:8                   keywords in the order of their bits, each ended by NUL; every mailbox has it
 *     'l' id:8                   late names: what names of files still say that follow their flags later (late.c); mostly missing
 *     'm' id:8 uid:4             the message's file name, as a rule without its flags: those are in 'p'
 *     'n' id:8 base              uid u32: the message by the base of its file name
 *     'p' id:8 page:4            messages of 32 UIDs: flags, modseq, size, date
 *     'x' id:8 modseq:8 uid:4    nothing: an expunged message
 *
 * Every message has exactly one 'm', one 'n', its place on a 'p', and at most one 'd'; an expunged one has an 'x'
 * alone, and the oldest of these are forgotten when there are more than INDEX_EXPUNGED_MAX.
 * The counters of 'b' are kept by index_message_put and index_message_delete.
 *
 * LMDB admits one writer at a time over all processes, and readers see the last commit. A durable
 * commit is on disk when it returns. -EBADMSG from any call: damaged; index_discard() it. LMDB trusts its
 * pages: some damage ends the process by a signal, and index.c sees to it that the next session starts anew.
 */
#ifndef MAILBOX_INDEX_H
#define MAILBOX_INDEX_H

#include <lmdb.h>

#include "base/own.h"
#include "mailbox/record.h"

#define INDEX_DIRECTORY "postern.index"
#define INDEX_VALIDITY_FILE "postern-uidvalidity"   /* beside it: the greatest UIDVALIDITY of the account (index_validity.c) */

/* Expunges that are remembered for QRESYNC, in a mailbox; whoever was away for more hears of every UID that is not
 * there. 2 MB at most. */
#define INDEX_EXPUNGED_MAX 20000

struct index;

/* Open or create. One that is damaged or of another version is put aside, and a new one made. */
int index_open(const char *maildir, struct index **ret);
void index_close(struct index *x);
DEFINE_CLEANUP(struct index, index_close);
/* Put a damaged index aside, so that the next index_open() makes a new one; unless another session has done
 * so. Sessions that have it open can read the old one until they end; a change is refused (-EBADMSG). */
void index_discard(struct index *x);
/* It has failed in a way that damage can look like: whoever opens it next reads all of it first, and puts it aside if
 * it is not sound. */
void index_doubt(struct index *x);

struct index_txn {
    struct index *index;
    MDB_txn *txn;
    MDB_dbi db;
    struct index_kept_page *kept;   /* index_parts.h */
    struct index_arrivals *arrivals;    /* what is counted in, and not in the tree; NULL: nothing */
    bool has_taken_in;              /* arrivals: they are in this transaction */
};
#define INDEX_TXN_INIT ((struct index_txn){ .txn = NULL })

int index_begin_read(struct index *x, struct index_txn *ret);
int index_begin_write(struct index *x, struct index_txn *ret);
int index_commit(struct index_txn *t, bool durable);    /* ends t, also on failure */
void index_end(struct index_txn *t);                    /* abort, or release a reader; harmless twice */

/*
 * Arrivals: up to INDEX_ARRIVALS_MAX messages, all of one mailbox, that APPEND has stored without a commit (index_arrivals.c). The two
 * functions above put them into the tree first, those that read as well. With these two they stay where they are:
 * index_mailbox_get() counts them in and index_each_arrival() visits them, while nothing else here knows of them, and what was begun by
 * index_begin_arrival() writes nothing but one more.
 */
#define INDEX_ARRIVALS_MAX 32
int index_begin_look(struct index *x, struct index_txn *ret);
int index_begin_arrival(struct index *x, struct index_txn *ret);
/* Is there room for another one, of this mailbox? */
bool index_arrival_fits(const struct index_txn *t, uint64_t id);
/* m: a message that is on disk, with rec->uidnext and rec->highestmodseq + 1, which the record that was read says, but for the stamp of cur/
 * after its arrival. From now on every session sees it. */
int index_arrival_add(struct index_txn *t, uint64_t id, const struct index_mailbox *rec, const struct index_message *m);
/* Does somebody who has seen the mailbox up to these two lack nothing but arrivals? */
bool index_knows_up_to(const struct index_txn *t, uint64_t id, uint32_t uidnext, uint64_t modseq);

/* How many UIDs and modification sequences a power cut can take back: arrivals, and what was given in one commit before them that need not
 * be on disk: as many, and one APPEND. */
#define INDEX_UNFLUSHED_MAX (2 * INDEX_ARRIVALS_MAX + 1)

/* A UIDVALIDITY greater than any that a mailbox of this account has had, also in an index that was lost. It
 * waits for the disk. */
int index_uidvalidity_new(struct index_txn *t, uint32_t *ret);
/* One that was taken over: new ones will be greater. */
int index_uidvalidity_note(struct index_txn *t, uint32_t taken);

/* -ENOENT: no such record. Spans in results point into the database or the transaction: valid until the next write or
 * index_message_get() in this transaction, or its end. */
int index_mailbox_get(struct index_txn *t, uint64_t id, struct index_mailbox *ret);
int index_mailbox_put(struct index_txn *t, uint64_t id, const struct index_mailbox *m);
/* Remove all that belongs to a mailbox. */
int index_mailbox_drop(struct index_txn *t, uint64_t id);

int index_keywords_get(struct index_txn *t, uint64_t id, struct str *ret);
int index_keywords_put(struct index_txn *t, uint64_t id, struct span names);

int index_message_get(struct index_txn *t, uint64_t id, uint32_t uid, struct index_message *ret);
int index_name_get(struct index_txn *t, uint64_t id, struct span base, uint32_t *ret_uid);
/* Does the name that index_message_get() gave lead back to this message? Checksums do not know of keys: with a damaged one, the name
 * of another would be taken for it. 0, or -EBADMSG. */
int index_name_check(struct index_txn *t, uint64_t id, const struct index_message *m);

/* Store m as it is from now on. old: what index_message_get() gave, its name copied; NULL for a new one. m->file has the
 * same base. The name is written only where flags and place do not make it of the base.
 * mb's counters change with it; the caller stores mb. */
int index_message_put(struct index_txn *t, uint64_t id, struct index_mailbox *mb, const struct index_message *old,
                      const struct index_message *m);
/* Forget a message, and remember that it was expunged at `modseq`. */
int index_message_delete(struct index_txn *t, uint64_t id, struct index_mailbox *mb, const struct index_message *old,
                         uint64_t modseq);

/* Remember a UID as expunged at `modseq` that no message has. */
int index_expunged_add(struct index_txn *t, uint64_t id, struct index_mailbox *mb, uint32_t uid, uint64_t modseq);

/* Is it remembered that this one was expunged at this moment? 0, -ENOENT. */
int index_expunged_get(struct index_txn *t, uint64_t id, uint64_t modseq, uint32_t uid);

/* Late names; while there are, cur_stamp of the mailbox is 0. get: adds to an empty list, -ENOENT: there are none. */
int index_late_get(struct index_txn *t, uint64_t id, struct late_names *ret);
int index_late_put(struct index_txn *t, uint64_t id, const struct late_names *l);
int index_late_delete(struct index_txn *t, uint64_t id);

int index_note_get(struct index_txn *t, uint64_t id, uint32_t uid, struct span *ret);
int index_note_put(struct index_txn *t, uint64_t id, uint32_t uid, struct span bytes);

/*
 * Visit messages by UID, without their file names; those of pages on which something has a greater modseq (others are
 * among them); and expunges with a greater modseq. Until fn returns non-zero, which is returned.
 * fn must not write.
 */
typedef int index_visit(const struct index_message *m, void *arg);
int index_each_arrival(const struct index_txn *t, uint64_t id, uint32_t from_uid, index_visit *fn, void *arg);
int index_each_message(struct index_txn *t, uint64_t id, uint32_t from_uid, index_visit *fn, void *arg);
/* As index_each_message(), several at a time. */
typedef int index_visit_run(const struct index_message *m, uint32_t n, void *arg);
int index_each_run(struct index_txn *t, uint64_t id, uint32_t from_uid, index_visit_run *fn, void *arg);
int index_each_changed(struct index_txn *t, uint64_t id, uint64_t after_modseq, index_visit *fn, void *arg);
int index_each_expunged(struct index_txn *t, uint64_t id, uint64_t after_modseq,
                        int (*fn)(uint32_t uid, uint64_t modseq, void *arg), void *arg);

#endif
