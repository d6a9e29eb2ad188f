/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.c - change flags, expunge, measure: one write transaction for each call
 *
 * A flag is changed by renaming the file, which any Maildir program understands; the index follows
 * in the same transaction. Of many messages the index may be first (late.c). All messages of one call share one modification sequence
 * (RFC 7162 section 3.1: it only has to be greater than any before).
 *
 * Runs in: imapd, pop3d, as the mailbox owner.
 */
#include "mailbox/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include "base/mem.h"
#include "mailbox/lf.h"
#include "mailbox/quota.h"
#include "mailbox/spool.h"

enum {
    RENAME_ATTEMPTS = 5,
    LATE_MAX = 4000, /* so that other programs see them within some hundredths of a second */
};

/* A write transaction on one mailbox */
struct change {
    struct mailbox *mb;
    struct index_txn txn;
    struct index_mailbox rec;
    struct str dir;
    struct touch touch;
    int cur_fd;                     /* of the directory cur/: names below it are short to look up; -1: not opened yet */
    uint64_t modseq;
    bool changed, renamed;
    bool may_be_late;               /* names may follow later: */
    struct late_names late;
    int64_t gone_bytes, gone;       /* for the quota */
};

static void change_done(struct change *c)
{
    index_end(&c->txn);
    str_free(&c->dir);
    late_names_done(&c->late);
    if (c->cur_fd >= 0)
        close(c->cur_fd);
}

static int change_begin(struct mailbox *mb, struct change *c)
{
    *c = (struct change){ .mb = mb, .txn = INDEX_TXN_INIT, .dir = STR_INIT, .cur_fd = -1 };
    int r = folder_begin_write(mb->account, &mb->folder, &c->txn, &c->rec);

    if (r < 0)
        return r;
    str_set(&c->dir, c->rec.dir);
    c->rec.dir = str_span(&c->dir);
    c->touch = folder_touch_begin(&mb->folder, &c->rec);
    c->modseq = c->rec.highestmodseq + 1;
    return 0;
}

/* Who writes after us, or looks, finds what is to be renamed, and how cur/ looked when it was not. */
static int put_late(struct change *c)
{
    if (c->late.len == 0)
        return 0;
    c->late.stamp = c->touch.known ? c->rec.cur_stamp : 0;
    c->rec.cur_stamp = 0;
    return index_late_put(&c->txn, c->mb->folder.id, &c->late);
}

/* Nothing changed: nothing is written, and no flush is paid. */
static int change_commit(struct change *c, bool durable)
{
    if (!c->changed)
        return 0;
    folder_touch_end(&c->mb->folder, c->touch, &c->rec);
    int r = put_late(c);
    if (r == 0)
        r = index_mailbox_put(&c->txn, c->mb->folder.id, &c->rec);
    if (r == 0)
        r = pending_notes_put(c->mb, &c->txn);
    if (r == 0)
        r = index_commit(&c->txn, durable);
    quota_add(c->mb->account->maildir, -c->gone_bytes, -c->gone);
    return r;
}

/* Has the snapshot a message that cannot have gone, since nothing has happened after it (the index may even have lost what has), and
 * this transaction has not removed it? */
static bool must_be_there(struct change *c, uint32_t uid)
{
    uint32_t seq = mailbox_seq(c->mb, uid);

    return seq > 0 && !c->mb->entries[seq - 1].expunged && c->mb->highestmodseq >= c->modseq - 1 &&
           index_expunged_get(&c->txn, c->mb->folder.id, c->modseq, uid) == -ENOENT;
}

/* The message of an entry as the index has it; its name is copied to *file. -ENOENT: expunged meanwhile. */
static int get_message(struct change *c, uint32_t uid, struct index_message *m, struct str *file)
{
    int r = index_message_get(&c->txn, c->mb->folder.id, uid, m);

    if (r < 0)
        return r == -ENOENT && must_be_there(c, uid) ? -EBADMSG : r;
    str_set(file, m->file);
    m->file = str_span(file);
    return 0;
}

static int open_cur(struct change *c)
{
    _cleanup_(str_free) struct str path = STR_INIT;

    if (c->cur_fd < 0)
        c->cur_fd = open(maildir_path(&path, c->mb->folder.path.data, "cur", NULL),
                         O_PATH | O_DIRECTORY | O_CLOEXEC);
    return c->cur_fd < 0 ? -errno : 0;
}

/* A message's file as it is named from cur/. The result is m's own name, or in *path. */
static const char *name_from_cur(const struct index_message *m, struct str *path)
{
    return m->in_new ? maildir_path(path, "..", "new", m->file.ptr) : m->file.ptr;
}

