/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_arrivals.c - messages that APPEND has stored and no commit of the index has yet
 *
 * A commit of LMDB writes a dozen pages that lie apart, and waits for the disk. What a client was told of an appended message is on
 * disk with its file, though (name and date, see scan.c), so that its place in the index need not be: a line in a file
 * beside it does, for the other sessions. The next transaction that writes takes all of them into the index, and so does the
 * next one that reads, unless it can do with what index_begin_look() says.
 *
 * The file is written under LMDB's writer lock and never flushed. Its head says which state of the mailbox it continues: when the
 * mailbox is in another one they have been taken in already, or a power cut has taken that state back. No state comes twice, since
 * UIDNEXT and HIGHESTMODSEQ only grow. A reader reads the file first and begins its transaction then: what it misses in
 * the one it finds in the other.
 *
 * Runs in: imapd, pop3d, as the mailbox owner. What is read may be damaged, or half written.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "mailbox/index_parts.h"

/* One message, and what its arrival has made of the mailbox; its name follows. */
struct packed {
    uint32_t sum;           /* of the rest, with that of the head */
    uint16_t name_len;
    uint8_t flags, touched;
    uint32_t uid;
    uint64_t keywords, modseq, vsize, received, cur_stamp;
} __attribute__((packed));

enum { PACKED_MAX = sizeof(struct packed) + 255 };
_Static_assert(sizeof(struct arrivals_head) + INDEX_ARRIVALS_MAX * PACKED_MAX <= ARRIVALS_SIZE, "there is room for all");

int arrivals_open(struct index_arrivals *a, const char *path)
{
    a->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return a->fd < 0 ? -errno : 0;
}

void arrivals_close(struct index_arrivals *a)
{
    if (a->fd >= 0)
        close(a->fd);
}

/* ---- bytes ---- */

/* Behind the sum, which is the first member of both */
static uint32_t sum_of(const void *record, size_t size)
{
    return record_sum(span_make((const char *)record + sizeof(uint32_t), size - sizeof(uint32_t)));
}

static struct arrivals_head head_of(uint64_t id, const struct index_mailbox *rec)
{
    struct arrivals_head h = {
        .uidvalidity = htole32(rec->uidvalidity),
        .uidnext = htole32(rec->uidnext),
        .id = htole64(id),
        .highestmodseq = htole64(rec->highestmodseq),
    };

    h.sum = htole32(sum_of(&h, sizeof h));
    return h;
}

static size_t encode(const struct arrivals_head *h, const struct index_mailbox *rec, const struct index_message *m, char *ret)
{
    struct packed p = {
        .name_len = htole16((uint16_t)m->file.len),
        .flags = (uint8_t)m->flags,
        .touched = (uint8_t)rec->touched,
        .uid = htole32(m->uid),
        .keywords = htole64(m->keywords),
        .modseq = htole64(m->modseq),
        .vsize = htole64(m->vsize),
        .received = htole64((uint64_t)m->received),
        .cur_stamp = htole64(rec->cur_stamp),
    };
    size_t size = sizeof p + m->file.len;

    memcpy(ret, &p, sizeof p);
    memcpy(ret + sizeof p, m->file.ptr, m->file.len);
    p.sum = h->sum ^ htole32(sum_of(ret, size));
    memcpy(ret, &p.sum, sizeof p.sum);
    return size;
}

/* The next message, if it is whole and the one that comes next. Its size, or 0. */
static size_t decode(const struct index_arrivals *a, struct span bytes, struct arrival *ret)
{
    struct packed p;

    if (bytes.len < sizeof p)
        return 0;
    memcpy(&p, bytes.ptr, sizeof p);
    size_t size = sizeof p + le16toh(p.name_len);
    if (bytes.len < size || p.sum != (a->head.sum ^ htole32(sum_of(bytes.ptr, size))))
        return 0;
    *ret = (struct arrival){
        .message = {
            .uid = le32toh(p.uid),
            .flags = p.flags,
            .keywords = le64toh(p.keywords),
            .modseq = le64toh(p.modseq),
            .vsize = le64toh(p.vsize),
            .received = (int64_t)le64toh(p.received),
            .file = span_make(bytes.ptr + sizeof p, size - sizeof p),
        },
        .cur_stamp = le64toh(p.cur_stamp),
        .touched = p.touched,
    };
    bool is_next = ret->message.uid == le32toh(a->head.uidnext) + a->len &&
                   ret->message.modseq == le64toh(a->head.highestmodseq) + 1 + a->len;
    return is_next && record_is_file_name(ret->message.file) && p.touched <= INDEX_UNSETTLED && p.flags >> 6 == 0 ? size : 0;
}

/* ---- reading ---- */

