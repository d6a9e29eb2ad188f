/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parked.c - what a session is made of between two commands, as bytes
 *
 *     sum u64  version u8  flags u8  keywords u32  bad commands u32  hidden u64  counters u64...  length u8, tag
 *     number u32, { from u32, to u32 }... of "$"  snapshot
 *
 * Numbers are little-endian; the snapshot has a form of its own (mailbox/snapshot.c). The sum finds accidents. A
 * forger would be the front, which holds the client's connection and can give the session commands anyway.
 *
 * Runs in: imapd, as the mailbox owner. Logs nothing.
 */
#include "parked.h"

#include <endian.h>
#include <errno.h>

#include "base/mem.h"

enum { VERSION = 2, SUM_SIZE = 8, TAG_MAX = 255 }; /* imap_tag_limit is less */
enum flag { IDLING = 1, SELECTED = 2, CONDSTORE = 4, QRESYNC = 8, REV2 = 16, UTF8 = 32, HELD = 64, ALL_FLAGS = 127 };

/* The counters in the order in which they stand */
static const size_t counters[] = {
    offsetof(struct imap_stats, in),         offsetof(struct imap_stats, out),
    offsetof(struct imap_stats, deleted),    offsetof(struct imap_stats, expunged),
    offsetof(struct imap_stats, hdr_count),  offsetof(struct imap_stats, hdr_bytes),
    offsetof(struct imap_stats, body_count), offsetof(struct imap_stats, body_bytes),
};
_Static_assert(sizeof(struct imap_stats) == ARRAY_LEN(counters) * sizeof(uint64_t), "every counter has its row");

/* FNV-1a */
static uint64_t sum_of(struct span bytes)
{
    uint64_t sum = 14695981039346656037u;

    for (size_t i = 0; i < bytes.len; i++)
        sum = (sum ^ (unsigned char)bytes.ptr[i]) * 1099511628211u;
    return sum;
}

static void put_u32(struct str *out, uint32_t n)
{
    n = htole32(n);
    str_add(out, span_make(&n, sizeof n));
}

static void put_u64(struct str *out, uint64_t n)
{
    n = htole64(n);
    str_add(out, span_make(&n, sizeof n));
}

void parked_encode(const struct imap *s, bool idling, struct str *ret)
{
    const struct span tag = span_first(str_span(&s->tag), TAG_MAX);
    const size_t begin = ret->len;
    unsigned flags = (idling ? IDLING : 0) | (s->mb ? SELECTED : 0) | (s->condstore ? CONDSTORE : 0) |
                     (s->qresync ? QRESYNC : 0) | (s->rev2 ? REV2 : 0) | (s->utf8 ? UTF8 : 0) |
                     (s->modseq_held ? HELD : 0);

    put_u64(ret, 0);
    str_add_char(ret, VERSION);
    str_add_char(ret, (char)flags);
    put_u32(ret, (uint32_t)s->keywords_told);
    put_u32(ret, s->bad_commands);
    put_u64(ret, s->hidden);
    for (size_t i = 0; i < ARRAY_LEN(counters); i++)
        put_u64(ret, *(const uint64_t *)(const void *)((const char *)&s->stats + counters[i]));
    str_add_char(ret, (char)tag.len);
    str_add(ret, tag);
    put_u32(ret, (uint32_t)s->saved.len);
    for (size_t i = 0; i < s->saved.len; i++) {
        put_u32(ret, s->saved.items[i].from);
        put_u32(ret, s->saved.items[i].to);
    }
    if (s->mb)
        mailbox_snapshot(s->mb, ret);

    uint64_t sum = htole64(sum_of(span_from(str_span(ret), begin + SUM_SIZE)));
    memcpy(ret->data + begin, &sum, sizeof sum);
}

static uint64_t take(struct span *in, size_t size)
{
    uint64_t n = 0;

    memcpy(&n, in->ptr, size);
    *in = span_from(*in, size);
    return le64toh(n);
}

static bool take_saved(struct span *in, struct seqset *ret)
{
    if (in->len < 4)
        return false;
    size_t n = (size_t)take(in, 4);
    if (n > in->len / 8)
        return false;
    if (n == 0)
        return true;
    ret->items = mem_calloc(n, sizeof *ret->items);
    ret->cap = n;
    for (; ret->len < n; ret->len++) {
        struct seqrange *r = &ret->items[ret->len];

        r->from = (uint32_t)take(in, 4);
        r->to = (uint32_t)take(in, 4);
        if (r->from == 0 || r->from > r->to || (ret->len > 0 && r->from <= r[-1].to))
            return false;
    }
    return true;
}

/* What follows the fixed part */
static bool take_rest(struct span bytes, size_t tag_len, struct parked *p)
{
    if (tag_len > bytes.len)
        return false;
    p->tag = span_first(bytes, tag_len);
    bytes = span_from(bytes, tag_len);
    return take_saved(&bytes, &p->saved) &&
           (p->selected ? snapshot_parse(bytes, &p->snapshot) == 0 : bytes.len == 0);
}

int parked_decode(struct span bytes, struct parked *ret)
{
    const size_t fixed = SUM_SIZE + 2 + 2 * 4 + 8 + ARRAY_LEN(counters) * 8 + 1;
    struct parked p = { .saved = SEQSET_INIT };

    if (bytes.len < fixed)
        return -EBADMSG;
    uint64_t sum = take(&bytes, SUM_SIZE);
    if (sum != sum_of(bytes) || take(&bytes, 1) != VERSION)
        return -EBADMSG;
    uint64_t flags = take(&bytes, 1);
    if (flags & ~(uint64_t)ALL_FLAGS)
        return -EBADMSG;
    p.idling = flags & IDLING;
    p.selected = flags & SELECTED;
    p.condstore = flags & CONDSTORE;
    p.qresync = flags & QRESYNC;
    p.rev2 = flags & REV2;
    p.utf8 = flags & UTF8;
    p.modseq_held = flags & HELD;
    p.keywords_told = (uint32_t)take(&bytes, 4);
    p.bad_commands = (uint32_t)take(&bytes, 4);
    p.hidden = take(&bytes, 8);
    for (size_t i = 0; i < ARRAY_LEN(counters); i++)
        *(uint64_t *)(void *)((char *)&p.stats + counters[i]) = take(&bytes, 8);
    size_t tag_len = (size_t)take(&bytes, 1);
    if (!take_rest(bytes, tag_len, &p)) {
        seqset_done(&p.saved);
        return -EBADMSG;
    }
    *ret = p;
    return 0;
}
