/* SPDX-License-Identifier: Apache-2.0 */
/*
 * folders.c - the mailboxes of an account: list, create, delete, rename
 *
 * Directories are the truth; the index follows a mailbox by the number in its directory, so that a
 * rename here is a rename there and nothing else. A mailbox that is deleted while it has
 * inferiors stays, empty, under a new UIDVALIDITY, and does not become \Noselect as elsewhere: Outlook goes on to store
 * into such a parent, and loses the mail.
 *
 * Runs in: imapd, pop3d, as the mailbox owner. Names come from the client; the directory may hold anything.
 */
#include "mailbox/account.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "mailbox/internal.h"
#include "mailbox/listing.h"
#include "mailbox/quota.h"
#include "mailbox/spool.h"

/* RFC 6154. The first name of a use that exists has it. */
static const struct {
    const char *name, *use;
} special_uses[] = {
    { "Archive", "\\Archive" },
    { "Archives", "\\Archive" },
    { "Drafts", "\\Drafts" },
    { "Junk", "\\Junk" },
    { "Spam", "\\Junk" },
    { "Sent", "\\Sent" },
    { "Sent Items", "\\Sent" },
    { "Sent Messages", "\\Sent" },
    { "Trash", "\\Trash" },
    { "Deleted Items", "\\Trash" },
    { "Deleted Messages", "\\Trash" },
};

/* ---- directories ---- */

static const char *folder_path(struct str *path, const struct account *a, struct span dir)
{
    str_set(path, span_of(a->maildir));
    if (dir.len > 0) {
        str_add_char(path, '/');
        str_add(path, dir);
    }
    return str_cstr(path);
}

