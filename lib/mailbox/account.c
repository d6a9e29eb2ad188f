/* SPDX-License-Identifier: Apache-2.0 */
/*
 * account.c - open an account; find a mailbox and its place in the index
 *
 * A mailbox is known to the index by a random number that lies in its directory, so that another
 * program may rename the directory and the UIDs stay. A copy of a directory has a copy
 * of the number: it gets a new one, since the first still exists. A lost index finds the
 * numbers again but no records, and gives new UIDVALIDITYs.
 *
 * Runs in: imapd, pop3d, as the mailbox owner. The directory may hold anything.
 */
#include "mailbox/account.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/chars.h"
#include "base/mem.h"
#include "base/rand.h"
#include "mailbox/internal.h"
#include "mailbox/quota.h"
#include "mailbox/saved_uidl.h"
#include "mailbox/spool.h"
#include "mailbox/takeover.h"

/* Fewer files are renamed in the time that a second commit takes. */
#define LATE_MIN 100

/* ---- small files ---- */

int read_file(const char *path, size_t max, struct str *ret)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    str_reset(ret);
    if (fd < 0)
        return -errno;
    while (ret->len <= max) {
        str_reserve(ret, 4096);
        ssize_t n = read(fd, ret->data + ret->len, 4096);

        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0) {
            ret->data[ret->len] = '\0';
            return 0;
        }
        if (n > 0)
            ret->len += (size_t)n;
    }
    return -EFBIG;
}

int write_file(const char *path, struct span bytes)
{
    _cleanup_(str_free) struct str tmp = STR_INIT;

    str_addf(&tmp, "%s.tmp%ld", path, (long)getpid());
    _cleanup_close_ int fd = open(tmp.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return -errno;
    ssize_t n = write(fd, bytes.ptr, bytes.len);
    int r = n < 0 ? -errno : (size_t)n < bytes.len ? -ENOSPC : 0;
    if (r == 0 && (fdatasync(fd) < 0 || rename(tmp.data, path) < 0))
        r = -errno;
    if (r < 0)
        unlink(tmp.data);
    return r;
}

/* ---- folders ---- */

void folder_done(struct folder *f)
{
    str_free(&f->dir);
    str_free(&f->path);
}

static void set_path(const struct account *a, struct folder *f)
{
    str_set(&f->path, span_of(a->maildir));
    if (f->dir.len > 0)
        str_addf(&f->path, "/%s", f->dir.data);
}

void folder_follow(const struct account *a, struct folder *f, const struct index_mailbox *mb)
{
    if (span_eq(mb->dir, str_span(&f->dir)))
        return;
    str_set(&f->dir, mb->dir);
    set_path(a, f);
    f->new_seen = f->cur_seen = 0;
}

static const char *id_path(struct str *path, const char *folder_path)
{
    return maildir_path(path, folder_path, FOLDER_ID_FILE, NULL);
}

int folder_read_id(const char *folder_path, uint64_t *ret)
{
    _cleanup_(str_free) struct str path = STR_INIT, text = STR_INIT;
    uint64_t id = 0;
    int r = read_file(id_path(&path, folder_path), 64, &text);

    if (r < 0)
        return r == -EFBIG ? -ENOENT : r;
    if (text.len < 16)
        return -ENOENT;
    for (int i = 0; i < 16; i++) {
        char c = char_lower(text.data[i]);

        if (!char_is(c, CHAR_XDIGIT))
            return -ENOENT;
        id = id << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *ret = id;
    return 0;
}

static int id_make(const char *folder_path, uint64_t *ret)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    char text[32];
    uint64_t id;

    rand_bytes(&id, sizeof id);
    snprintf(text, sizeof text, "%016llx\n", (unsigned long long)id);
    int r = write_file(id_path(&path, folder_path), span_of(text));
    if (r == 0)
        *ret = id;
    return r;
}

/* Does the directory that the index has for this number still hold it? Then ours is a copy. */
static bool is_copy(struct account *a, const struct folder *f, struct span recorded)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    uint64_t id;

    str_add_str(&path, a->maildir);
    if (recorded.len > 0)
        str_add_char(&path, '/');
    str_add(&path, recorded);
    return folder_read_id(path.data, &id) == 0 && id == f->id;
}

/* A mailbox that we have never seen: as Dovecot or Courier knew it, or a fresh one. */
static int first_contact(struct index_txn *t, const struct folder *f, struct index_mailbox *rec)
{
    _cleanup_(takeover_done) struct takeover list = { .uidvalidity = 0 };
    int r = takeover_load(f->path.data, &list);

    if (r < 0)
        return r;
    int saved = f->dir.len == 0 ? saved_uidls_write(f->path.data, &list) : 0;   /* POP3 knows INBOX only */
    if (saved < 0)
        return saved;
    if (r == 0)
        return index_uidvalidity_new(t, &rec->uidvalidity);
    rec->uidvalidity = list.uidvalidity;
    rec->uidnext = list.uidnext;    /* the UIDs themselves: when the directory is read (scan.c) */
    return index_uidvalidity_note(t, list.uidvalidity);
}

