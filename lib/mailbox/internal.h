/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal.h - what the files behind account.h share: accounts, folders, the snapshot of an open mailbox
 */
#ifndef MAILBOX_INTERNAL_H
#define MAILBOX_INTERNAL_H

#include "mailbox/account.h"
#include "mailbox/index.h"

#define FOLDER_ID_FILE "postern-mailbox"    /* in each mailbox's directory: 16 hex digits and LF */

#define SPECIAL_USE_FILE "postern-special-use"  /* in the directory of a mailbox that was given a use: "\\Sent" and LF */

struct account {
    char *maildir;
    struct index *index;
    struct account_watcher watcher;
    size_t late_min;            /* a STORE of so many messages may leave names of files for later (late.c) */
};

/* Some of the work on many messages is done, within a transaction. */
static inline void account_written(const struct account *a, size_t done, size_t total)
{
    if (a->watcher.writing)
        a->watcher.writing((uint32_t)done, (uint32_t)total, a->watcher.arg);
}

/* A mailbox on disk: its directory and its key in the index. */
struct folder {
    struct str dir;             /* "" or ".A.B" */
    struct str path;            /* absolute */
    uint64_t id;
    uint64_t new_seen, cur_seen;    /* stamps of directories that we have read, found nothing in, and not written down */
};
#define FOLDER_INIT ((struct folder){ STR_INIT, STR_INIT, 0, 0, 0 })
void folder_done(struct folder *f);

/* Find a mailbox and see that the index has a record of it. -EINVAL bad name, -ENOENT. (folder.c is names only.) */
int folder_open(struct account *a, struct span name, struct folder *ret);

/* The number in a folder's directory. -ENOENT if it has none, or none that can be read. */
int folder_read_id(const char *folder_path, uint64_t *ret);

/*
 * Another session may have renamed the mailbox since f was opened, and somebody may have made a new one under its old
 * name: go to the directory that the index has for it. Before files are touched, in the transaction mb was read in:
 * a rename is done under the writer's lock.
 */
void folder_follow(const struct account *a, struct folder *f, const struct index_mailbox *mb);

/* An error of the index: a damaged one is put aside. Returns r. */
int account_check(struct account *a, int r);

struct uid_list {
    uint32_t *items;
    size_t len, cap;
};
void uid_list_done(struct uid_list *l);

/*
 * Make the index agree with the directories (scan.c), if they have changed since they were read. take: move messages
 * from new/ to cur/; their UIDs are added to *recent. full: read cur/ although it looks unchanged, if it is
 * long ago (see record.h, `touched`). Durable before it returns.
 */
int folder_refresh(struct account *a, struct folder *f, bool take, bool full, struct uid_list *recent);

/* Has the machine been started since cur/ was read? Until that is done no UID may be given. */
bool folder_restarted(const struct index_mailbox *rec);

/*
 * Begin to write a mailbox of which no name of a file is late: what is, is made good first. *ret: its record, `dir` as in
 * the transaction; the folder has followed it.
 */
int folder_begin_write(struct account *a, struct folder *f, struct index_txn *t, struct index_mailbox *ret);
/* Are there late names? 1, 0, -errno */
int folder_has_late_names(struct index_txn *t, const struct folder *f, const struct index_mailbox *rec);
/* Rename the files that a STORE has left (late.c), in a transaction of its own. */
int folder_finish_names(struct account *a, struct folder *f);

/* mtime of a directory below the folder in ns; 0 if there is none. */
uint64_t folder_stamp(const struct folder *f, const char *sub);
/* A stamp to be trusted, or 0 when the directory may still change within the same tick. */
uint64_t folder_settled(uint64_t stamp);

/* Around changes of our own in cur/, within a write transaction: so that they do not cost a reading of it. */
struct touch {
    bool known;
};
struct touch folder_touch_begin(const struct folder *f, const struct index_mailbox *mb);
void folder_touch_end(const struct folder *f, struct touch t, struct index_mailbox *mb);

/*
 * Where the file of m is now, if another program has renamed it: *file gets its name, *in_new the
 * directory. 1 found, 0 it is gone, -errno.
 */
int folder_find_file(const struct folder *f, struct span base, struct str *file, bool *in_new);
const char *folder_sub(const struct index_message *m);      /* "new" or "cur" */

