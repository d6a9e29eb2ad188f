/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mailbox.c - open a mailbox: the snapshot in memory, and questions about it
 *
 * Opening reads the index with one cursor, whatever the number of messages, and no directory unless it
 * has changed. Whoever wants to answer from the counters first opens with MAILBOX_COUNTS_FIRST, and has
 * the messages of that very moment read afterwards. File names stay in the index, where each is looked up when it is needed, because
 * another session may rename a file at any time.
 *
 * Runs in: imapd, pop3d, as the mailbox owner.
 */
#include "mailbox/account.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>

#include "base/mem.h"
#include "mailbox/internal.h"
#include "mailbox/spool.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#define POPULATE_MIN 65536

/* Fewer messages are read in no time. */
#define MANY 1000

/* ---- the snapshot ---- */

void mailbox_set_keywords(struct mailbox *mb, struct str *names)
{
    str_free(&mb->keywords);
    free(mb->keyword_names);
    mb->keywords = TAKE(*names, STR_INIT);
    mb->n_keywords = keywords_count(str_span(&mb->keywords));
    mb->keyword_mask = mb->n_keywords < 64 ? ((uint64_t)1 << mb->n_keywords) - 1 : UINT64_MAX;
    mb->keyword_names = mem_calloc(mb->n_keywords + 1, sizeof *mb->keyword_names);
    for (size_t i = 0; i < mb->n_keywords; i++)
        mb->keyword_names[i] = keywords_name(str_span(&mb->keywords), i);
}

int mailbox_append_entries(const struct index_message *m, uint32_t n, void *mailbox)
{
    struct mailbox *mb = mailbox;

    while (mb->cap - mb->len < n)
        mb->entries = mem_realloc(mb->entries, mb->cap = mb->cap * 2 + 8, sizeof *mb->entries);
    for (uint32_t i = 0; i < n; i++)
        mb->entries[mb->len + i] = (struct mail_entry){
            .uid = m[i].uid,
            .flags = m[i].flags,
            .keywords = m[i].keywords & mb->keyword_mask,
            .modseq = m[i].modseq,
            .vsize = m[i].vsize,
            .received = m[i].received,
            .recent = m[i].in_new,
        };
    for (uint32_t i = 0; i < n; i++)
        mb->n_recent += m[i].in_new;
    mb->len += n;
    return 0;
}

void mailbox_mark_recent(struct mailbox *mb, const struct uid_list *recent)
{
    for (size_t i = 0; i < recent->len; i++) {
        uint32_t seq = mailbox_seq(mb, recent->items[i]);

        if (seq > 0 && !TAKE(mb->entries[seq - 1].recent, true))
            mb->n_recent++;
    }
}

/* All pages of a large array at once: a fault for each would take longer than filling them. */
static void populate(void *array, size_t size)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = ((uintptr_t)array + page - 1) / page * page,
              to = ((uintptr_t)array + size) / page * page;

    if (to > from && to - from > POPULATE_MIN)
        madvise((void *)from, to - from, MADV_POPULATE_WRITE); /* older kernels do not know it */
}

/* What is told of a mailbox without looking at its messages. The read transaction stays open: what is read later is
 * what was there now. */
static int load_counts(struct mailbox *mb)
{
    _cleanup_(str_free) struct str keywords = STR_INIT;
    struct index_mailbox rec;
    int r = index_begin_read(mb->account->index, &mb->txn);

    if (r < 0)
        return r;
    r = index_mailbox_get(&mb->txn, mb->folder.id, &rec);
    if (r < 0)
        return r;
    r = index_keywords_get(&mb->txn, mb->folder.id, &keywords);
    if (r < 0)
        return r;
    mailbox_set_keywords(mb, &keywords);
    mb->uidvalidity = rec.uidvalidity;
    mb->uidnext = rec.uidnext;
    mb->highestmodseq = rec.highestmodseq;
    mb->promised = rec.messages;
    mb->unseen = rec.unseen;
    mb->in_new = rec.in_new;
    return 0;
}

/* Room for all entries. A counter may be wrong in a damaged index: a hint, not more. */
static void make_room(struct mailbox *mb)
{
    uint32_t cap = mb->promised < 1000000 ? mb->promised + 16 : 1000000;

    if (cap <= mb->cap)
        return;
    mb->entries = mem_realloc(mb->entries, cap, sizeof *mb->entries);
    populate(mb->entries + mb->len, (cap - mb->len) * sizeof *mb->entries);
    mb->cap = cap;
}

