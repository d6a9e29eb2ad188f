/* SPDX-License-Identifier: Apache-2.0 */
/*
 * account.h - a user's mailboxes through the index: UIDs, flags, modification sequences
 *
 * One LMDB environment per account (MAILDIR/postern.index/) indexes every mailbox of it. Files are the
 * truth for content, flags letters and existence; the index is a cache of them, except for UIDs, UIDVALIDITY,
 * keywords and modseqs, which are flushed before a client is told of them, and of flags that file names do not tell
 * yet (mailbox_allow_late_names). If it is lost or damaged it is rebuilt under a new UIDVALIDITY. Other programs may change
 * the Maildir at any time; several sessions may have the account open.
 *
 * All calls block (disk) and belong in a one-session process or under offload().
 */
#ifndef MAILBOX_ACCOUNT_H
#define MAILBOX_ACCOUNT_H

#include <stdbool.h>

#include "base/own.h"
#include "base/str.h"
#include "mailbox/maildir.h"

struct account;
struct mailbox;

/*
 * Who wants to know of long work on many messages. writing: `done` of `total` (0: not known); a transaction is open and
 * others wait for its end, so this must not wait. reading: files are read; this may wait, and a negative answer ends the
 * work with that. Either may be NULL.
 */
struct account_watcher {
    void (*writing)(uint32_t done, uint32_t total, void *arg);
    int (*reading)(void *arg);
    void *arg;
};
void account_watch(struct account *a, struct account_watcher watcher);

int account_open(const char *maildir, struct account **ret, struct str *err);
void account_close(struct account *a);
DEFINE_CLEANUP(struct account, account_close);

/* ---- mailboxes by IMAP name (UTF-8, '/' separator, INBOX in any case) ---- */

struct mailbox_info {
    char *name;
    bool selectable;            /* false: only a parent of others */
    bool has_children, subscribed, marked;
    const char *special_use;    /* "\\Sent" ... or NULL */
};
/* All mailboxes, sorted by name; also subscribed names that do not exist (selectable false). */
int account_list(struct account *a, struct mailbox_info **ret, size_t *ret_len);
void account_list_free(struct mailbox_info *l, size_t len);

/* 0; -EEXIST, -ENOENT, -EINVAL (bad name), -EPERM (INBOX). Creating makes missing parents;
 * renaming moves inferiors and keeps UIDVALIDITY and UIDs; renaming INBOX moves its messages (RFC 3501 6.3.5). */
int account_create(struct account *a, struct span name);
int account_delete(struct account *a, struct span name);
/* Give a mailbox that exists a use, "\\Sent" ... (RFC 6154 section 3), instead of one by its name; kept in its directory.
 * -EINVAL: no use that we know; -EEXIST: another mailbox was given this one. */
int account_set_special_use(struct account *a, struct span name, struct span use);
int account_rename(struct account *a, struct span from, struct span to);
/* 0 also when it is so already; -EOVERFLOW: there are `most` subscriptions already. */
int account_subscribe(struct account *a, struct span name, uint32_t most);
int account_unsubscribe(struct account *a, struct span name);
/* Is there a mailbox of this name? One look at the directory. */
bool account_has(const struct account *a, struct span name);
/* The use that a mailbox of this name has if no other was given it, as in struct mailbox_info; NULL: none */
const char *account_use_of_name(struct span name);

struct mailbox_status {
    uint32_t messages, recent, unseen, uidnext, uidvalidity;
    uint64_t highestmodseq, size;
    uint32_t deleted;
    uint64_t id;                /* the same for ever, whatever its name */
};
/* Synchronises with the Maildir first. -ENOENT. */
int account_status(struct account *a, struct span name, struct mailbox_status *ret);

/* Limits and use of all mailboxes (quota.h); -ENOENT: there are no limits. APPEND and COPY are refused with -EDQUOT. */
struct quota;
int account_quota(struct account *a, struct quota *ret);
/* Would so much more be refused? 0 no; -EDQUOT; -errno. */
int account_room(struct account *a, uint64_t bytes, uint64_t messages);

/* ---- one open mailbox: a snapshot that moves only at mailbox_sync() ---- */