/* ---- keywords (keyword.c): names ended by NUL, one after the other, in the order of bits ---- */
#define KEYWORDS_LETTERS 26     /* those that have a letter in the file name */
#define KEYWORDS_IN_NAME (((uint64_t)1 << KEYWORDS_LETTERS) - 1)

size_t keywords_count(struct span names);
const char *keywords_name(struct span names, size_t i);
/* Bit of a name; added when missing. -EOVERFLOW; -EINVAL: not an atom of RFC 3501, or too long. *added is set then. */
int keywords_bit(struct str *names, struct span name, bool *added);
void keywords_letters(uint64_t bits, char ret[static 27]);
uint64_t keywords_bits(const char *letters);
/* The file "dovecot-keywords" in the mailbox's directory, by which other programs know the letters, and by which
 * names survive the loss of the index. */
void keywords_file_read(const char *folder_path, struct str *names);
int keywords_file_write(const char *folder_path, struct span names);

/* Write a small file in one step: under another name, flushed, renamed. */
int write_file(const char *path, struct span bytes);
/* Read one of at most max bytes. -EFBIG, -errno. */
int read_file(const char *path, size_t max, struct str *ret);

/* ---- an open mailbox ---- */

#define WATCH_DIRS 2 /* new/ and cur/ */

/* Notes that wait for the session's next write */
struct pending_notes {
    struct mailbox_note *items;
    size_t len, cap, bytes;
};
void pending_notes_done(struct pending_notes *p);
/* Put and forget them: in a transaction that writes anyway, or in one of their own. */
int pending_notes_put(struct mailbox *mb, struct index_txn *t);
int pending_notes_write(struct mailbox *mb);

struct mailbox {
    struct account *account;
    struct folder folder;
    struct str name;            /* by which it was opened */
    bool read_only;
    bool may_be_late;           /* our next STORE may leave names ... */
    bool late;                  /* ... and the last one has, for mailbox_finish_names() */
    uint32_t uidvalidity, uidnext;
    uint64_t highestmodseq;     /* the snapshot has seen all changes up to it */
    struct str keywords;        /* as in the index */
    const char **keyword_names; /* into `keywords` */
    size_t n_keywords;
    uint64_t keyword_mask;      /* bits that have a name */
    struct mail_entry *entries; /* by UID */
    uint32_t len, cap, n_expunged, n_recent;
    uint64_t first_untold;      /* the least modseq of those n_expunged; 0: none */
    struct index_txn txn;       /* until it is complete: the moment of which the entries are read */
    uint32_t promised, unseen, in_new; /* counters of that moment */
    struct uid_list recent;     /* taken from new/ when it was opened; until it is complete */
    struct pending_notes pending;   /* see note.c */
    int watch_fd;               /* -1: nobody waits; see watch.c */
    int watch_dirs[WATCH_DIRS];
};

/* mailbox_open() without a look at the directories: as the index knows it. */
int mailbox_load(struct account *a, struct span name, unsigned flags, struct mailbox **ret);

void mailbox_watch_init(struct mailbox *mb);
void mailbox_watch_end(struct mailbox *mb);
/* Tell those who watch the directories of a change that none of them shows. */
void folder_announce(const struct folder *f);
int mailbox_watch_signal(struct mailbox *mb); /* the way without inotify; a descriptor or -errno */

void mailbox_set_keywords(struct mailbox *mb, struct str *names);    /* takes *names */
int mailbox_append_entries(const struct index_message *m, uint32_t n, void *mailbox);
void mailbox_mark_recent(struct mailbox *mb, const struct uid_list *recent);

/* Assign a UID and put a message that is in cur/ or new/ already (write transaction); m->uid and m->modseq are set. */
int folder_add_message(struct index_txn *t, uint64_t id, struct index_mailbox *rec, uint64_t modseq,
                       struct index_message *m);

/* Remove a message within a write transaction: its file, and its place in the index. cur_fd: the directory cur/, by which
 * that is faster; -1: not open. -ENOENT: it is gone already. */
int folder_expunge(struct index_txn *t, const struct folder *f, int cur_fd, struct index_mailbox *rec, uint64_t modseq,
                   uint32_t uid);
/* The size of one, as a quota counts it */
int folder_message_size(struct index_txn *t, const struct folder *f, uint32_t uid, uint64_t *ret);

#endif
