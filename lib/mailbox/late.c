/* SPDX-License-Identifier: Apache-2.0 */
/*
 * late.c - names of files that follow the flags of a STORE of many messages when the client has its answer
 *
 * Renaming a thousand files takes longer than all else that STORE does. Its index transaction, which is on disk before the
 * client hears of it, holds the flags and, as 'l' (index.h), what the names still say. So nothing depends on who
 * finishes: the session itself a moment later, another one that looks at the mailbox meanwhile, or, after a crash, the next.
 * All that meets names begins with folder_begin_write(), and does not take a late name for another program's change.
 *
 * While names are late the record of the mailbox has no time of cur/, which keeps everybody from believing that
 * nothing has changed, and costs a lookup only then. What another program has made of a file meanwhile stays, but for the
 * flags that the STORE has changed.
 *
 * Runs in: imapd, pop3d, as the mailbox owner. File names are anybody's.
 */
#include "mailbox/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "mailbox/spool.h"

enum { RENAME_ATTEMPTS = 5 };

/* A write transaction that makes names good */
struct finish {
    struct folder *folder;
    struct index_txn txn;
    struct index_mailbox rec;
    struct str dir;
    struct late_names late;
    int cur_fd;
    uint64_t modseq;
    bool told;              /* flags have changed that a client may have been told */
    bool astray;            /* a file is not where it should be: cur/ is to be read */
};

static void finish_done(struct finish *f)
{
    index_end(&f->txn);
    str_free(&f->dir);
    late_names_done(&f->late);
    if (f->cur_fd >= 0)
        close(f->cur_fd);
}