int arrivals_read(struct index_arrivals *a)
{
    ssize_t n = pread(a->fd, a->bytes, sizeof a->bytes, 0);

    if (n < 0)
        return -errno;
    a->len = 0;
    if ((size_t)n < sizeof a->head || memcmp(a->bytes, &a->past, sizeof a->past) == 0)
        return 0;
    memcpy(&a->head, a->bytes, sizeof a->head);
    if (a->head.sum != htole32(sum_of(&a->head, sizeof a->head)))
        return 0;
    a->end = sizeof a->head;
    while (a->len < INDEX_ARRIVALS_MAX) {
        size_t size = decode(a, span_make(a->bytes + a->end, (size_t)n - a->end), &a->items[a->len]);

        if (size == 0)
            break;
        a->end += size;
        a->len++;
    }
    return a->len > 0;
}

/* Do they continue what the index has? */
int arrivals_attach(struct index_arrivals *a, struct index_txn *t)
{
    uint64_t id = le64toh(a->head.id);
    struct index_mailbox rec;
    int r = index_mailbox_get(t, id, &rec);

    if (r < 0 && r != -ENOENT)
        return r;
    if (r == 0) {
        struct arrivals_head now = head_of(id, &rec);

        if (memcmp(&now, &a->head, sizeof now) == 0) {
            t->arrivals = a;
            return 0;
        }
    }
    a->past = a->head;
    return 0;
}

static const struct index_arrivals *arrivals_of(const struct index_txn *t, uint64_t id)
{
    return t->arrivals && le64toh(t->arrivals->head.id) == id ? t->arrivals : NULL;
}

/* What one message makes of the record of its mailbox, but for the counters */
static void count_in(struct index_mailbox *rec, const struct arrival *arrival)
{
    rec->uidnext = arrival->message.uid + 1;
    rec->highestmodseq = arrival->message.modseq;
    rec->cur_stamp = arrival->cur_stamp;
    rec->touched = arrival->touched;
}

void arrivals_count(const struct index_txn *t, uint64_t id, struct index_mailbox *rec)
{
    const struct index_arrivals *a = arrivals_of(t, id);

    for (uint32_t i = 0; a && i < a->len; i++) {
        count_in(rec, &a->items[i]);
        index_count(rec, &a->items[i].message, 1);
    }
}

bool index_knows_up_to(const struct index_txn *t, uint64_t id, uint32_t uidnext, uint64_t modseq)
{
    const struct index_arrivals *a = arrivals_of(t, id);

    return a && uidnext >= le32toh(a->head.uidnext) && modseq >= le64toh(a->head.highestmodseq);
}

int index_each_arrival(const struct index_txn *t, uint64_t id, uint32_t from_uid, index_visit *fn, void *arg)
{
    const struct index_arrivals *a = arrivals_of(t, id);
    int r = 0;

    for (uint32_t i = 0; a && i < a->len && r == 0; i++)
        if (a->items[i].message.uid >= from_uid)
            r = fn(&a->items[i].message, arg);
    return r;
}

/* ---- writing ---- */

int arrivals_take_in(struct index_txn *t)
{
    _cleanup_(str_free) struct str dir = STR_INIT;
    const struct index_arrivals *a = TAKE_PTR(t->arrivals);
    struct index_mailbox rec;

    if (!a)
        return 0;
    uint64_t id = le64toh(a->head.id);
    int r = index_mailbox_get(t, id, &rec);
    if (r < 0)
        return r;
    str_set(&dir, rec.dir);
    rec.dir = str_span(&dir);
    for (uint32_t i = 0; i < a->len; i++) {
        count_in(&rec, &a->items[i]);
        r = index_message_put(t, id, &rec, NULL, &a->items[i].message);
        if (r < 0)
            return r;
    }
    t->has_taken_in = true;
    return index_mailbox_put(t, id, &rec);
}

bool index_arrival_fits(const struct index_txn *t, uint64_t id)
{
    const struct index_arrivals *a = arrivals_of(t, id);

    return !t->arrivals || (a && a->len < INDEX_ARRIVALS_MAX);
}

int index_arrival_add(struct index_txn *t, uint64_t id, const struct index_mailbox *rec, const struct index_message *m)
{
    struct index_arrivals *a = &t->index->arrivals;
    char bytes[sizeof a->head + PACKED_MAX];
    struct arrivals_head head = t->arrivals ? a->head : head_of(id, rec);
    size_t size = 0, at = 0;

    if (m->file.len > 255)
        return -ENAMETOOLONG;
    if (t->arrivals) {
        at = a->end;
    } else { /* whatever was there before is past */
        memcpy(bytes, &head, sizeof head);
        size = sizeof head;
    }
    size += encode(&head, rec, m, bytes + size);
    ssize_t n = pwrite(a->fd, bytes, size, (off_t)at);
    if (n < 0)
        return -errno;
    return (size_t)n == size ? 0 : -ENOSPC;
}
