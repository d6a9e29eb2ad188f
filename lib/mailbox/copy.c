/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy.c - add messages to a mailbox: APPEND, REPLACE, COPY, MOVE
 *
 * Files come first, then the index in one transaction, so that a crash leaves at worst files that
 * the next reading of the directory finds. A copy is a hard link under a new name, since the
 * base of a name stands for one message of one mailbox; flags travel in the name.
 *
 * A power cut may take back what the index has of an APPEND, which saves it a commit: the file is on disk with all that the client
 * was told, its UID in its date, and the next scan gives that to it again before any other UID is given. So one message waits
 * for one flush, and the index follows when somebody else needs it (index_arrivals.c).
 *
 * Runs in: imapd, as the mailbox owner.
 */
#include "mailbox/account.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/mem.h"
#include "mailbox/internal.h"
#include "mailbox/quota.h"
#include "mailbox/spool.h"

/* The mailbox that messages are added to, in a write transaction */
struct target {
    struct account *account;
    struct folder folder;
    struct index_txn txn;
    struct index_mailbox rec;
    struct str dir, keywords;
    bool new_keywords;
    bool in_file;           /* name and date of the file tell all that is told of the message */
    struct touch touch;
    uint64_t modseq;
};
#define TARGET_INIT { .folder = FOLDER_INIT, .txn = INDEX_TXN_INIT, .dir = STR_INIT, .keywords = STR_INIT }

static void target_done(struct target *t)
{
    index_end(&t->txn);
    folder_done(&t->folder);
    str_free(&t->dir);
    str_free(&t->keywords);
}

/* In the transaction that has just begun */
static int target_look(struct target *t)
{
    int r = index_mailbox_get(&t->txn, t->folder.id, &t->rec);
    if (r == 0)
        r = index_keywords_get(&t->txn, t->folder.id, &t->keywords);
    if (r < 0)
        return r;
    folder_follow(t->account, &t->folder, &t->rec);
    str_set(&t->dir, t->rec.dir);
    t->rec.dir = str_span(&t->dir);
    t->touch = folder_touch_begin(&t->folder, &t->rec);
    t->modseq = t->rec.highestmodseq + 1;
    return 0;
}

static int target_read(struct target *t)
{
    int r = index_begin_write(t->account->index, &t->txn);

    return r < 0 ? r : target_look(t);
}

/* No UID is given before the scan has seen those that a power cut has taken back. */
static bool is_scanned(const struct target *t)
{
    return t->touch.known && !folder_restarted(&t->rec);
}

static int target_begin(struct target *t)
{
    int r = target_read(t);

    if (r < 0 || is_scanned(t))
        return r;
    index_end(&t->txn);
    r = folder_refresh(t->account, &t->folder, false, true, NULL);
    return r < 0 ? r : target_read(t);
}

/* With the mailbox that messages come from in the same transaction, and its files under the names that the index says */
static int target_begin_from(struct target *t, struct folder *from)
{
    int late = 1;

    while (late > 0) {
        struct index_mailbox rec;
        int r = target_begin(t);

        if (r == 0)
            r = index_mailbox_get(&t->txn, from->id, &rec);
        if (r < 0)
            return r;
        folder_follow(t->account, from, &rec);
        late = folder_has_late_names(&t->txn, from, &rec);
        if (late <= 0)
            return late;
        index_end(&t->txn);
        late = folder_finish_names(t->account, from);
        late = late < 0 ? late : 1;
    }
    return late;
}

static int target_commit(struct target *t)
{
    if (t->new_keywords) {
        int r = keywords_file_write(t->folder.path.data, str_span(&t->keywords));
        if (r == 0)
            r = index_keywords_put(&t->txn, t->folder.id, str_span(&t->keywords));
        if (r < 0)
            return r;
    }
    folder_touch_end(&t->folder, t->touch, &t->rec);
    int r = index_mailbox_put(&t->txn, t->folder.id, &t->rec);
    return r < 0 ? r : index_commit(&t->txn, !t->in_file || t->new_keywords);
}

/* The bit of a keyword there. When all are in use the keyword is not copied; the message is. */
static uint64_t target_keyword(struct target *t, const char *name)
{
    int bit = keywords_bit(&t->keywords, span_of(name), &t->new_keywords);

    return bit < 0 ? 0 : (uint64_t)1 << bit;
}

/* ---- removal, also in the transaction in which a successor came ---- */

struct removal {
    const uint32_t *uids;
    size_t n, done;
};

