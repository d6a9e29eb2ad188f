/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan_record.c - write down in the index what a reading of the directories has found
 *
 * New messages get their UIDs in the order of arrival, which is that of their names; one that another mail server had, or that was
 * given its UID before a power cut, gets that.
 *
 * Runs in: imapd, pop3d, as the mailbox owner. File names are anybody's.
 */
#include "mailbox/scan_parts.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/chars.h"
#include "base/mem.h"
#include "mailbox/spool.h"
#include "mailbox/takeover.h"

/* Leading decimal number of a name: when it was made */
static uint64_t name_time(const char *file)
{
    uint64_t n = 0;

    for (; char_is(*file, CHAR_DIGIT) && n < UINT32_MAX; file++)
        n = n * 10 + (uint64_t)(*file - '0');
    return n;
}

static uint64_t name_fraction(const char *file)
{
    const char *m = strstr(file, ".M");

    return m ? name_time(m + 2) : 0;
}

/* Known ones first, then in the order of arrival */
static int compare_found(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    uint64_t tx, ty;

    if ((x->uid == 0) != (y->uid == 0))
        return x->uid == 0 ? 1 : -1;
    tx = name_time(x->file);
    ty = name_time(y->file);
    if (tx != ty)
        return tx < ty ? -1 : 1;
    tx = name_fraction(x->file);
    ty = name_fraction(y->file);
    if (tx != ty)
        return tx < ty ? -1 : 1;
    return strcmp(x->file, y->file);
}

/* Move a file from new/ to cur/; *file is then its name there. -ENOENT: it has gone. */
static int take_file(struct scan *s, struct str *file)
{
    _cleanup_(str_free) struct str from = STR_INIT, to = STR_INIT;

    maildir_path(&from, s->folder->path.data, "new", str_cstr(file));
    if (span_chr(str_span(file), ':') < 0)
        str_add_str(file, ":2,");
    maildir_path(&to, s->folder->path.data, "cur", str_cstr(file));
    return rename(from.data, to.data) < 0 ? -errno : 0;
}

/* Put a new message that has its UID. */
static int put_message(struct index_txn *t, uint64_t id, struct index_mailbox *rec, uint64_t modseq,
                       struct index_message *m)
{
    m->modseq = modseq;
    if (rec->highestmodseq < modseq)
        rec->highestmodseq = modseq;
    return index_message_put(t, id, rec, NULL, m);
}

int folder_add_message(struct index_txn *t, uint64_t id, struct index_mailbox *rec, uint64_t modseq,
                       struct index_message *m)
{
    if (rec->uidnext == UINT32_MAX)
        return -EOVERFLOW;
    m->uid = rec->uidnext++;
    return put_message(t, id, rec, modseq, m);
}

/* Courier's keywords become letters of the file's name, as Dovecot has them. */
static int add_letters(struct scan *s, struct index_message *m, uint64_t keywords, struct str *file)
{
    _cleanup_(str_free) struct str from = STR_INIT, to = STR_INIT;
    struct maildir_name name;
    char letters[27];

    if (keywords == 0 || m->in_new)
        return 0;
    maildir_path(&from, s->folder->path.data, "cur", str_cstr(file));
    maildir_name_parse(m->file, &name);
    m->keywords |= keywords;
    keywords_letters(m->keywords, letters);
    _cleanup_(str_free) struct str base = STR_INIT;
    str_set(&base, name.base);
    maildir_name_make(str_span(&base), m->flags, letters, file);
    maildir_path(&to, s->folder->path.data, "cur", str_cstr(file));
    m->file = str_span(file);
    return rename(from.data, to.data) < 0 ? -errno : 0;
}

/* What another mail server knew of the message: 1, with its UID; 0 nothing; -errno. */
static int take_over(struct scan *s, struct index_message *m, struct span base, struct str *file)
{
    const struct takeover_message *known = s->takeover ? takeover_find(s->takeover, base) : NULL;
    struct index_message other;

    if (!known)
        return 0;
    int r = index_message_get(s->txn, s->folder->id, known->uid, &other);
    if (r != -ENOENT)
        return r;   /* 0: a second file of that name */
    m->uid = known->uid;
    if (m->vsize == 0)
        m->vsize = known->vsize;
    r = add_letters(s, m, known->keywords, file);
    return r < 0 && r != -ENOENT ? r : 1;
}