static int load_messages(struct mailbox *mb)
{
    uint32_t from = mb->len > 0 ? mb->entries[mb->len - 1].uid + 1 : 1;

    make_room(mb);
    int r = index_each_run(&mb->txn, mb->folder.id, from, mailbox_append_entries, mb);

    index_end(&mb->txn);
    if (r == 0 && mb->len != mb->promised)
        r = -EBADMSG; /* a page of the tree is missing */
    return account_check(mb->account, r);
}

bool mailbox_is_complete(const struct mailbox *mb)
{
    return !mb->txn.txn;
}

int mailbox_complete(struct mailbox *mb)
{
    int r = mailbox_is_complete(mb) ? 0 : load_messages(mb);

    if (r < 0)
        return r;
    mailbox_mark_recent(mb, &mb->recent);
    uid_list_done(&mb->recent);
    mb->recent = (struct uid_list){ 0 };
    return 0;
}

static int open_folder(struct account *a, struct span name, unsigned flags, struct mailbox **ret)
{
    struct mailbox *mb = mem_new(struct mailbox);

    mb->account = a;
    mb->read_only = flags & MAILBOX_READ_ONLY;
    str_set(&mb->name, name);
    mailbox_watch_init(mb);
    *ret = mb;
    return folder_open(a, name, &mb->folder);
}

/* Its directory is there: that it has no record is the doing of another session just now, or damage. */
static int not_opened(struct account *a, int r)
{
    if (r == -ENOENT)
        index_doubt(a->index);
    return account_check(a, r);
}

int mailbox_load(struct account *a, struct span name, unsigned flags, struct mailbox **ret)
{
    _cleanup_(mailbox_close_ptr_) struct mailbox *mb = NULL;
    int r = open_folder(a, name, flags, &mb);

    if (r < 0)
        return r;
    r = load_counts(mb);
    if (r == 0)
        r = load_messages(mb);
    if (r < 0)
        return not_opened(a, r);
    *ret = TAKE_PTR(mb);
    return 0;
}

int mailbox_open(struct account *a, struct span name, unsigned flags, struct mailbox **ret)
{
    _cleanup_(mailbox_close_ptr_) struct mailbox *mb = NULL;
    int r = open_folder(a, name, flags, &mb);

    if (r < 0)
        return r;
    r = folder_refresh(a, &mb->folder, !mb->read_only, true, &mb->recent);
    if (r == 0)
        r = load_counts(mb);
    if (r == 0 && !((flags & MAILBOX_COUNTS_FIRST) && mb->promised >= MANY))
        r = mailbox_complete(mb);
    if (r < 0)
        return not_opened(a, r);
    *ret = TAKE_PTR(mb);
    return 0;
}

void mailbox_close(struct mailbox *mb)
{
    if (!mb)
        return;
    mailbox_watch_end(mb);
    index_end(&mb->txn);
    mailbox_finish_names(mb);
    pending_notes_write(mb);
    pending_notes_done(&mb->pending);
    uid_list_done(&mb->recent);
    folder_done(&mb->folder);
    str_free(&mb->name);
    str_free(&mb->keywords);
    free(mb->keyword_names);
    free(mb->entries);
    free(mb);
}

/* ---- questions ---- */

uint64_t mailbox_id(const struct mailbox *mb)
{
    return mb->folder.id;
}

bool mailbox_exists(const struct mailbox *mb)
{
    _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;
    struct index_mailbox rec;
    int r = index_begin_look(mb->account->index, &t);

    return r < 0 || index_mailbox_get(&t, mb->folder.id, &rec) != -ENOENT;
}

uint32_t mailbox_uidvalidity(const struct mailbox *mb)
{
    return mb->uidvalidity;
}

uint32_t mailbox_uidnext(const struct mailbox *mb)
{
    return mb->uidnext;
}

uint64_t mailbox_highestmodseq(const struct mailbox *mb)
{
    return mb->highestmodseq;
}

uint64_t mailbox_told_modseq(const struct mailbox *mb)
{
    if (mb->n_expunged == 0)
        return mb->highestmodseq;
    return mb->first_untold > 1 ? mb->first_untold - 1 : 1;
}

bool mailbox_read_only(const struct mailbox *mb)
{
    return mb->read_only;
}

uint32_t mailbox_count(const struct mailbox *mb)
{
    return mailbox_is_complete(mb) ? mb->len : mb->promised;
}

uint32_t mailbox_recent(const struct mailbox *mb)
{
    if (!mailbox_is_complete(mb)) /* those that were taken from new/ a moment ago, those that nobody may take from there */
        return (uint32_t)mb->recent.len + mb->in_new;
    return mb->n_recent;
}