static int expunge_all(struct target *t, const struct folder *f, struct index_mailbox *rec, uint64_t modseq,
                       struct removal *what)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    _cleanup_close_ int cur_fd = open(maildir_path(&path, f->path.data, "cur", NULL), O_PATH | O_DIRECTORY | O_CLOEXEC);
    int r = 0;

    for (; what->done < what->n && r == 0; what->done += r == 0) {
        r = folder_expunge(&t->txn, f, cur_fd, rec, modseq, what->uids[what->done]);
        account_written(t->account, 0, 0); /* the copies were counted */
    }
    return r;
}

static int remove_messages(struct target *t, const struct folder *f, struct removal *what)
{
    _cleanup_(str_free) struct str dir = STR_INIT;
    struct index_mailbox rec;

    if (f->id == t->folder.id)
        return expunge_all(t, f, &t->rec, t->modseq, what);
    int r = index_mailbox_get(&t->txn, f->id, &rec);
    if (r < 0)
        return r;
    str_set(&dir, rec.dir);
    rec.dir = str_span(&dir);
    struct touch touch = folder_touch_begin(f, &rec);
    r = expunge_all(t, f, &rec, rec.highestmodseq + 1, what);
    folder_touch_end(f, touch, &rec);
    return r < 0 ? r : index_mailbox_put(&t->txn, f->id, &rec);
}

/* ---- APPEND ---- */

/* Flushes that are on their way at once, each on a thread (spool.h) */
#define FLUSHES_MAX 8

/* A message on its way: below tmp/ until `placed` is its path. It does not move in memory. */
struct appended {
    struct spool spool;
    struct str placed;
};

struct appending {
    struct target to;
    struct appended *items;
    size_t len;
    bool done;
};

static void appending_done(struct appending *p)
{
    for (size_t i = 0; i < p->len; i++) {
        spool_done(&p->items[i].spool);
        if (!p->done && p->items[i].placed.len > 0)
            unlink(p->items[i].placed.data); /* unless it is gone: the spool takes back what was not settled */
        str_free(&p->items[i].placed);
    }
    free(p->items);
    target_done(&p->to);
}

static int write_spool(struct appending *p, const struct append_message *message)
{
    p->items[p->len] = (struct appended){ SPOOL_INIT, STR_INIT };
    return spool_write(p->to.folder.path.data, &message->save, SPOOL_SOURCE_NONE, &p->items[p->len++].spool);
}

/* What the index will have of a message, but for its UID; *file: its name */
static struct index_message describe(struct target *t, const struct appended *item, const struct append_message *message,
                                     struct str *file)
{
    struct index_message m = { .flags = message->save.flags,
                               .vsize = item->spool.vsize,
                               .received = message->save.received };
    char letters[27];

    if (m.received == 0)
        m.received = clock_real();
    for (const char *const *k = message->keywords; k && *k; k++)
        m.keywords |= target_keyword(t, *k);
    keywords_letters(m.keywords, letters);
    maildir_name_make(str_span(&item->spool.base), m.flags, letters, file);
    m.file = str_span(file);
    return m;
}

/* Dated with the UID that it is to have. 1: name and date tell all of it; 0: they do not; -errno. */
static int date(const struct target *t, const struct appended *item, const struct index_message *m)
{
    int r = spool_date(&item->spool, m->received, t->rec.uidnext);

    return r > 0 ? (m->keywords & ~KEYWORDS_IN_NAME) == 0 : r;
}

static int place(const struct target *t, struct appended *item, const struct index_message *m)
{
    int r = spool_place(&item->spool, t->folder.path.data, "cur", m->file.ptr);

    if (r == 0)
        maildir_path(&item->placed, t->folder.path.data, "cur", m->file.ptr);
    return r;
}

static int add(struct target *t, struct appended *item, const struct append_message *message, uint32_t *ret_uid)
{
    _cleanup_(str_free) struct str file = STR_INIT;
    struct index_message m = describe(t, item, message, &file);
    int r = date(t, item, &m);

    t->in_file = r > 0;
    if (r >= 0)
        r = place(t, item, &m);
    if (r < 0)
        return r;
    spool_flush_begin(&item->spool);
    r = folder_add_message(&t->txn, t->folder.id, &t->rec, t->modseq, &m);
    *ret_uid = m.uid;
    return r;
}

/* One whose file tells all: no commit. It is on disk before any session sees it. The lock is kept meanwhile: the next UID is
 * given to the next message that is on disk. 1: stored; 0: not this one; -errno. */
