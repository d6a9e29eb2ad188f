/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.c - an open mailbox as a few bytes, and open again as if it had never been closed
 *
 *     flags u8  id  UIDVALIDITY  UIDNEXT  HIGHESTMODSEQ  least modseq of an expunge not told  length of the name, name
 *     number of ranges, { gap, length }...     UIDs that the client has sequence numbers for
 *     number of ranges, { gap, length }...     those that are \Recent in this session
 *
 * Numbers are variable-length (7 bits a byte, the low ones first). A mailbox in which nothing was ever deleted is
 * one range. Only UIDs are kept: flags are in the index, and what has changed since HIGHESTMODSEQ is
 * found there when the mailbox is next synchronised, expunged messages included.
 *
 * Runs in: imapd, as the mailbox owner. The bytes have been with a front, and are checked.
 */
#include "mailbox/snapshot.h"

#include <errno.h>

#include "base/mem.h"
#include "mailbox/internal.h"

/* ---- writing ---- */

static void put(struct str *out, uint64_t n)
{
    for (; n >= 0x80; n >>= 7)
        str_add_char(out, (char)(n | 0x80));
    str_add_char(out, (char)n);
}

static bool always(const struct mail_entry *e)
{
    (void)e;
    return true;
}

static bool is_recent(const struct mail_entry *e)
{
    return e->recent;
}

/* The UIDs of entries for which take() is true */
static void put_ranges(const struct mailbox *mb, bool (*take)(const struct mail_entry *e), struct str *out)
{
    _cleanup_(str_free) struct str ranges = STR_INIT;
    uint32_t i = 0, last = 0, n = 0;

    while (i < mb->len) {
        if (!take(&mb->entries[i])) {
            i++;
            continue;
        }
        uint32_t first = mb->entries[i].uid, end = first;
        while (++i < mb->len && mb->entries[i].uid == end + 1 && take(&mb->entries[i]))
            end++;
        put(&ranges, first - last - 1);
        put(&ranges, end - first);
        last = end;
        n++;
    }
    put(out, n);
    str_add(out, str_span(&ranges));
}

void mailbox_snapshot(const struct mailbox *mb, struct str *ret)
{
    put(ret, mb->read_only);
    put(ret, mb->folder.id);
    put(ret, mb->uidvalidity);
    put(ret, mb->uidnext);
    put(ret, mb->highestmodseq);
    put(ret, mb->first_untold);
    put(ret, mb->name.len);
    str_add(ret, str_span(&mb->name));
    put_ranges(mb, always, ret);
    put_ranges(mb, is_recent, ret);
}

/* ---- reading ---- */

struct ranges {
    struct span in; /* of what is left */
    uint64_t left;
    uint64_t from, to; /* the current one; from > to: none any more */
};

static bool take(struct span *in, uint64_t max, uint64_t *ret)
{
    uint64_t n = 0;

    for (unsigned shift = 0; in->len > 0 && shift < 64; shift += 7) {
        unsigned char c = (unsigned char)in->ptr[0];

        *in = span_from(*in, 1);
        if (shift == 63 && c > 1)
            return false;
        n |= (uint64_t)(c & 0x7f) << shift;
        if (c < 0x80) {
            *ret = n;
            return n <= max;
        }
    }
    return false;
}

static bool ranges_next(struct ranges *r, uint64_t below)
{
    uint64_t gap, len, last = r->to;

    if (r->left == 0) {
        r->from = 1;
        r->to = 0;
        return true;
    }
    r->left--;
    if (!take(&r->in, UINT32_MAX, &gap) || !take(&r->in, UINT32_MAX, &len) || last + 1 + gap + len >= below)
        return false;
    r->from = last + 1 + gap;
    r->to = r->from + len;
    return true;
}

/* Check a list and step over it: *ret stands before its first range. */
static bool take_ranges(struct span *in, uint64_t below, struct ranges *ret)
{
    struct ranges r = { .to = 0 };

    if (!take(in, UINT32_MAX, &r.left))
        return false;
    r.in = *in;
    *ret = r;
    do
        if (!ranges_next(&r, below))
            return false;
    while (r.from <= r.to);
    *in = r.in;
    return true;
}

int snapshot_parse(struct span bytes, struct snapshot *ret)
{
    struct snapshot s = { 0 };
    uint64_t read_only, uidvalidity, uidnext, name_len;
    struct ranges r;

    if (!take(&bytes, 1, &read_only) || !take(&bytes, UINT64_MAX, &s.id) ||
        !take(&bytes, UINT32_MAX, &uidvalidity) || !take(&bytes, UINT32_MAX, &uidnext) ||
        !take(&bytes, UINT64_MAX, &s.highestmodseq) || !take(&bytes, UINT64_MAX, &s.first_untold) ||
        !take(&bytes, bytes.len, &name_len) || name_len > bytes.len)
        return -EBADMSG;
    s.read_only = read_only;
    s.uidvalidity = (uint32_t)uidvalidity;
    s.uidnext = (uint32_t)uidnext;
    s.name = span_first(bytes, name_len);
    bytes = span_from(bytes, name_len);
    s.uids = bytes;
    if (!take_ranges(&bytes, uidnext, &r))
        return -EBADMSG;
    s.recent = bytes;
    if (!take_ranges(&bytes, uidnext, &r) || bytes.len > 0)
        return -EBADMSG;
    *ret = s;
    return 0;
}