static int find_unseen(const struct index_message *m, void *mailbox)
{
    mailbox_append_entries(m, 1, mailbox);
    return !(m->flags & MAIL_SEEN);
}

int mailbox_first_unseen(struct mailbox *mb, uint32_t *ret)
{
    uint32_t i = 0;

    *ret = 0;
    if (!mailbox_is_complete(mb) && mb->unseen > 0 && mb->len == 0) {
        int r = index_each_message(&mb->txn, mb->folder.id, 1, find_unseen, mb);
        if (r <= 0)
            return account_check(mb->account, r < 0 ? r : -EBADMSG); /* the counter says that there is one */
        *ret = mb->len;
        return 0;
    }
    while (i < mb->len && mb->entries[i].flags & MAIL_SEEN)
        i++;
    *ret = i < mb->len ? i + 1 : 0;
    return 0;
}

const struct mail_entry *mailbox_entry(const struct mailbox *mb, uint32_t seq)
{
    assert(seq >= 1 && seq <= mb->len);
    return &mb->entries[seq - 1];
}

uint32_t mailbox_seq_from(const struct mailbox *mb, uint32_t uid)
{
    uint32_t low = 0, high = mb->len;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (mb->entries[mid].uid < uid)
            low = mid + 1;
        else
            high = mid;
    }
    return low + 1;
}

uint32_t mailbox_seq(const struct mailbox *mb, uint32_t uid)
{
    uint32_t seq = mailbox_seq_from(mb, uid);

    return seq <= mb->len && mb->entries[seq - 1].uid == uid ? seq : 0;
}

size_t mailbox_keywords(const struct mailbox *mb)
{
    return mb->n_keywords;
}

const char *mailbox_keyword(const struct mailbox *mb, size_t i)
{
    assert(i < mb->n_keywords);
    return mb->keyword_names[i];
}

/* ---- message files ---- */

/* A message that the index has not: has it gone since the snapshot was taken? */
static bool may_have_gone(struct mailbox *mb, struct index_txn *t, uint32_t uid)
{
    uint32_t seq = mailbox_seq(mb, uid);
    struct index_mailbox rec;

    return seq == 0 || mb->entries[seq - 1].expunged || index_mailbox_get(t, mb->folder.id, &rec) < 0 ||
           rec.highestmodseq > mb->highestmodseq;
}

static int find_message(struct mailbox *mb, uint32_t uid, struct str *file, bool *in_new)
{
    _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;
    struct index_message m;
    int r = index_begin_read(mb->account->index, &t);

    if (r < 0)
        return r;
    r = index_message_get(&t, mb->folder.id, uid, &m);
    if (r < 0)
        return r == -ENOENT && !may_have_gone(mb, &t, uid) ? -EBADMSG : r;
    str_set(file, m.file);
    *in_new = m.in_new;
    return index_name_check(&t, mb->folder.id, &m);
}

static int open_file(const struct folder *f, const struct str *file, bool in_new)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    int fd = open(maildir_path(&path, f->path.data, in_new ? "new" : "cur", file->data),
                  O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    return fd < 0 ? -errno : fd;
}

int mailbox_open_message(struct mailbox *mb, uint32_t seq)
{
    _cleanup_(str_free) struct str file = STR_INIT;
    uint32_t uid = mailbox_entry(mb, seq)->uid;
    bool in_new;

    /* Once more after a refresh: another program may have renamed the file since the index was read. */
    for (int attempt = 0; attempt < 2; attempt++) {
        int r = find_message(mb, uid, &file, &in_new);

        if (r < 0)
            return account_check(mb->account, r);
        int fd = open_file(&mb->folder, &file, in_new);
        if (fd != -ENOENT)
            return fd;
        if (attempt == 0) {
            r = folder_refresh(mb->account, &mb->folder, false, false, NULL);
            if (r < 0)
                return account_check(mb->account, r);
        }
    }
    /* A name that says the same in other letters is none that a refresh takes note of. */
    struct span base = str_span(&file);
    int r = folder_find_file(&mb->folder, span_cut(&base, ':'), &file, &in_new);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    return open_file(&mb->folder, &file, in_new);
}

int mailbox_file_base(struct mailbox *mb, uint32_t seq, struct str *ret)
{
    _cleanup_(str_free) struct str file = STR_INIT;
    bool in_new;
    int r = find_message(mb, mailbox_entry(mb, seq)->uid, &file, &in_new);

    if (r < 0)
        return account_check(mb->account, r);
    struct span rest = str_span(&file);
    str_set(ret, span_cut(&rest, ':'));
    return 0;
}
