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
#include "mailbox/scan_parts.h"

#include <dirent.h>
#include <errno.h>

#include "base/clock.h"
#include "base/mem.h"
#include "mailbox/spool.h"
#include "mailbox/takeover.h"

enum { RESCAN_SECONDS = 900 };

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

static int scan_run(struct scan *s, uint64_t new_stamp, uint64_t cur_stamp)
{
    bool all = s->full || cur_stamp != s->rec.cur_stamp ||
               (s->rec.touched == INDEX_UNSETTLED && folder_settled(cur_stamp));
    int r = all ? scan_read_all(s) : scan_read_new(s, &all);
    /* Whatever else happens in cur/ from here on is ours, if nothing has happened while it was read. */
    struct touch touch = { folder_stamp(s->folder, "cur") == cur_stamp };

    if (r < 0)
        return r;
    r = scan_record_found(s);
    if (r < 0)
        return r;
    if (all) {
        r = scan_record_missing(s);
        if (r == 0)
            r = scan_record_lost(s);
        if (r < 0)
            return r;
        s->rec.scanned = clock_real();
        uint32_t touched = folder_settled(cur_stamp) ? INDEX_SETTLED : INDEX_UNSETTLED;

        /* Written down even if nothing was found, so that changes of our own can go on from here. */
        s->changed |= s->rec.cur_stamp != cur_stamp || s->rec.touched != touched;
        s->rec.touched = touched;
        s->rec.cur_stamp = cur_stamp;
    }
    s->rec.new_stamp = folder_settled(new_stamp);
    if (s->take && s->n_found > 0) {
        s->rec.new_stamp = 0;
        folder_touch_end(s->folder, touch, &s->rec);
    }
    return 0;
}

static bool is_unchanged(const struct folder *f, const struct index_mailbox *rec, uint64_t new_stamp,
                         uint64_t cur_stamp)
{
    bool once_more = rec->touched == INDEX_UNSETTLED && folder_settled(cur_stamp);

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
        f->new_seen = folder_settled(new_stamp);
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
    f->new_seen = folder_settled(new_stamp);
    f->cur_seen = folder_settled(cur_stamp);
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