/* Has the file the date of a UID that was lost, and is the first to claim it? */
static bool claims_lost(struct scan *s, const struct timespec *mtime)
{
    uint32_t i = spool_dated_uid(mtime) - s->first_lost;

    return s->first_lost != 0 && i < INDEX_UNFLUSHED_MAX && !TAKE(s->found_again[i], true);
}

static int add_found(struct scan *s, struct index_message *m, const struct maildir_name *name, struct str *file)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    struct stat st;

    if (stat(maildir_path(&path, s->folder->path.data, folder_sub(m), m->file.ptr), &st) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISREG(st.st_mode))
        return 0;
    m->received = st.st_mtim.tv_sec;
    m->vsize = name->vsize;
    s->assigned = true;
    int r = take_over(s, m, name->base, file);
    if (r < 0)
        return r;
    if (r == 0 && claims_lost(s, &st.st_mtim)) {
        m->uid = spool_dated_uid(&st.st_mtim);
        r = 1;
    }
    return r ? put_message(s->txn, s->folder->id, &s->rec, s->modseq, m)
             : folder_add_message(s->txn, s->folder->id, &s->rec, s->modseq, m);
}

static int update_found(struct scan *s, uint32_t uid, struct index_message *m)
{
    _cleanup_(str_free) struct str old_file = STR_INIT;
    struct index_message old;
    int r = index_message_get(s->txn, s->folder->id, uid, &old);

    if (r < 0)
        return r;
    str_set(&old_file, old.file);
    old.file = str_span(&old_file);
    m->uid = uid;
    m->received = old.received;
    m->vsize = old.vsize;
    m->modseq = old.modseq;
    m->keywords |= old.keywords & ~KEYWORDS_IN_NAME;
    if (old.flags != m->flags || old.keywords != m->keywords) {
        m->modseq = s->rec.highestmodseq = s->modseq;
        s->assigned = true;
    }
    return index_message_put(s->txn, s->folder->id, &s->rec, &old, m);
}

static int record_one(struct scan *s, const struct found *f)
{
    _cleanup_(str_free) struct str file = STR_INIT;
    struct index_message m = { .in_new = f->in_new };
    struct maildir_name name;
    int r;

    str_add_str(&file, f->file);
    if (f->in_new && s->take) {
        r = take_file(s, &file);
        if (r < 0)
            return r == -ENOENT ? 0 : r;
        m.in_new = false;
    }
    maildir_name_parse(str_span(&file), &name);
    m.file = str_span(&file);
    m.flags = name.flags;
    m.keywords = keywords_bits(name.keywords);
    s->changed = true;
    r = f->uid ? update_found(s, f->uid, &m) : add_found(s, &m, &name, &file);
    if (r == 0 && f->in_new && s->take && m.uid && s->recent) {
        MEM_GROW(s->recent->items, s->recent->len, s->recent->cap);
        s->recent->items[s->recent->len++] = m.uid;
    }
    return r;
}

int scan_record_found(struct scan *s)
{
    int r = 0;

    if (s->n_found > 0) /* of no element qsort would get a NULL pointer */
        qsort(s->found, s->n_found, sizeof *s->found, compare_found);
    for (size_t i = 0; i < s->n_found && r == 0; i++)
        r = record_one(s, &s->found[i]);
    return r;
}

int scan_record_missing(struct scan *s)
{
    _cleanup_(str_free) struct str file = STR_INIT;

    if (!s->stood_still)
        return 0;
    for (size_t i = 0; i < s->n_known; i++) {
        struct index_message m;

        if (s->known[i].seen)
            continue;
        int r = index_message_get(s->txn, s->folder->id, s->known[i].uid, &m);
        if (r < 0)
            return r;
        str_set(&file, m.file);
        m.file = str_span(&file);
        r = index_message_delete(s->txn, s->folder->id, &s->rec, &m, s->modseq);
        if (r < 0)
            return r;
        s->rec.highestmodseq = s->modseq;
        s->changed = s->assigned = true;
    }
    return 0;
}

int scan_record_lost(struct scan *s)
{
    int r = 0;

    for (uint32_t i = 0; s->first_lost != 0 && i < INDEX_UNFLUSHED_MAX && r == 0; i++) {
        if (s->found_again[i])
            continue;
        s->assigned = true;
        s->rec.highestmodseq = s->modseq;
        r = index_expunged_add(s->txn, s->folder->id, &s->rec, s->first_lost + i, s->modseq);
    }
    return r;
}