static int arrive(struct target *t, struct appended *item, const struct append_message *message, uint32_t *ret_uid)
{
    _cleanup_(str_free) struct str file = STR_INIT;
    int r = index_begin_arrival(t->account->index, &t->txn);

    if (r == 0)
        r = target_look(t);
    if (r < 0 || !is_scanned(t) || !index_arrival_fits(&t->txn, t->folder.id) || t->rec.uidnext == UINT32_MAX)
        return r;
    struct index_message m = describe(t, item, message, &file);
    r = t->new_keywords ? 0 : date(t, item, &m);
    if (r <= 0)
        return r;
    r = place(t, item, &m);
    if (r == 0)
        r = spool_settle(&item->spool);
    if (r < 0)
        return r;
    m.uid = t->rec.uidnext;
    m.modseq = t->modseq;
    struct index_mailbox after = t->rec;
    folder_touch_end(&t->folder, t->touch, &after);
    r = index_arrival_add(&t->txn, t->folder.id, &after, &m);
    *ret_uid = m.uid;
    return r < 0 ? r : 1;
}

static int try_to_arrive(struct target *t, struct appended *item, const struct append_message *message, uint32_t *ret_uid)
{
    int r = arrive(t, item, message, ret_uid);

    index_end(&t->txn);
    t->new_keywords = false;
    return r;
}

static uint64_t sum_sizes(const struct append_message *messages, size_t n)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += messages[i].save.size;
    return sum;
}

/* The index has them already, and one could not be flushed: they are expunged, since the client is told that there are none. */
static void take_back(struct appending *p, const uint32_t *uids)
{
    struct removal all = { uids, p->len, 0 };

    p->to.in_file = p->to.new_keywords = false;
    if (target_read(&p->to) == 0 && remove_messages(&p->to, &p->to.folder, &all) == 0)
        target_commit(&p->to);
}

static int commit_all(struct appending *p, const struct append_message *messages, uint32_t *ret_uids)
{
    size_t settled = 0, n = p->len;
    int r = target_begin(&p->to);

    for (size_t i = 0; i < n && r == 0; i++) {
        r = i < FLUSHES_MAX ? 0 : spool_settle(&p->items[settled++].spool);
        if (r == 0)
            r = add(&p->to, &p->items[i], &messages[i], &ret_uids[i]);
        account_written(p->to.account, i + 1, n);
    }
    p->to.in_file &= n == 1; /* INDEX_UNFLUSHED_MAX */
    if (r == 0)
        r = target_commit(&p->to);
    const bool committed = r == 0;
    while (settled < n && r == 0)
        r = spool_settle(&p->items[settled++].spool);
    if (r < 0 && committed)
        take_back(p, ret_uids);
    return r;
}

int account_append_all(struct account *a, struct span mailbox, const struct append_message *messages, size_t n,
                       uint32_t *ret_uidvalidity, uint32_t *ret_uids)
{
    _cleanup_(appending_done) struct appending p = { .to = TARGET_INIT };
    int r = folder_open(a, mailbox, &p.to.folder);

    if (r < 0)
        return r;
    p.to.account = a;
    r = quota_check(a->maildir, (int64_t)sum_sizes(messages, n), (int64_t)n);
    if (r < 0)
        return r;
    bool has_quota = r == 0;
    r = 0;
    p.items = mem_calloc(n + 1, sizeof *p.items);
    /* The contents first: nobody else waits for them. */
    for (size_t i = 0; i < n && r == 0; i++) {
        r = write_spool(&p, &messages[i]);
        if (r == 0 && n > 1)
            spool_write_back(&p.items[i].spool);
    }
    if (r == 0 && n == 1)
        r = try_to_arrive(&p.to, &p.items[0], &messages[0], &ret_uids[0]);
    if (r == 0)
        r = commit_all(&p, messages, ret_uids);
    if (r < 0)
        return account_check(a, r);
    p.done = true;
    for (size_t i = 0; i < n && has_quota; i++)
        quota_add(a->maildir, (int64_t)p.items[i].spool.size, 1);
    *ret_uidvalidity = p.to.rec.uidvalidity;
    return 0;
}

int account_append(struct account *a, struct span mailbox, const struct maildir_save *m,
                   const char *const *keywords, uint32_t *ret_uidvalidity, uint32_t *ret_uid)
{
    const struct append_message message = { *m, keywords };

    return account_append_all(a, mailbox, &message, 1, ret_uidvalidity, ret_uid);
}

/* ---- REPLACE ---- */