int folder_has_late_names(struct index_txn *t, const struct folder *f, const struct index_mailbox *rec)
{
    _cleanup_(late_names_done) struct late_names late = { .stamp = 0 };
    int r = rec->cur_stamp == 0 ? index_late_get(t, f->id, &late) : -ENOENT;

    return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

int folder_begin_write(struct account *a, struct folder *f, struct index_txn *t, struct index_mailbox *ret)
{
    for (;;) {
        int r = index_begin_write(a->index, t);

        if (r == 0)
            r = index_mailbox_get(t, f->id, ret);
        if (r < 0)
            return r;
        folder_follow(a, f, ret);
        r = folder_has_late_names(t, f, ret);
        if (r <= 0)
            return r;
        index_end(t);
        r = folder_finish_names(a, f);
        if (r < 0)
            return r;
    }
}

/* ---- one name ---- */

/* What may pass leaves the name late. Else it stays as it is: then it is the truth, and will be read. */
static int not_renamed(struct finish *f, int r)
{
    if (r == -ENOSPC || r == -EDQUOT || r == -EIO || r == -ENOMEM)
        return r;
    f->astray = true;
    return 0;
}

/* The name that another program has given the file, as *now, with the changes of the STORE made to it */
static void merge(const struct late_name *l, const struct index_message *m, struct span name, struct index_message *now)
{
    uint64_t letters = (m->keywords ^ l->letters) & KEYWORDS_IN_NAME;
    uint32_t flags = m->flags ^ l->flags;
    struct maildir_name theirs;

    maildir_name_parse(name, &theirs);
    *now = *m;
    now->flags = (theirs.flags & ~flags) | (m->flags & flags);
    now->keywords = (m->keywords & (~KEYWORDS_IN_NAME | letters)) | (keywords_bits(theirs.keywords) & ~letters);
}

static void name_of(struct span base, uint32_t flags, uint64_t keywords, struct str *ret)
{
    char letters[27];

    keywords_letters(keywords, letters);
    maildir_name_make(base, flags, letters, ret);
}

/* m: as the index has it, with a name that lies elsewhere */
static int rename_astray(struct finish *f, const struct late_name *l, const struct index_message *m)
{
    _cleanup_(str_free) struct str name = STR_INIT, path = STR_INIT, to = STR_INIT;
    struct span rest = m->file, base = span_cut(&rest, ':');
    struct index_message now;
    bool in_new;
    int r = -ENOENT;

    for (int attempt = 0; attempt < RENAME_ATTEMPTS && r == -ENOENT; attempt++) {
        r = folder_find_file(f->folder, base, &name, &in_new);
        if (r <= 0)
            return not_renamed(f, r);
        merge(l, m, str_span(&name), &now);
        name_of(base, now.flags, now.keywords, &to);
        const char *from = in_new ? maildir_path(&path, "..", "new", name.data) : name.data;
        r = renameat(f->cur_fd, from, f->cur_fd, to.data) == 0 ? 0 : -errno;
    }
    if (r < 0)
        return not_renamed(f, r);
    if (now.flags == m->flags && now.keywords == m->keywords)
        return 0;
    now.file = str_span(&to);
    now.modseq = f->rec.highestmodseq = f->modseq;
    f->told = true;
    return index_message_put(&f->txn, f->folder->id, &f->rec, m, &now);
}

static int finish_name(struct finish *f, const struct late_name *l)
{
    _cleanup_(str_free) struct str old = STR_INIT, new = STR_INIT;
    struct index_message m;
    int r = index_message_get(&f->txn, f->folder->id, l->uid, &m);

    if (r < 0)
        return r == -ENOENT ? 0 : r; /* expunged meanwhile */
    str_set(&new, m.file);
    m.file = str_span(&new);
    struct span rest = m.file;
    name_of(span_cut(&rest, ':'), l->flags, l->letters, &old);
    if (renameat(f->cur_fd, old.data, f->cur_fd, new.data) == 0)
        return 0;
    if (errno != ENOENT)
        return not_renamed(f, -errno);
    /* Somebody who was to finish has been killed, and had done this one. */
    return faccessat(f->cur_fd, new.data, F_OK, 0) == 0 ? 0 : rename_astray(f, l, &m);
}

/* ---- all of them ---- */

static int open_cur(struct finish *f)
{
    _cleanup_(str_free) struct str path = STR_INIT;

    f->cur_fd = open(maildir_path(&path, f->folder->path.data, "cur", NULL), O_PATH | O_DIRECTORY | O_CLOEXEC);
    return f->cur_fd < 0 ? -errno : 0;
}

static int finish(struct account *a, struct finish *f)
{
    int r = index_begin_write(a->index, &f->txn);

    if (r == 0)
        r = index_mailbox_get(&f->txn, f->folder->id, &f->rec);
    if (r < 0)
        return r;
    folder_follow(a, f->folder, &f->rec);
    str_set(&f->dir, f->rec.dir);
    f->rec.dir = str_span(&f->dir);
    r = index_late_get(&f->txn, f->folder->id, &f->late);
    if (r < 0)
        return r == -ENOENT ? 0 : r; /* another session was first */
    f->rec.cur_stamp = f->late.stamp;
    struct touch touch = folder_touch_begin(f->folder, &f->rec);
    f->rec.cur_stamp = 0;
    f->modseq = f->rec.highestmodseq + 1;
    r = open_cur(f);
    for (size_t i = 0; i < f->late.len && r == 0; i++)
        r = finish_name(f, &f->late.items[i]);
    if (r < 0)
        return r;
    touch.known &= !f->astray;
    folder_touch_end(f->folder, touch, &f->rec);
    r = index_late_delete(&f->txn, f->folder->id);
    if (r == 0)
        r = index_mailbox_put(&f->txn, f->folder->id, &f->rec);
    /* A power cut that takes this back makes it be done again. */
    return r < 0 ? r : index_commit(&f->txn, f->told);
}

int folder_finish_names(struct account *a, struct folder *f)
{
    _cleanup_(finish_done) struct finish all = { .folder = f, .txn = INDEX_TXN_INIT, .dir = STR_INIT, .cur_fd = -1 };

    return finish(a, &all);
}

void mailbox_allow_late_names(struct mailbox *mb)
{
    mb->may_be_late = true;
}

bool mailbox_has_late_names(const struct mailbox *mb)
{
    return mb->late;
}

int mailbox_finish_names(struct mailbox *mb)
{
    if (!mb->late)
        return 0;
    mb->late = false;
    return account_check(mb->account, folder_finish_names(mb->account, &mb->folder));
}