static bool folder_exists(const struct account *a, struct span dir)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    struct stat st;

    folder_path(&path, a, dir);
    str_add_str(&path, "/cur");
    return stat(path.data, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Courier names its directories in UTF-8 since version 5. One that is no name of ours is renamed to the one that is. */
static bool adopt_folder(const struct account *a, struct span dir, struct str *ret)
{
    _cleanup_(str_free) struct str old = STR_INIT, new = STR_INIT;

    if (maildir_folder_dir_of_utf8(dir, ret) < 0 || folder_exists(a, str_span(ret)) || !folder_exists(a, dir))
        return false;
    return rename(folder_path(&old, a, dir), folder_path(&new, a, str_span(ret))) == 0;
}

/* Names of all folder directories: ".A", ".A.B" */
static int read_folders(const struct account *a, struct name_list *ret)
{
    _cleanup_(str_free) struct str name = STR_INIT, adopted = STR_INIT;
    DIR *d = opendir(a->maildir);

    if (!d)
        return -errno;
    for (struct dirent *e; (e = readdir(d));) {
        struct span dir = span_of(e->d_name);

        if (e->d_name[0] != '.')
            continue;
        if (maildir_folder_name(dir, &name) < 0 && adopt_folder(a, dir, &adopted))
            dir = str_span(&adopted);
        if (maildir_folder_name(dir, &name) < 0 || !folder_exists(a, dir))
            continue;
        MEM_GROW(ret->items, ret->len, ret->cap);
        ret->items[ret->len++] = mem_dup_span(dir);
    }
    closedir(d);
    return 0;
}

static bool is_inferior(struct span dir, struct span parent)
{
    return dir.len > parent.len && span_starts(dir, parent) && dir.ptr[parent.len] == '.';
}

static int make_folder(const struct account *a, struct span dir)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    int r = maildir_create(folder_path(&path, a, dir));

    if (r < 0)
        return r;
    str_add_str(&path, "/maildirfolder"); /* Maildir++: "this is a folder, look above for the account" */
    int fd = open(path.data, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

/* Parents that are missing: ".A", ".A.B" for ".A.B.C" */
static int make_parents(const struct account *a, struct span dir)
{
    for (size_t i = 1; i < dir.len; i++) {
        struct span parent = span_first(dir, i);

        if (dir.ptr[i] != '.' || span_eq_str(parent, ".INBOX") || folder_exists(a, parent))
            continue;
        int r = make_folder(a, parent);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Remove a directory with what is in it; a Maildir has one more level. */
static int remove_directory(const char *path, int depth)
{
    _cleanup_(str_free) struct str file = STR_INIT;
    DIR *d = opendir(path);
    int r = 0;

    if (!d)
        return -errno;
    for (struct dirent *e; r == 0 && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        maildir_path(&file, path, e->d_name, NULL);
        if (unlink(file.data) == 0)
            continue;
        r = -errno;
        if ((r == -EISDIR || r == -EPERM) && depth > 0)
            r = remove_directory(file.data, depth - 1);
    }
    closedir(d);
    if (r == 0 && rmdir(path) < 0)
        r = -errno;
    return r;
}

/* ---- list ---- */

/* Is there something that no session has taken yet? */
static bool has_new(const struct account *a, const char *mailbox)
{
    _cleanup_(str_free) struct str dir = STR_INIT, path = STR_INIT;
    bool found = false;

    if (maildir_folder_dir(span_of(mailbox), &dir) < 0)
        return false;
    folder_path(&path, a, str_span(&dir));
    str_add_str(&path, "/new");
    DIR *d = opendir(path.data);
    if (!d)
        return false;
    for (struct dirent *e; !found && (e = readdir(d));)
        found = e->d_name[0] != '.';
    closedir(d);
    return found;
}

/* The table's own text of a use; NULL if there is none such */
static const char *find_use(struct span use)
{
    for (size_t i = 0; i < ARRAY_LEN(special_uses); i++)
        if (span_eq_nocase_str(use, special_uses[i].use))
            return special_uses[i].use;
    return NULL;
}

/* The use that a mailbox was given; NULL if none */
static const char *given_use(const struct account *a, const char *mailbox)
{
    _cleanup_(str_free) struct str dir = STR_INIT, path = STR_INIT, text = STR_INIT;

    if (maildir_folder_dir(span_of(mailbox), &dir) < 0)
        return NULL;
    folder_path(&path, a, str_span(&dir));
    str_add_str(&path, "/" SPECIAL_USE_FILE);
    return read_file(path.data, 64, &text) < 0 ? NULL : find_use(span_trim(str_span(&text)));
}

static bool has_use(const struct listing *l, const char *use)
{
    for (size_t i = 0; i < l->len; i++)
        if (l->items[i].special_use == use)
            return true;
    return false;
}

/* Those that were given count first, then names. */
static void set_special_uses(const struct account *a, struct listing *l)
{
    for (size_t i = 0; i < l->len; i++)
        if (l->items[i].selectable)
            l->items[i].special_use = given_use(a, l->items[i].name);
    for (size_t i = 0; i < ARRAY_LEN(special_uses); i++) {
        struct mailbox_info *m = listing_find(l, special_uses[i].name);
        const char *use = find_use(span_of(special_uses[i].use));

        if (m && m->selectable && !m->special_use && !has_use(l, use))
            m->special_use = use;
    }
}

int account_list(struct account *a, struct mailbox_info **ret, size_t *ret_len)
{
    _cleanup_(name_list_done) struct name_list dirs = { 0 }, subscribed = { 0 };
    _cleanup_(str_free) struct str name = STR_INIT;
    struct listing l = LISTING_INIT;
    int r = read_folders(a, &dirs);

    if (r == 0)
        r = subscriptions_load(a->maildir, &subscribed);
    if (r < 0)
        return r;
    listing_add(&l, mem_strdup("INBOX"));
    for (size_t i = 0; i < dirs.len; i++)
        if (maildir_folder_name(span_of(dirs.items[i]), &name) == 0 && strcmp(name.data, "INBOX") != 0)
            listing_add(&l, mem_dup_span(str_span(&name)));
    listing_complete(&l, &subscribed);
    set_special_uses(a, &l);
    for (size_t i = 0; i < l.len; i++)
        l.items[i].marked = l.items[i].selectable && has_new(a, l.items[i].name);
    *ret = l.items;
    *ret_len = l.len;
    return 0;
}

void account_list_free(struct mailbox_info *l, size_t len)
{
    for (size_t i = 0; i < len; i++)
        free(l[i].name);
    free(l);
}

const char *account_use_of_name(struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(special_uses); i++)
        if (span_eq_str(name, special_uses[i].name))
            return find_use(span_of(special_uses[i].use));
    return NULL;
}

bool account_has(const struct account *a, struct span name)
{
    _cleanup_(str_free) struct str dir = STR_INIT;

    return maildir_folder_dir(name, &dir) == 0 && folder_exists(a, str_span(&dir));
}

/* ---- create, delete, rename ---- */

int account_create(struct account *a, struct span name)
{
    _cleanup_(str_free) struct str dir = STR_INIT;
    int r = maildir_folder_dir(name, &dir);

    if (r < 0)
        return r;
    if (folder_exists(a, str_span(&dir)))
        return -EEXIST;
    r = make_parents(a, str_span(&dir));
    return r < 0 ? r : make_folder(a, str_span(&dir));
}

int account_set_special_use(struct account *a, struct span name, struct span use)
{
    _cleanup_(str_free) struct str dir = STR_INIT, path = STR_INIT, text = STR_INIT;
    _cleanup_(name_list_done) struct name_list dirs = { 0 };
    const char *known = find_use(use);
    int r = maildir_folder_dir(name, &dir);

    if (r == 0 && !known)
        r = -EINVAL;
    if (r == 0)
        r = read_folders(a, &dirs);
    for (size_t i = 0; i < dirs.len && r == 0; i++)
        if (maildir_folder_name(span_of(dirs.items[i]), &text) == 0 && !span_eq(str_span(&text), name) &&
            given_use(a, text.data) == known)
            r = -EEXIST;
    if (r < 0)
        return r;
    folder_path(&path, a, str_span(&dir));
    str_add_str(&path, "/" SPECIAL_USE_FILE);
    str_set(&text, span_of(known));
    str_add_char(&text, '\n');
    return write_file(path.data, str_span(&text));
}

static bool has_inferiors(const struct account *a, struct span dir)
{
    _cleanup_(name_list_done) struct name_list dirs = { 0 };

    if (read_folders(a, &dirs) < 0)
        return false;
    for (size_t i = 0; i < dirs.len; i++)
        if (is_inferior(span_of(dirs.items[i]), dir))
            return true;
    return false;
}

static int forget_folder(struct account *a, uint64_t id)
{
    _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;
    int r = index_begin_write(a->index, &t);

    if (r == 0)
        r = index_mailbox_drop(&t, id);
    if (r == 0)
        r = index_commit(&t, false);
    return account_check(a, r);
}

int account_delete(struct account *a, struct span name)
{
    _cleanup_(folder_done) struct folder f = FOLDER_INIT;
    _cleanup_(str_free) struct str aside = STR_INIT;
    int r = folder_open(a, name, &f);

    if (r < 0)
        return r;
    if (f.dir.len == 0)
        return -EPERM;
    /* Out of sight in one step; then file by file. */
    str_addf(&aside, "%s/postern.deleted.%016llx", a->maildir, (unsigned long long)f.id);
    if (rename(f.path.data, aside.data) < 0)
        return -errno;
    str_set(&f.path, str_span(&aside));
    folder_announce(&f);
    if (has_inferiors(a, str_span(&f.dir))) {
        r = make_folder(a, str_span(&f.dir));
        if (r < 0)
            return r;
    }
    quota_gone(a->maildir, aside.data);
    r = remove_directory(aside.data, 1);
    return r < 0 ? r : forget_folder(a, f.id);
}

/* RFC 3501 section 6.3.5: renaming INBOX moves its messages to a new mailbox and leaves it empty. */
static int rename_inbox(struct account *a, struct span to)
{
    _cleanup_(mailbox_close_ptr_) struct mailbox *mb = NULL;
    uint32_t uidvalidity, n;
    int r = account_create(a, to);

    if (r < 0)
        return r;
    r = mailbox_open(a, (struct span)SPAN("INBOX"), 0, &mb);
    if (r < 0)
        return r;
    n = mailbox_count(mb);
    _cleanup_free_ uint32_t *seqs = mem_calloc(n + 1, sizeof *seqs);
    _cleanup_free_ uint32_t *uids = mem_calloc(n + 1, sizeof *uids);
    for (uint32_t i = 0; i < n; i++)
        seqs[i] = i + 1;
    return n > 0 ? mailbox_copy(mb, seqs, n, to, true, &uidvalidity, uids) : 0;
}

/* The directory, and what the index has of it: by that sessions find it that have it open (folder_follow). */
static int rename_one(const struct account *a, struct index_txn *t, struct span from, struct span to)
{
    _cleanup_(str_free) struct str old = STR_INIT, new = STR_INIT;
    struct index_mailbox rec;
    uint64_t id;

    if (rename(folder_path(&old, a, from), folder_path(&new, a, to)) < 0)
        return -errno;
    int r = folder_read_id(new.data, &id);
    if (r == 0)
        r = index_mailbox_get(t, id, &rec);
    if (r < 0)
        return r == -ENOENT ? 0 : r; /* never opened */
    if (!span_eq(rec.dir, from))
        return 0; /* another program's copy of a mailbox, with its number */
    rec.dir = to;
    return index_mailbox_put(t, id, &rec);
}

static int rename_inferiors(const struct account *a, struct index_txn *t, struct span from, struct span to)
{
    _cleanup_(name_list_done) struct name_list dirs = { 0 };
    int r = read_folders(a, &dirs);

    for (size_t i = 0; i < dirs.len && r == 0; i++) {
        _cleanup_(str_free) struct str new = STR_INIT;
        struct span dir = span_of(dirs.items[i]);

        if (!is_inferior(dir, from))
            continue;
        str_add(&new, to);
        str_add(&new, span_from(dir, from.len));
        r = rename_one(a, t, dir, str_span(&new));
    }
    return r;
}

int account_rename(struct account *a, struct span from, struct span to)
{
    _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;
    _cleanup_(str_free) struct str old = STR_INIT, new = STR_INIT;
    int r = maildir_folder_dir(from, &old);

    if (r == 0)
        r = maildir_folder_dir(to, &new);
    if (r < 0)
        return r;
    if (new.len == 0 || folder_exists(a, str_span(&new)))
        return -EEXIST;
    if (old.len == 0)
        return rename_inbox(a, to);
    if (is_inferior(str_span(&new), str_span(&old)))
        return -EINVAL;
    bool exists = folder_exists(a, str_span(&old));
    if (!exists && !has_inferiors(a, str_span(&old)))
        return -ENOENT;
    r = make_parents(a, str_span(&new));
    if (r == 0)
        r = index_begin_write(a->index, &t);
    if (r == 0 && exists)
        r = rename_one(a, &t, str_span(&old), str_span(&new));
    if (r == 0)
        r = rename_inferiors(a, &t, str_span(&old), str_span(&new));
    if (r == 0)
        r = index_commit(&t, false);
    return account_check(a, r);
}

/* ---- status ---- */

int account_status(struct account *a, struct span name, struct mailbox_status *ret)
{
    _cleanup_(folder_done) struct folder f = FOLDER_INIT;
    _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;
    struct index_mailbox rec;
    int r = folder_open(a, name, &f);

    if (r < 0)
        return r;
    /* Messages in new/ stay there: being asked about is no visit that makes them less recent. */
    r = folder_refresh(a, &f, false, true, NULL);
    if (r == 0)
        r = index_begin_look(a->index, &t);
    if (r == 0)
        r = index_mailbox_get(&t, f.id, &rec);
    if (r < 0)
        return account_check(a, r);
    *ret = (struct mailbox_status){
        .messages = rec.messages,
        .recent = rec.in_new,
        .unseen = rec.unseen,
        .uidnext = rec.uidnext,
        .uidvalidity = rec.uidvalidity,
        .highestmodseq = rec.highestmodseq,
        .size = rec.size,
        .deleted = rec.deleted,
        .id = f.id,
    };
    return 0;
}
