/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan.c - make the index agree with the directories new/ and cur/
 *
 * The mtime of each directory is compared with the one recorded; only what has changed is read.
 * A delivery changes new/ alone, so that a mailbox of any size costs nothing more then. Names in cur/
 * are the truth for flags and existence: they are looked up in the index by their base.
 *
 * Three races are met here. A change in the same tick of the clock as our reading would not show in the
 * mtime: a directory that was changed a moment ago is read once more when it has been quiet. A file that another
 * program renames while we read the directory can be missed: what is missing is believed only
 * if the directory stood still meanwhile. A change by another program between ours and the mtime we
 * record for it: cur/ is read again when the mailbox is opened after some minutes.
 *
 * A power cut may take back the last changes of a directory, and leave it with a time that the index knows: within
 * one tick of the clock they all had the same. So cur/ is read once after each start of the machine.
 * It may also have taken back UIDs and modseqs of APPEND that no flushed commit has (INDEX_UNFLUSHED_MAX): the
 * file with such a UID in its date gets it again; if there is none it is an expunged message's, and never another's.
 *
 * Runs in: imapd, pop3d, as the mailbox owner. File names are anybody's.
 */
#include "mailbox/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "base/chars.h"
#include "base/clock.h"
#include "base/mem.h"
#include "mailbox/spool.h"
#include "mailbox/takeover.h"

enum {
    TICK_NS = 20 * 1000 * 1000, /* longer than a tick of the file system's clock */
    RESCAN_SECONDS = 900,
    MAX_PASSES = 3,
};

/* What the index knows of a message, while names are compared */
struct known {
    uint32_t uid, flags;
    uint64_t letters;
    bool in_new, seen;
};

/* A file that the index does not know or knows otherwise; uid 0: new */
struct found {
    char *file;
    uint32_t uid;
    bool in_new;
};

struct scan {
    struct folder *folder;
    struct index_txn *txn;
    struct index_mailbox rec;
    bool take, full;
    uint64_t modseq; /* of everything found now */
    uint32_t first_lost; /* of the UIDs that were perhaps given before the machine was started; 0: not to be thought of */
    bool found_again[INDEX_UNFLUSHED_MAX];
    struct known *known;
    size_t n_known, cap_known;
    struct found *found;
    size_t n_found, cap_found;
    struct uid_list *recent;
    struct takeover *takeover; /* NULL: none */
    bool changed, assigned;
    bool all_known; /* `known` has all that the index has, not only those in new/ */
    bool stood_still; /* nobody has changed cur/ while it was read */
};

static void forget_found(struct scan *s)
{
    for (size_t i = 0; i < s->n_found; i++)
        free(s->found[i].file);
    s->n_found = 0;
}

static void scan_done(struct scan *s)
{
    forget_found(s);
    free(s->found);
    free(s->known);
}

/* ---- stamps ---- */

uint64_t folder_stamp(const struct folder *f, const char *sub)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    struct stat st;

    if (stat(maildir_path(&path, f->path.data, sub, NULL), &st) < 0)
        return 0;
    return (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
}

/* A stamp to be trusted, or 0 when the directory may still change within the same tick. */
static uint64_t settled(uint64_t stamp)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    return stamp + TICK_NS < ns ? stamp : 0;
}

struct touch folder_touch_begin(const struct folder *f, const struct index_mailbox *mb)
{
    return (struct touch){ mb->cur_stamp != 0 && folder_stamp(f, "cur") == mb->cur_stamp };
}

void folder_touch_end(const struct folder *f, struct touch t, struct index_mailbox *mb)
{
    if (!t.known)
        return;
    mb->cur_stamp = folder_stamp(f, "cur");
    if (mb->touched == INDEX_SETTLED)
        mb->touched = INDEX_TOUCHED;
}

/* ---- reading directories ---- */

static int load_known(const struct index_message *m, void *arg)
{
    struct scan *s = arg;

    MEM_GROW(s->known, s->n_known, s->cap_known);
    s->known[s->n_known++] = (struct known){ m->uid, m->flags, m->keywords & KEYWORDS_IN_NAME, m->in_new, false };
    return 0;
}