/* Under the writer's lock: give the folder a number if it needs one, and a record. */
static int folder_register(struct account *a, struct folder *f)
{
    _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;
    _cleanup_(str_free) struct str keywords = STR_INIT;
    struct index_mailbox rec = { .uidnext = 1, .highestmodseq = 1 };
    bool first = false;
    int r = index_begin_write(a->index, &t);

    if (r < 0)
        return r;
    r = folder_read_id(f->path.data, &f->id);
    if (r == 0) {
        r = index_mailbox_get(&t, f->id, &rec);
    } else if (r == -ENOENT) {
        first = true;
        r = id_make(f->path.data, &f->id);
        if (r < 0)
            return r;
        r = -ENOENT;
    }
    if (r == 0 && span_eq(rec.dir, str_span(&f->dir)))
        return 0; /* another session was first */
    if (r == 0 && is_copy(a, f, rec.dir)) {
        r = id_make(f->path.data, &f->id);
        if (r < 0)
            return r;
        rec = (struct index_mailbox){ .uidnext = 1, .highestmodseq = 1 };
        r = -ENOENT;
    }
    if (r == -ENOENT) {
        r = first ? first_contact(&t, f, &rec) : index_uidvalidity_new(&t, &rec.uidvalidity);
        keywords_file_read(f->path.data, &keywords);
        if (r == 0)
            r = index_keywords_put(&t, f->id, str_span(&keywords));
    }
    if (r < 0)
        return r;
    rec.dir = str_span(&f->dir);
    r = index_mailbox_put(&t, f->id, &rec);
    return r < 0 ? r : index_commit(&t, true);
}

static bool is_registered(struct account *a, struct folder *f)
{
    _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;
    struct index_mailbox rec;

    return folder_read_id(f->path.data, &f->id) == 0 && index_begin_look(a->index, &t) == 0 &&
           index_mailbox_get(&t, f->id, &rec) == 0 && span_eq(rec.dir, str_span(&f->dir));
}

int folder_open(struct account *a, struct span name, struct folder *ret)
{
    _cleanup_(folder_done) struct folder f = FOLDER_INIT;
    _cleanup_(str_free) struct str cur = STR_INIT;
    struct stat st;
    int r = maildir_folder_dir(name, &f.dir);

    if (r < 0)
        return r;
    set_path(a, &f);
    if (!is_registered(a, &f)) {
        if (stat(maildir_path(&cur, f.path.data, "cur", NULL), &st) < 0)
            return errno == ENOTDIR ? -ENOENT : -errno;
        r = folder_register(a, &f);
        if (r < 0)
            return account_check(a, r);
    }
    *ret = TAKE(f, FOLDER_INIT);
    return 0;
}

/* ---- accounts ---- */

/* What a full or a broken disk says, and LMDB where its list of free pages is damaged */
static bool may_be_damage(int r)
{
    return r == -EIO || r == -ENOSPC || r == -ENOMEM || r == -EINVAL || r == -EFBIG;
}

int account_check(struct account *a, int r)
{
    if (r == -EBADMSG)
        index_discard(a->index);
    if (may_be_damage(r))
        index_doubt(a->index);
    return r;
}

int account_open(const char *maildir, struct account **ret, struct str *err)
{
    _cleanup_(account_close_ptr_) struct account *a = mem_new(struct account);
    int r;

    a->maildir = mem_strdup(maildir);
    a->late_min = LATE_MIN;
    r = maildir_create(maildir);
    if (r < 0) {
        str_addf(err, "cannot create %s: %s", maildir, strerror(-r));
        return r;
    }
    r = index_open(maildir, &a->index);
    if (r < 0) {
        str_addf(err, "cannot open the index of %s: %s", maildir, strerror(-r));
        return r;
    }
    *ret = TAKE_PTR(a);
    return 0;
}

void account_watch(struct account *a, struct account_watcher watcher)
{
    a->watcher = watcher;
}

void account_close(struct account *a)
{
    if (!a)
        return;
    index_close(a->index);
    free(a->maildir);
    free(a);
}

int account_quota(struct account *a, struct quota *ret)
{
    return quota_load(a->maildir, ret);
}

int account_room(struct account *a, uint64_t bytes, uint64_t messages)
{
    int r = quota_check(a->maildir, (int64_t)bytes, (int64_t)messages);

    return r < 0 ? r : 0;
}

void uid_list_done(struct uid_list *l)
{
    free(l->items);
}