/* The new message is on disk, with its name, before the old one goes; and then it stays, whatever fails. */
static int exchange(struct appending *p, const struct append_message *message, const struct folder *from, uint32_t uid,
                    uint32_t *ret_uid)
{
    struct removal old = { &uid, 1, 0 };
    int r = add(&p->to, &p->items[0], message, ret_uid);

    if (r == 0)
        r = spool_settle(&p->items[0].spool);
    if (r == 0)
        r = remove_messages(&p->to, from, &old);
    p->to.in_file = false; /* that the old one is gone is told nowhere else */
    p->done = old.done > 0;
    return r < 0 ? r : target_commit(&p->to);
}

int mailbox_replace(struct mailbox *mb, uint32_t uid, struct span to, const struct append_message *message,
                    uint32_t *ret_uidvalidity, uint32_t *ret_uid)
{
    _cleanup_(appending_done) struct appending p = { .to = TARGET_INIT };
    const char *maildir = mb->account->maildir;
    uint64_t old_size = 0;
    int64_t more = 0;
    int r = folder_open(mb->account, to, &p.to.folder);

    if (r < 0)
        return r;
    p.to.account = mb->account;
    p.items = mem_calloc(1, sizeof *p.items);
    r = write_spool(&p, message);
    if (r == 0)
        r = target_begin_from(&p.to, &mb->folder);
    if (r == 0) {
        r = folder_message_size(&p.to.txn, &mb->folder, uid, &old_size);
        r = r == -ENOENT ? -ESTALE : r;
    }
    if (r == 0) {
        more = (int64_t)p.items[0].spool.size - (int64_t)old_size;
        r = quota_check(maildir, more, 0);
    }
    if (r >= 0)
        r = exchange(&p, message, &mb->folder, uid, ret_uid);
    if (r < 0)
        return account_check(mb->account, r);
    quota_add(maildir, more, 0);
    *ret_uidvalidity = p.to.rec.uidvalidity;
    return 0;
}

/* ---- COPY and MOVE ---- */

struct copy {
    struct mailbox *from;
    struct target to;
    struct str *paths; /* files made so far, to be taken back on failure */
    size_t n_paths;
    uint64_t bytes;     /* of all, as a quota counts them */
    bool done;
};

static void copy_done(struct copy *c)
{
    for (size_t i = 0; i < c->n_paths; i++) {
        if (!c->done)
            unlink(c->paths[i].data);
        str_free(&c->paths[i]);
    }
    free(c->paths);
    target_done(&c->to);
}

/* Where no link can be made: a copy of the bytes, under the same name, with the same date */
static int copy_bytes(const char *from, const char *to)
{
    _cleanup_close_ int in = open(from, O_RDONLY | O_CLOEXEC);
    struct stat st;
    off_t offset = 0;

    if (in < 0 || fstat(in, &st) < 0)
        return -errno;
    _cleanup_close_ int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (out < 0)
        return -errno;
    while (offset < st.st_size) {
        ssize_t n = copy_file_range(in, &offset, out, NULL, (size_t)(st.st_size - offset), 0);

        if (n <= 0)
            return n < 0 ? -errno : -EIO;
    }
    struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, st.st_mtim };
    return futimens(out, times) < 0 || fdatasync(out) < 0 ? -errno : 0;
}

static int link_or_copy(const char *from, const char *to)
{
    if (link(from, to) == 0)
        return 0;
    if (errno == ENOENT || errno == ENOSPC || errno == EDQUOT)
        return -errno;
    return copy_bytes(from, to);
}

/* The file of message m, wherever another program may have moved it, linked to `to` */
static int link_message(const struct folder *f, const struct index_message *m, const char *to)
{
    _cleanup_(str_free) struct str file = STR_INIT, path = STR_INIT;
    struct span base = m->file;
    bool in_new;

    str_add(&file, m->file);
    int r = link_or_copy(maildir_path(&path, f->path.data, folder_sub(m), file.data), to);
    if (r != -ENOENT)
        return r;
    r = folder_find_file(f, span_cut(&base, ':'), &file, &in_new);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    return link_or_copy(maildir_path(&path, f->path.data, in_new ? "new" : "cur", file.data), to);
}

static uint64_t translate_keywords(struct copy *c, uint64_t bits)
{
    uint64_t ret = 0;

    for (size_t i = 0; i < c->from->n_keywords; i++)
        if (bits >> i & 1)
            ret |= target_keyword(&c->to, c->from->keyword_names[i]);
    return ret;
}