/* Rename a message's file. 0, -ENOENT: it has gone, or another program was faster. */
static int rename_message(struct change *c, const struct index_message *from, const char *to)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    const char *old = name_from_cur(from, &path);
    int r = open_cur(c);

    if (r < 0)
        return r;
    if (strcmp(old, to) == 0)
        return 0;
    c->renamed = true;
    return renameat(c->cur_fd, old, c->cur_fd, to) == 0 ? 0 : -errno;
}

/* Another program has renamed the file: *m becomes what it says now. -ENOENT: it has gone. */
static int look_again(const struct folder *f, struct index_message *m, struct str *file)
{
    struct span base = m->file;
    _cleanup_(str_free) struct str name = STR_INIT;
    struct maildir_name parts;
    bool in_new;
    int r = folder_find_file(f, span_cut(&base, ':'), &name, &in_new);

    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    str_set(file, str_span(&name));
    maildir_name_parse(str_span(file), &parts);
    m->file = str_span(file);
    m->in_new = in_new;
    m->flags = parts.flags;
    m->keywords = (m->keywords & ~KEYWORDS_IN_NAME) | keywords_bits(parts.keywords);
    return 0;
}

/* ---- flags ---- */

struct store {
    enum flags_mode mode;
    uint32_t flags;
    uint64_t keywords;
};

static uint64_t combine(enum flags_mode mode, uint64_t old, uint64_t given)
{
    switch (mode) {
    case FLAGS_ADD:
        return old | given;
    case FLAGS_REMOVE:
        return old & ~given;
    case FLAGS_SET:
        return given;
    }
    return old;
}

/* What a message of these flags becomes, with the name of its file. Bits that have no name here belong to files of
 * another program; they stay. */
static struct index_message stored(const struct change *c, const struct index_message *now, const struct store *s,
                                   struct str *file)
{
    uint64_t mask = c->mb->keyword_mask;
    struct index_message m = *now;
    struct span base = now->file;
    char letters[27];

    m.flags = (uint32_t)combine(s->mode, now->flags, s->flags);
    m.keywords = (combine(s->mode, now->keywords, s->keywords) & mask) | (now->keywords & ~mask);
    m.in_new = false;
    keywords_letters(m.keywords, letters);
    maildir_name_make(span_cut(&base, ':'), m.flags, letters, file);
    m.file = str_span(file);
    return m;
}

/* May the file of this message be renamed later? The first one never, which shows that it can be done; nor what has no
 * regular name now, or cannot have the new one. */
static bool leave_name(struct change *c, const struct index_message *old, const struct index_message *m)
{
    struct late_names *l = &c->late;

    if (!c->may_be_late || !c->renamed || old->named || old->in_new || m->file.len > NAME_MAX || span_eq(old->file, m->file))
        return false;
    MEM_GROW(l->items, l->len, l->cap);
    l->items[l->len++] = (struct late_name){ old->uid, old->flags, old->keywords & KEYWORDS_IN_NAME };
    return true;
}

/* The flags that another program has given the file meanwhile stay: what is stored is added to the name it has now. */
static int store_message(struct change *c, struct mail_entry *e, const struct index_message *old,
                         const struct store *s)
{
    _cleanup_(str_free) struct str file = STR_INIT, now_file = STR_INIT;
    struct index_message now = *old, m = stored(c, &now, s, &file);
    int r = m.flags == old->flags && m.keywords == old->keywords ? 1 : leave_name(c, old, &m) ? 0 : -ENOENT;

    for (int attempt = 0; attempt < RENAME_ATTEMPTS && r == -ENOENT; attempt++) {
        if (attempt > 0) {
            r = look_again(&c->mb->folder, &now, &now_file);
            if (r < 0)
                break;
            m = stored(c, &now, s, &file);
        }
        r = rename_message(c, &now, file.data);
    }
    if (r != 0)
        return r == 1 || r == -ENOENT ? 0 : r; /* nothing to do; or the next sync finds that it has gone */
    m.modseq = c->rec.highestmodseq = c->modseq;
    r = index_message_put(&c->txn, c->mb->folder.id, &c->rec, old, &m);
    if (r < 0)
        return r;
    c->changed = true;
    e->foreign = old->modseq != e->modseq;
    e->flags = m.flags;
    e->keywords = m.keywords & c->mb->keyword_mask;
    e->modseq = m.modseq;
    return 0;
}

/* Has nothing been changed since the snapshot that s touches? Who knows the snapshot (unchanged_since) may store. What a
 * client knew before its session was parked (modseq 0) is not known here. */
static bool only_others_changed(const struct mail_entry *e, const struct index_message *now, const struct store *s,
                                uint64_t unchanged_since)
{
    return s->mode != FLAGS_SET && e->modseq > 0 && e->modseq <= unchanged_since && ((e->flags ^ now->flags) & s->flags) == 0 &&
           ((e->keywords ^ now->keywords) & s->keywords) == 0;
}