struct mail_entry {
    uint32_t uid;
    uint32_t flags;             /* enum mail_flags */
    uint64_t keywords;          /* bit i: mailbox_keyword(mb, i) */
    uint64_t modseq;
    uint64_t vsize;             /* RFC822.SIZE, with CRLF line ends; 0: not known yet, see mailbox_measure */
    int64_t received;           /* INTERNALDATE, seconds */
    bool recent;                /* first session to see it */
    bool expunged;              /* gone on disk; still has its sequence number until the client is told */
    bool foreign;               /* mailbox_store() has met changes by others in it that were not reported */
};

/*
 * COUNTS_FIRST: of many messages only the counters may be there: until mailbox_complete(), which reads the messages as they
 * were at that moment, only the questions down to mailbox_first_unseen() are allowed, and the account is not
 * used otherwise. mailbox_complete: 0 or -errno; the mailbox is to be closed then.
 */
enum mailbox_open_flags { MAILBOX_READ_ONLY = 1 << 0, MAILBOX_COUNTS_FIRST = 1 << 1 };
int mailbox_open(struct account *a, struct span name, unsigned flags, struct mailbox **ret);
bool mailbox_is_complete(const struct mailbox *mb);
int mailbox_complete(struct mailbox *mb);
void mailbox_close(struct mailbox *mb);
DEFINE_CLEANUP(struct mailbox, mailbox_close);

uint64_t mailbox_id(const struct mailbox *mb);
bool mailbox_exists(const struct mailbox *mb);      /* false: it was deleted */
uint32_t mailbox_uidvalidity(const struct mailbox *mb);
uint32_t mailbox_uidnext(const struct mailbox *mb);
uint64_t mailbox_highestmodseq(const struct mailbox *mb);
/* The same, but below that of an expunge which has been seen and not reported yet: up to it, everything is known. */
uint64_t mailbox_told_modseq(const struct mailbox *mb);
bool mailbox_read_only(const struct mailbox *mb);

/* Sequence numbers are 1 .. mailbox_count(). The entry is valid until the next sync. */
uint32_t mailbox_count(const struct mailbox *mb);
uint32_t mailbox_recent(const struct mailbox *mb);
int mailbox_first_unseen(struct mailbox *mb, uint32_t *ret);    /* its sequence number, 0: none. -errno */
size_t mailbox_keywords(const struct mailbox *mb);
const char *mailbox_keyword(const struct mailbox *mb, size_t i);

const struct mail_entry *mailbox_entry(const struct mailbox *mb, uint32_t seq);
/* Sequence number of the message with this UID, 0 if none; and of the first with UID >= uid (count+1 if none). */
uint32_t mailbox_seq(const struct mailbox *mb, uint32_t uid);
uint32_t mailbox_seq_from(const struct mailbox *mb, uint32_t uid);

/*
 * Learn the sizes of messages first .. last (sequence numbers) that have vsize 0, because the program that stored
 * them did not put the size into their names; they are kept in the index. Call it before vsize is used.
 * Reads files; free when all are known.
 */
int mailbox_measure(struct mailbox *mb, uint32_t first, uint32_t last);

enum { KEYWORDS_MAX = 64, KEYWORD_NAME_MAX = 255 };   /* in a mailbox: they are bits of a number; bytes */
/* Bit index of a keyword; made if missing. -EOVERFLOW when KEYWORDS_MAX are in use, -EINVAL: no atom or too long. */
int mailbox_keyword_make(struct mailbox *mb, struct span name);

/*
 * Look at what other sessions, deliveries and programs have done, and report it: expunge is called with the
 * sequence number at that moment, in the order to be sent (only if `allow_expunge`, else such
 * messages stay with expunged = true); flags for changed flags or modseq; exists once if messages were added.
 * Cheap when nothing happened (two stat calls).
 */
struct mailbox_changes {
    void (*expunge)(uint32_t seq, uint32_t uid, void *arg);
    void (*flags)(uint32_t seq, void *arg);
    void (*exists)(uint32_t count, uint32_t recent, void *arg);
    void *arg;
};
int mailbox_sync(struct mailbox *mb, bool allow_expunge, const struct mailbox_changes *report);

/* UIDs, ascending, of messages that were expunged with a modseq greater than this one and are not in the
 * snapshot; if that is too long ago to be remembered, all UIDs below UIDNEXT that are not in it. *ret is the
 * caller's to free. */
struct uid_range {
    uint32_t first, last;
};
int mailbox_vanished(struct mailbox *mb, uint64_t since_modseq, struct uid_range **ret, size_t *ret_len);

/* A descriptor that becomes readable when the mailbox may have changed (inotify); read and sync then. -errno */
int mailbox_watch(struct mailbox *mb);
void mailbox_watch_clear(struct mailbox *mb);   /* read away what made it readable */

