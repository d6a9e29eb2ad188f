/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan_read.c - read new/ and cur/, and look each name up in the index by its base
 *
 * A file that another program renames while we read the directory can be missed: so a directory that has not stood still is
 * read again, a few times.
 *
 * Runs in: imapd, pop3d, as the mailbox owner. File names are anybody's.
 */
#include "mailbox/scan_parts.h"

#include <dirent.h>
#include <errno.h>

#include "base/mem.h"
#include "mailbox/spool.h"

enum { MAX_PASSES = 3 };

static void forget_found(struct scan *s)
{
    for (size_t i = 0; i < s->n_found; i++)
        free(s->found[i].file);
    s->n_found = 0;
}

void scan_done(struct scan *s)
{
    forget_found(s);
    free(s->found);
    free(s->known);
}

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

static int load_new(const struct index_message *m, void *arg)
{
    return m->in_new ? load_known(m, arg) : 0;
}

/* Seldom enough to be the occasion for cleaning up. */
int scan_read_all(struct scan *s)
{
    maildir_sweep(s->folder->path.data);
    s->n_known = 0;
    s->all_known = true;
    int r = index_each_message(s->txn, s->folder->id, 1, load_known, s);

    return r < 0 ? r : read_both(s);
}

int scan_read_new(struct scan *s, bool *all)
{
    int r = s->rec.in_new > 0 ? index_each_message(s->txn, s->folder->id, 1, load_new, s) : 0;

    if (r == 0)
        r = read_directory(s, "new", true);
    for (size_t i = 0; r == 0 && i < s->n_known && !*all; i++)
        *all = !s->known[i].seen;
    if (r < 0 || !*all)
        return r;
    return scan_read_all(s);
}