/* ---- opening ---- */

/* A message that has gone keeps its place until the client is told. */
static void add_gone(struct mailbox *mb, uint64_t from, uint64_t to)
{
    for (uint64_t uid = from; uid <= to; uid++) {
        MEM_GROW(mb->entries, mb->len, mb->cap);
        mb->entries[mb->len++] = (struct mail_entry){ .uid = (uint32_t)uid, .expunged = true };
        mb->n_expunged++;
    }
}

/* What the index has now, fitted to the UIDs that the client knows. Both are in order. */
static int fit(struct mailbox *mb, struct ranges known)
{
    struct mail_entry *now = TAKE_PTR(mb->entries);
    uint32_t n = TAKE(mb->len, 0), i = 0;

    mb->cap = 0;
    /* As many as the index has lost since are believed; their number is bounded, whatever the bytes say. */
    for (;;) {
        if (!ranges_next(&known, (uint64_t)UINT32_MAX + 1) || known.from > known.to)
            break;
        for (uint64_t uid = known.from; uid <= known.to; uid++) {
            while (i < n && now[i].uid < uid)
                i++; /* not in the snapshot: it was gone for the client before it parked */
            if (i < n && now[i].uid == uid) {
                MEM_GROW(mb->entries, mb->len, mb->cap);
                mb->entries[mb->len++] = now[i++];
                continue;
            }
            uint64_t end = i < n && now[i].uid <= known.to ? now[i].uid - 1 : known.to;
            if (mb->n_expunged + (end - uid) >= SNAPSHOT_GONE_MAX) {
                free(now);
                return -EBADMSG;
            }
            add_gone(mb, uid, end);
            uid = end;
        }
    }
    free(now);
    return 0;
}

static void mark(struct mailbox *mb, const struct snapshot *s)
{
    struct span bytes = s->recent;
    struct ranges r;

    for (uint32_t i = 0; i < mb->len; i++) {
        struct mail_entry *e = &mb->entries[i];

        e->recent = false;
        if (e->modseq > s->highestmodseq)
            e->modseq = 0; /* not told yet: the next synchronisation finds the change */
    }
    mb->n_recent = 0;
    if (!take_ranges(&bytes, s->uidnext, &r))
        return;
    while (ranges_next(&r, s->uidnext) && r.from <= r.to)
        for (uint32_t seq = mailbox_seq_from(mb, (uint32_t)r.from);
             seq <= mb->len && mb->entries[seq - 1].uid <= r.to; seq++)
            mb->n_recent += !TAKE(mb->entries[seq - 1].recent, true);
}

/* What the mailbox is called now: it may have been renamed. */
static void find_name(struct account *a, const struct snapshot *s, struct str *ret)
{
    _cleanup_(index_end) struct index_txn t = INDEX_TXN_INIT;
    struct index_mailbox rec;

    if (index_begin_look(a->index, &t) < 0 || index_mailbox_get(&t, s->id, &rec) < 0 ||
        maildir_folder_name(rec.dir, ret) < 0)
        str_set(ret, s->name);
}

int mailbox_resume(struct account *a, const struct snapshot *s, struct mailbox **ret)
{
    _cleanup_(mailbox_close_ptr_) struct mailbox *mb = NULL;
    _cleanup_(str_free) struct str name = STR_INIT;
    struct span bytes = s->uids;
    struct ranges known;

    find_name(a, s, &name);
    int r = mailbox_load(a, str_span(&name), s->read_only ? MAILBOX_READ_ONLY : 0, &mb);
    if (r < 0)
        return r;
    if (mb->folder.id != s->id || mb->uidvalidity != s->uidvalidity || mb->uidnext < s->uidnext ||
        mb->highestmodseq < s->highestmodseq)
        return -ESTALE;
    if (!take_ranges(&bytes, s->uidnext, &known))
        return -EBADMSG;
    r = fit(mb, known);
    if (r < 0)
        return r;
    mb->uidnext = s->uidnext;
    mb->highestmodseq = s->highestmodseq;
    mb->first_untold = s->first_untold > 0 || mb->n_expunged == 0 ? s->first_untold : s->highestmodseq + 1;
    mark(mb, s);
    *ret = TAKE_PTR(mb);
    return 0;
}