static struct known *find_known(struct scan *s, uint32_t uid)
{
    size_t low = 0, high = s->n_known;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (s->known[mid].uid < uid)
            low = mid + 1;
        else
            high = mid;
    }
    return low < s->n_known && s->known[low].uid == uid ? &s->known[low] : NULL;
}

static void note(struct scan *s, const char *file, uint32_t uid, bool in_new)
{
    MEM_GROW(s->found, s->n_found, s->cap_found);
    s->found[s->n_found++] = (struct found){ mem_strdup(file), uid, in_new };
}

/* One directory entry */
static int look_at(struct scan *s, const char *file, bool in_new)
{
    struct maildir_name name;
    struct known *k;
    uint32_t uid;

    maildir_name_parse(span_of(file), &name);
    int r = index_name_get(s->txn, s->folder->id, name.base, &uid);
    if (r == -ENOENT) {
        note(s, file, 0, in_new);
        return 0;
    }
    if (r < 0)
        return r;
    k = find_known(s, uid);
    if (k && k->seen)
        return 0; /* a second file of that name: the first one counts */
    if (!k)
        return s->all_known ? -EBADMSG : 0;
    k->seen = true;
    if (k->in_new != in_new || k->flags != name.flags || k->letters != keywords_bits(name.keywords) ||
        (in_new && s->take))
        note(s, file, uid, in_new);
    return 0;
}

static int read_directory(struct scan *s, const char *sub, bool in_new)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    DIR *d = opendir(maildir_path(&path, s->folder->path.data, sub, NULL));
    int r = 0;

    if (!d)
        return -errno;
    for (struct dirent *e; r == 0 && (errno = 0, e = readdir(d));)
        if (e->d_name[0] != '.')
            r = look_at(s, e->d_name, in_new);
    if (r == 0)
        r = -errno;
    closedir(d);
    return r;
}

/* new/ first: a file moves from there to cur/, never back. */
static int read_both(struct scan *s)
{
    s->stood_still = false;
    for (int pass = 0; pass < MAX_PASSES && !s->stood_still; pass++) {
        uint64_t before = folder_stamp(s->folder, "cur");

        forget_found(s);
        for (size_t i = 0; i < s->n_known; i++)
            s->known[i].seen = false;
        int r = read_directory(s, "new", true);
        if (r == 0)
            r = read_directory(s, "cur", false);
        if (r < 0)
            return r;
        s->stood_still = folder_stamp(s->folder, "cur") == before;
    }
    return 0;
}

/* ---- writing down what was found ---- */

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

static int record_found(struct scan *s, const struct found *f)
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

static int record_missing(struct scan *s)
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

/* ---- one refresh ---- */

static int load_new(const struct index_message *m, void *arg)
{
    return m->in_new ? load_known(m, arg) : 0;
}

/* Seldom enough to be the occasion for cleaning up. */
static int scan_all(struct scan *s)
{
    maildir_sweep(s->folder->path.data);
    s->n_known = 0;
    s->all_known = true;
    int r = index_each_message(s->txn, s->folder->id, 1, load_known, s);

    return r < 0 ? r : read_both(s);
}

/* Only new/ has changed: a delivery. What has left new/ may be in cur/: then *all, and all is read. */
static int scan_new(struct scan *s, bool *all)
{
    int r = s->rec.in_new > 0 ? index_each_message(s->txn, s->folder->id, 1, load_new, s) : 0;

    if (r == 0)
        r = read_directory(s, "new", true);
    for (size_t i = 0; r == 0 && i < s->n_known && !*all; i++)
        *all = !s->known[i].seen;
    if (r < 0 || !*all)
        return r;
    return scan_all(s);
}