static uint64_t quota_size(const struct index_message *m)
{
    struct maildir_name name;

    maildir_name_parse(m->file, &name);
    return name.size ? name.size : m->vsize;
}

/* Asked before any file is made: what a quota counts anew is all that lies in the directories. 1: there is no quota */
static int has_room(struct copy *c, const uint32_t *seqs, size_t n)
{
    const char *maildir = c->from->account->maildir;
    struct index_message m;
    uint64_t bytes = 0;
    int r = quota_check(maildir, 0, 0);

    for (size_t i = 0; i < n && r == 0; i++) {
        r = index_message_get(&c->to.txn, c->from->folder.id, mailbox_entry(c->from, seqs[i])->uid, &m);
        if (r == 0)
            bytes += quota_size(&m);
        else if (r == -ENOENT)
            r = -ESTALE;
    }
    return r == 0 ? quota_check(maildir, (int64_t)bytes, (int64_t)n) : r;
}

static int copy_message(struct copy *c, uint32_t uid, uint32_t *ret_uid)
{
    _cleanup_(str_free) struct str base = STR_INIT, file = STR_INIT, old_file = STR_INIT;
    struct index_message old, m;
    struct maildir_name name;
    char letters[27];
    int r = index_message_get(&c->to.txn, c->from->folder.id, uid, &old);

    if (r < 0)
        return r;
    str_set(&old_file, old.file);
    m = old;
    old.file = str_span(&old_file);
    maildir_name_parse(old.file, &name);
    maildir_unique(&base);
    if (name.size)
        str_addf(&base, ",S=%llu", (unsigned long long)name.size);
    if (name.vsize)
        str_addf(&base, ",W=%llu", (unsigned long long)name.vsize);
    c->bytes += quota_size(&old);
    m.keywords = translate_keywords(c, old.keywords);
    m.in_new = false;
    keywords_letters(m.keywords, letters);
    maildir_name_make(str_span(&base), m.flags, letters, &file);
    m.file = str_span(&file);
    struct str *path = &c->paths[c->n_paths];
    maildir_path(path, c->to.folder.path.data, "cur", file.data);
    r = link_message(&c->from->folder, &old, path->data);
    if (r < 0) {
        str_free(path);
        return r;
    }
    c->n_paths++;
    r = folder_add_message(&c->to.txn, c->to.folder.id, &c->to.rec, c->to.modseq, &m);
    *ret_uid = m.uid;
    return r;
}

/* The client is told of copies that a power cut does not take back. One flush for all. */
static int flush_copies(const struct copy *c)
{
    _cleanup_(str_free) struct str path = STR_INIT;

    return spool_flush_directory(maildir_path(&path, c->to.folder.path.data, "cur", NULL));
}

int mailbox_copy(struct mailbox *mb, const uint32_t *seqs, size_t n, struct span to, bool move,
                 uint32_t *ret_uidvalidity, uint32_t *ret_uids)
{
    _cleanup_(copy_done) struct copy c = { .from = mb, .to = TARGET_INIT };
    _cleanup_free_ uint32_t *uids = mem_calloc(n + 1, sizeof *uids);
    struct removal moved = { uids, n, 0 };
    int r = folder_open(mb->account, to, &c.to.folder);

    if (r < 0)
        return r;
    c.to.account = mb->account;
    c.paths = mem_calloc(n + 1, sizeof *c.paths);
    r = target_begin_from(&c.to, &mb->folder);

    int room = r == 0 && !move ? has_room(&c, seqs, n) : 1;

    if (room < 0)
        r = room;
    for (size_t i = 0; i < n && r == 0; i++) {
        uids[i] = mailbox_entry(mb, seqs[i])->uid;
        r = copy_message(&c, uids[i], &ret_uids[i]);
        if (r == -ENOENT)
            r = -ESTALE; /* the message was expunged meanwhile; -ENOENT is "no such mailbox" */
        account_written(mb->account, i + 1, n);
    }
    if (r == 0 && n > 0)
        r = flush_copies(&c);
    /* The copies are on disk, and from the first that goes on they stay: a crash leaves both, never none. */
    if (r == 0 && move)
        r = remove_messages(&c.to, &mb->folder, &moved);
    c.done = moved.done > 0;
    if (r == 0)
        r = target_commit(&c.to);
    if (r < 0)
        return account_check(mb->account, r);
    c.done = true;
    if (room == 0)
        quota_add(mb->account->maildir, (int64_t)c.bytes, (int64_t)n);
    *ret_uidvalidity = c.to.rec.uidvalidity;
    return 0;
}