/* The snapshot has followed; only if nobody else changed something before, it has seen everything. */
static void note_modseq(struct change *c, uint64_t before)
{
    if (c->changed && c->mb->highestmodseq == before)
        c->mb->highestmodseq = c->rec.highestmodseq;
}

int mailbox_store(struct mailbox *mb, const uint32_t *seqs, size_t n, enum flags_mode mode, uint32_t flags,
                  uint64_t keywords, uint64_t unchanged_since,
                  void (*modified)(uint32_t seq, void *arg), void *arg)
{
    _cleanup_(change_done) struct change c;
    _cleanup_(str_free) struct str file = STR_INIT;
    struct store s = { mode, flags, keywords };
    bool may_be_late = TAKE(mb->may_be_late, false);
    int r = change_begin(mb, &c);

    if (r < 0)
        return account_check(mb->account, r);
    uint64_t before = c.rec.highestmodseq;
    c.may_be_late = may_be_late && n >= mb->account->late_min && n <= LATE_MAX;
    for (size_t i = 0; i < n && r >= 0; i++) {
        struct mail_entry *e = &mb->entries[seqs[i] - 1];
        struct index_message old;

        r = get_message(&c, e->uid, &old, &file);
        if (r == -ENOENT)
            r = 0;
        else if (r == 0 && (old.modseq <= unchanged_since || only_others_changed(e, &old, &s, unchanged_since)))
            r = store_message(&c, e, &old, &s);
        else if (r == 0 && modified)
            modified(seqs[i], arg);
        account_written(mb->account, i + 1, n);
    }
    if (r == 0) {
        r = change_commit(&c, true);
        if (r == 0) {
            note_modseq(&c, before);
            mb->late = c.late.len > 0;
        }
        if (c.changed && !c.renamed)
            folder_announce(&mb->folder);
    }
    return account_check(mb->account, r);
}

int mailbox_keyword_make(struct mailbox *mb, struct span name)
{
    _cleanup_(change_done) struct change c = { .cur_fd = -1 };
    _cleanup_(str_free) struct str names = STR_INIT;
    bool added = false;

    str_set(&names, str_span(&mb->keywords));
    int bit = keywords_bit(&names, name, &added);
    if (!added)
        return bit;
    int r = change_begin(mb, &c);
    if (r == 0)
        r = index_keywords_get(&c.txn, mb->folder.id, &names);
    added = false;
    if (r == 0)
        r = bit = keywords_bit(&names, name, &added);
    if (r >= 0 && added)
        r = index_keywords_put(&c.txn, mb->folder.id, str_span(&names));
    if (r >= 0 && added && bit < KEYWORDS_LETTERS)
        r = keywords_file_write(mb->folder.path.data, str_span(&names));
    if (r >= 0 && added)
        r = index_commit(&c.txn, true);
    if (r < 0)
        return account_check(mb->account, r);
    mailbox_set_keywords(mb, &names);
    return bit;
}

/* ---- expunge ---- */

/* cur_fd: the directory cur/, by which it is faster; -1: not open */
static int remove_file(const struct folder *f, int cur_fd, const struct index_message *m)
{
    _cleanup_(str_free) struct str path = STR_INIT, file = STR_INIT;
    struct span base = m->file;
    bool in_new;

    str_add(&file, m->file);
    if ((cur_fd >= 0 ? unlinkat(cur_fd, name_from_cur(m, &path), 0) :
                       unlink(maildir_path(&path, f->path.data, folder_sub(m), file.data))) == 0)
        return 0;
    if (errno != ENOENT)
        return -errno;
    int r = folder_find_file(f, span_cut(&base, ':'), &file, &in_new);
    if (r > 0 && unlink(maildir_path(&path, f->path.data, in_new ? "new" : "cur", file.data)) < 0 && errno != ENOENT)
        return -errno;
    return r < 0 ? r : 0;
}

static uint64_t size_of(const struct index_message *m)
{
    struct maildir_name name;

    maildir_name_parse(m->file, &name);
    return name.size ? name.size : m->vsize;
}

static int expunge_message(struct change *c, const struct index_message *m)
{
    int r = open_cur(c);

    /* The file last: that the index has its name under no other message is known then. */
    if (r == 0)
        r = index_message_delete(&c->txn, c->mb->folder.id, &c->rec, m, c->modseq);
    if (r == 0)
        r = remove_file(&c->mb->folder, c->cur_fd, m);
    if (r < 0)
        return r;
    c->gone_bytes += (int64_t)size_of(m);
    c->gone++;
    c->changed = true;
    c->rec.highestmodseq = c->modseq;
    return 0;
}