/* The first reading of a mailbox that Dovecot or Courier has had (account.c gave it their UIDVALIDITY). */
static int load_takeover(struct scan *s, struct takeover *t)
{
    _cleanup_(str_free) struct str names = STR_INIT, before = STR_INIT;

    if (s->rec.scanned != 0 || s->rec.uidnext <= 1)
        return 0;
    int r = takeover_load(s->folder->path.data, t);
    if (r <= 0 || t->uidvalidity != s->rec.uidvalidity)
        return r < 0 ? r : 0;
    s->takeover = t;
    r = index_keywords_get(s->txn, s->folder->id, &names);
    if (r < 0)
        return r;
    str_set(&before, str_span(&names));
    takeover_courier_keywords(s->folder->path.data, t, &names);
    if (span_eq(str_span(&names), str_span(&before)))
        return 0;
    r = keywords_file_write(s->folder->path.data, str_span(&names));
    return r < 0 ? r : index_keywords_put(s->txn, s->folder->id, str_span(&names));
}

bool folder_restarted(const struct index_mailbox *rec)
{
    return rec->scanned < clock_booted();
}

/* What may have been given before a power cut, and is not known to the index, is left to its messages. */
static void expect_lost(struct scan *s)
{
    if (s->rec.scanned == 0 || !folder_restarted(&s->rec) || s->rec.uidnext >= UINT32_MAX - INDEX_UNFLUSHED_MAX)
        return;
    s->first_lost = s->rec.uidnext;
    s->rec.uidnext += INDEX_UNFLUSHED_MAX;
    s->rec.highestmodseq += INDEX_UNFLUSHED_MAX;
}

/* Those that have no message: somebody who was told of one that is gone now may have to forget it. */
static int record_lost(struct scan *s)
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

static int scan_run(struct scan *s, uint64_t new_stamp, uint64_t cur_stamp)
{
    bool all = s->full || cur_stamp != s->rec.cur_stamp ||
               (s->rec.touched == INDEX_UNSETTLED && settled(cur_stamp));
    int r = all ? scan_all(s) : scan_new(s, &all);
    /* Whatever else happens in cur/ from here on is ours, if nothing has happened while it was read. */
    struct touch touch = { folder_stamp(s->folder, "cur") == cur_stamp };

    if (r < 0)
        return r;
    if (s->n_found > 0) /* of no element qsort would get a NULL pointer */
        qsort(s->found, s->n_found, sizeof *s->found, compare_found);
    for (size_t i = 0; i < s->n_found; i++) {
        r = record_found(s, &s->found[i]);
        if (r < 0)
            return r;
    }
    if (all) {
        r = record_missing(s);
        if (r == 0)
            r = record_lost(s);
        if (r < 0)
            return r;
        s->rec.scanned = clock_real();
        uint32_t touched = settled(cur_stamp) ? INDEX_SETTLED : INDEX_UNSETTLED;

        /* Written down even if nothing was found, so that changes of our own can go on from here. */
        s->changed |= s->rec.cur_stamp != cur_stamp || s->rec.touched != touched;
        s->rec.touched = touched;
        s->rec.cur_stamp = cur_stamp;
    }
    s->rec.new_stamp = settled(new_stamp);
    if (s->take && s->n_found > 0) {
        s->rec.new_stamp = 0;
        folder_touch_end(s->folder, touch, &s->rec);
    }
    return 0;
}

static bool is_unchanged(const struct folder *f, const struct index_mailbox *rec, uint64_t new_stamp,
                         uint64_t cur_stamp)
{
    bool once_more = rec->touched == INDEX_UNSETTLED && settled(cur_stamp);

    if (cur_stamp == 0 || rec->cur_stamp == 0)
        return false; /* it is gone, and what reads it will say so; or names are late */
    return (new_stamp == rec->new_stamp || new_stamp == f->new_seen) &&
           ((cur_stamp == rec->cur_stamp && !once_more) || cur_stamp == f->cur_seen);
}

/* Only new/ has another time than the one recorded, perhaps since that was within a tick, and holds nothing: there is
 * nothing to write down, and no reason to wait for the writer's lock. */