/* Change flags of messages given by sequence numbers. mode: add, remove, replace. unchanged_since: messages with a
 * higher modseq are left alone and reported by modified(), which may be NULL; UINT64_MAX: always. Nor is one left alone
 * if only flags were changed that the call does not touch, since the snapshot was taken (RFC 7162 section 3.1.12). */
enum flags_mode { FLAGS_ADD, FLAGS_REMOVE, FLAGS_SET };
int mailbox_store(struct mailbox *mb, const uint32_t *seqs, size_t n, enum flags_mode mode, uint32_t flags,
                  uint64_t keywords, uint64_t unchanged_since,
                  void (*modified)(uint32_t seq, void *arg), void *arg);

/*
 * After mailbox_allow_late_names() the next mailbox_store(), if it is of many messages, returns when the index has their flags, on
 * disk; the names of the files, which tell other programs, follow in mailbox_finish_names(), which the caller owes as soon as the
 * client has its answer. Until then mailbox_sync() looks at the index only. Who comes first finishes: this call,
 * mailbox_close(), or, after a crash and in other sessions, whoever looks at the mailbox. Only if the index is lost before that
 * the flags are as they were. -errno: they will be finished later.
 */
void mailbox_allow_late_names(struct mailbox *mb);
bool mailbox_has_late_names(const struct mailbox *mb);
int mailbox_finish_names(struct mailbox *mb);

/* The name of a message's file without its flags ("base" of maildir_name); other servers made unique-ids of it. 0 or
 * -errno. */
int mailbox_file_base(struct mailbox *mb, uint32_t seq, struct str *ret);

/* Open a message file for reading. The descriptor, or -ENOENT when it was expunged meanwhile. */
int mailbox_open_message(struct mailbox *mb, uint32_t seq);

/*
 * What a session has found out about a message's content and does not want to find out again: bytes that only it
 * understands, kept in the index while the message is there. They are written with the session's next change, or when
 * it closes the mailbox. They may be lost, and may come damaged: who reads them checks them. get: 0; -ENOENT: none;
 * -errno. put replaces; messages that are gone are skipped.
 */
struct mailbox_note {
    uint32_t uid;
    struct str bytes;
};
int mailbox_note_get(struct mailbox *mb, uint32_t seq, struct str *ret);
int mailbox_note_put(struct mailbox *mb, const struct mailbox_note *notes, size_t n);

/* Remove messages with \Deleted (uids NULL: all such; else only those among the UIDs). The effect is seen by
 * the next mailbox_sync(). */
int mailbox_expunge(struct mailbox *mb, const uint32_t *uids, size_t n);
/* Remove messages whatever their flags (POP3). */
int mailbox_remove(struct mailbox *mb, const uint32_t *uids, size_t n);

/* Add a message (APPEND); keywords by name. *ret_uid. The mailbox may be one that is not open. */
int account_append(struct account *a, struct span mailbox, const struct maildir_save *m,
                   const char *const *keywords, uint32_t *ret_uidvalidity, uint32_t *ret_uid);
/* Several, in one step: all or none. */
struct append_message {
    struct maildir_save save;
    const char *const *keywords;    /* NULL-terminated, or NULL */
};
int account_append_all(struct account *a, struct span mailbox, const struct append_message *messages, size_t n,
                       uint32_t *ret_uidvalidity, uint32_t *ret_uids);
/*
 * Add a message in the place of this one of mb, which goes (REPLACE, RFC 8508); the other mailbox may be the same. One
 * step for all who look: a crash leaves at worst both, and nothing is flushed less than with account_append. A quota has
 * to have room for the difference only. -ESTALE: the message to be replaced is gone; nothing has been done.
 */
int mailbox_replace(struct mailbox *mb, uint32_t uid, struct span to, const struct append_message *message,
                    uint32_t *ret_uidvalidity, uint32_t *ret_uid);
/* Copy (hard links where possible) messages of mb to another mailbox; all or nothing. ret_uids[i] is the new UID of
 * seqs[i]. move: also expunge here, in the same step; a crash leaves at worst both. -ENOENT: no such mailbox; -ESTALE: a
 * message is gone. */
int mailbox_copy(struct mailbox *mb, const uint32_t *seqs, size_t n, struct span to, bool move,
                 uint32_t *ret_uidvalidity, uint32_t *ret_uids);

#endif