int folder_message_size(struct index_txn *t, const struct folder *f, uint32_t uid, uint64_t *ret)
{
    struct index_message m;
    int r = index_message_get(t, f->id, uid, &m);

    if (r == 0)
        *ret = size_of(&m);
    return r;
}

int folder_expunge(struct index_txn *t, const struct folder *f, int cur_fd, struct index_mailbox *rec, uint64_t modseq,
                   uint32_t uid)
{
    _cleanup_(str_free) struct str file = STR_INIT;
    struct index_message m;
    int r = index_message_get(t, f->id, uid, &m);

    if (r < 0)
        return r;
    str_set(&file, m.file);
    m.file = str_span(&file);
    rec->highestmodseq = modseq;
    r = index_message_delete(t, f->id, rec, &m, modseq);
    return r < 0 ? r : remove_file(f, cur_fd, &m);
}

static int expunge_uid(struct change *c, uint32_t uid)
{
    _cleanup_(str_free) struct str file = STR_INIT;
    struct index_message m;
    int r = get_message(c, uid, &m, &file);

    if (r < 0)
        return r == -ENOENT ? 0 : r;
    return m.flags & MAIL_DELETED ? expunge_message(c, &m) : 0;
}

int mailbox_expunge(struct mailbox *mb, const uint32_t *uids, size_t n)
{
    _cleanup_(change_done) struct change c;
    int r = change_begin(mb, &c);

    if (!uids)
        n = mb->len;
    for (size_t i = 0; i < n && r == 0; i++) {
        if (uids || mb->entries[i].flags & MAIL_DELETED)
            r = expunge_uid(&c, uids ? uids[i] : mb->entries[i].uid);
        account_written(mb->account, i + 1, n);
    }
    if (r == 0)
        r = change_commit(&c, true);
    return account_check(mb->account, r);
}

int mailbox_remove(struct mailbox *mb, const uint32_t *uids, size_t n)
{
    _cleanup_(change_done) struct change c;
    _cleanup_(str_free) struct str file = STR_INIT;
    int r = change_begin(mb, &c);

    for (size_t i = 0; i < n && r == 0; i++) {
        struct index_message m;

        r = get_message(&c, uids[i], &m, &file);
        if (r == 0)
            r = expunge_message(&c, &m);
        else if (r == -ENOENT)
            r = 0;
    }
    if (r == 0)
        r = change_commit(&c, true);
    return account_check(mb->account, r);
}

/* ---- sizes ---- */

static int measure_file(struct mailbox *mb, uint32_t seq, uint64_t *ret)
{
    _cleanup_close_ int fd = mailbox_open_message(mb, seq);
    _cleanup_free_ char *buf = mem_calloc(1, 65536);
    bool after_cr = false;
    ssize_t n;

    if (fd < 0)
        return fd;
    *ret = 0;
    while ((n = read(fd, buf, 65536)) > 0)
        *ret += (uint64_t)n + lf_bare(span_make(buf, (size_t)n), &after_cr);
    return n < 0 ? -errno : 0;
}

/* Keep what was measured; a size is no change that a client is told. */
static int keep_sizes(struct mailbox *mb, uint32_t first, uint32_t last)
{
    _cleanup_(change_done) struct change c;
    _cleanup_(str_free) struct str file = STR_INIT;
    int r = change_begin(mb, &c);

    for (uint32_t seq = first; seq <= last && r == 0; seq++) {
        struct index_message m, old;

        r = get_message(&c, mb->entries[seq - 1].uid, &old, &file);
        if (r == -ENOENT) {
            r = 0;
            continue;
        }
        m = old;
        m.vsize = mb->entries[seq - 1].vsize;
        if (r < 0 || old.vsize != 0 || m.vsize == 0)
            continue;
        c.changed = true;
        r = index_message_put(&c.txn, mb->folder.id, &c.rec, &old, &m);
    }
    return r < 0 ? r : change_commit(&c, false);
}

int mailbox_measure(struct mailbox *mb, uint32_t first, uint32_t last)
{
    const struct account_watcher *w = &mb->account->watcher;
    bool measured = false;

    if (last > mb->len)
        last = mb->len;
    for (uint32_t seq = first; seq >= 1 && seq <= last; seq++) {
        struct mail_entry *e = &mb->entries[seq - 1];

        if (e->vsize != 0 || e->expunged)
            continue;
        int r = measure_file(mb, seq, &e->vsize);
        if (r < 0 && r != -ENOENT)
            return r;
        measured = true;
        r = w->reading ? w->reading(w->arg) : 0;
        if (r < 0)
            return r;
    }
    return measured ? account_check(mb->account, keep_sizes(mb, first, last)) : 0;
}