static bool is_new_empty(struct folder *f, const struct index_mailbox *rec, uint64_t new_stamp, uint64_t cur_stamp)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    bool empty = true;

    if (rec->in_new > 0 || !is_unchanged(f, rec, rec->new_stamp, cur_stamp))
        return false;
    DIR *d = opendir(maildir_path(&path, f->path.data, "new", NULL));
    if (!d)
        return false;
    errno = 0;
    for (struct dirent *e; empty && (e = readdir(d));)
        empty = e->d_name[0] == '.';
    empty = empty && errno == 0;
    closedir(d);
    if (empty)
        f->new_seen = settled(new_stamp);
    return empty;
}

/* Is cur/ to be read although its time is the one recorded? */
static bool is_due(const struct index_mailbox *rec)
{
    return rec->touched && clock_real() - rec->scanned > RESCAN_SECONDS;
}

static int refresh(struct account *a, struct folder *f, bool take, bool full, struct uid_list *recent)
{
    _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;
    _cleanup_(scan_done) struct scan s = { .folder = f, .txn = &t, .take = take, .recent = recent };
    uint64_t new_stamp = folder_stamp(f, "new"), cur_stamp = folder_stamp(f, "cur");
    int r = index_begin_look(a->index, &t);

    if (r < 0)
        return r;
    r = index_mailbox_get(&t, f->id, &s.rec);
    if (r < 0)
        return r;
    folder_follow(a, f, &s.rec);
    s.full = folder_restarted(&s.rec) || (full && is_due(&s.rec));
    if (!s.full && !(take && s.rec.in_new > 0) &&
        (is_unchanged(f, &s.rec, new_stamp, cur_stamp) || is_new_empty(f, &s.rec, new_stamp, cur_stamp)))
        return 0;
    index_end(&t);

    /* Anew, now that nobody else of ours changes anything. */
    r = folder_begin_write(a, f, &t, &s.rec);
    if (r < 0)
        return r;
    new_stamp = folder_stamp(f, "new");
    cur_stamp = folder_stamp(f, "cur");
    _cleanup_(str_free) struct str dir = STR_INIT;
    str_set(&dir, s.rec.dir);
    s.rec.dir = str_span(&dir);
    expect_lost(&s);
    s.modseq = s.rec.highestmodseq + 1;
    _cleanup_(takeover_done) struct takeover takeover = { .uidvalidity = 0 };
    r = load_takeover(&s, &takeover);
    if (r < 0)
        return r;
    r = scan_run(&s, new_stamp, cur_stamp);
    if (r < 0)
        return r;
    f->new_seen = settled(new_stamp);
    f->cur_seen = settled(cur_stamp);
    if (!s.changed && !s.full && !t.has_taken_in && s.rec.scanned != 0)
        return 0; /* nothing worth a flush: the next session reads once more */
    r = index_mailbox_put(&t, f->id, &s.rec);
    return r < 0 ? r : index_commit(&t, s.assigned);
}

/* On a full disk the mailbox is what the index has of it: it can be read, and messages be deleted to make room. */
int folder_refresh(struct account *a, struct folder *f, bool take, bool full, struct uid_list *recent)
{
    int r = refresh(a, f, take, full, recent);

    if (r == 0)
        return 0;
    f->new_seen = f->cur_seen = 0;
    if (recent)
        recent->len = 0;
    account_check(a, r); /* damage may look like this as well */
    return r == -ENOSPC || r == -EDQUOT ? 0 : r;
}

/* ---- one file ---- */

const char *folder_sub(const struct index_message *m)
{
    return m->in_new ? "new" : "cur";
}

int folder_find_file(const struct folder *f, struct span base, struct str *file, bool *in_new)
{
    static const char *const subs[] = { "new", "cur" };
    _cleanup_(str_free) struct str path = STR_INIT;
    int found = 0;

    for (size_t i = 0; i < ARRAY_LEN(subs) && !found; i++) {
        DIR *d = opendir(maildir_path(&path, f->path.data, subs[i], NULL));

        if (!d)
            return -errno;
        for (struct dirent *e; !found && (e = readdir(d));) {
            struct span rest = span_of(e->d_name);

            if (span_eq(span_cut(&rest, ':'), base)) {
                str_set(file, span_of(e->d_name));
                *in_new = i == 0;
                found = 1;
            }
        }
        closedir(d);
    }
    return found;
}
