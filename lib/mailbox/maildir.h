/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maildir.h - Maildir++ on disk: delivery, names, listing
 *
 * Lines are stored with LF, as other Maildir programs expect; readers give CRLF (and accept
 * files that hold CRLF). Names are "time.MuniquePpid.host,S=size,W=crlf-size:2,FLAGS". Mailbox "A/B"
 * is the folder ".A.B" (separator '.', Maildir++), INBOX the Maildir itself.
 */
#ifndef MAILBOX_MAILDIR_H
#define MAILBOX_MAILDIR_H

#include <sys/types.h>

#include "base/str.h"

/* Message flags; the letters are those of the Maildir name. */
enum mail_flags {
    MAIL_DRAFT = 1 << 0,    /* D */
    MAIL_FLAGGED = 1 << 1,  /* F */
    MAIL_PASSED = 1 << 2,   /* P, $Forwarded */
    MAIL_ANSWERED = 1 << 3, /* R */
    MAIL_SEEN = 1 << 4,     /* S */
    MAIL_DELETED = 1 << 5,  /* T */
};

struct maildir_save {
    int content_fd;                 /* message bytes are read from here ... */
    uint64_t offset, size;          /* ... CRLF lines, turned into LF */
    struct span head;               /* its first bytes, if the caller has read them already; else empty */
    struct span prepend;            /* header lines to put in front (Return-Path ...), LF or CRLF line ends */
    int64_t received;               /* INTERNALDATE: becomes the file's mtime; 0: now */
    unsigned flags;                 /* enum mail_flags; not 0 or `keywords` not empty: goes to cur/ */
    const char *keywords;           /* letters a-z of the name, NULL if none */
    uint64_t max_size;              /* 0: none; else -EFBIG */
};

/*
 * Store one message durably: tmp/, flush, rename to new/ (or cur/). Creates the Maildir (0700) if
 * missing. Blocking; runs as the mailbox owner. *ret_name: its base name. If the Maildir is on another
 * device than content_fd the directory is flushed too; on the same one the file system orders it.
 */
int maildir_deliver(const char *maildir, const struct maildir_save *m, struct str *ret_name);
int maildir_create(const char *maildir);

/* Remove what deliveries that were killed have left in tmp/ (maildir(5): files older than 36 hours). */
void maildir_sweep(const char *maildir);

/* Parts of a file name. */
struct maildir_name {
    struct span base;               /* up to ':' : identifies the message for ever */
    unsigned flags;
    char keywords[27];              /* letters */
    uint64_t size, vsize;           /* S=, W=; 0 if not given */
};
void maildir_name_parse(struct span file, struct maildir_name *ret);
/* base + ":2," + letters in order */
void maildir_name_make(struct span base, unsigned flags, const char *keywords, struct str *ret);

/* IMAP name (UTF-8, separator '/') <-> directory below the Maildir ("" for INBOX, ".A.B"), stored in
 * modified UTF-7 as Dovecot does. -EINVAL: name not allowed; -ENAMETOOLONG: the directory's name would be longer than 255
 * bytes. */
int maildir_folder_dir(struct span mailbox, struct str *ret);
int maildir_folder_name(struct span dir, struct str *ret);
/* The directory that should be there instead of one whose name is plain UTF-8 and no modified UTF-7. -EINVAL: it is no such. */
int maildir_folder_dir_of_utf8(struct span dir, struct str *ret);

/* Read a stored message as the client shall see it: CRLF line ends. Appends to ret; max: -EFBIG. */
int maildir_read_crlf(int fd, uint64_t max, struct str *ret);

#endif
