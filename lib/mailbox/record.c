/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.c - the values of the mailbox index, as bytes
 *
 * A mailbox is a row of fields with a width; encoder and decoder walk the same row, so that they
 * cannot disagree. Messages are many: they are packed structs, which cost a load for each member.
 *
 * Runs in: imapd, pop3d. Bytes come from the user's own disk, possibly damaged.
 */
#include "mailbox/record.h"

#include <endian.h>
#include <errno.h>

#include "base/mem.h"
#include "mailbox/internal.h"

/* ---- checksum ---- */

#define SUM_PRIME 0x9e3779b97f4a7c15u

static uint64_t word_at(const char *p)
{
    uint64_t n;

    memcpy(&n, p, sizeof n);
    return le64toh(n);
}

static uint64_t mix(uint64_t sum, uint64_t word)
{
    return (sum ^ word) * SUM_PRIME;
}

/* Four sums side by side, since a multiplication takes longer than reading what it is fed. */
uint32_t record_sum(struct span bytes)
{
    uint64_t a = bytes.len, b = 1, c = 2, d = 3;
    const char *p = bytes.ptr, *end = p + bytes.len / 32 * 32;
    char tail[32] = "";

    for (; p < end; p += 32) {
        a = mix(a, word_at(p));
        b = mix(b, word_at(p + 8));
        c = mix(c, word_at(p + 16));
        d = mix(d, word_at(p + 24));
    }
    if (bytes.len % 32 > 0)
        memcpy(tail, p, bytes.len % 32);
    a = mix(a, word_at(tail));
    b = mix(b, word_at(tail + 8));
    c = mix(c, word_at(tail + 16));
    d = mix(d, word_at(tail + 24));
    a = mix(a ^ a >> 32, mix(b ^ b >> 32, mix(c ^ c >> 32, d ^ d >> 32)));
    return (uint32_t)(a >> 32);
}

static void sum_begin(struct str *ret)
{
    str_reset(ret);
    str_add(ret, span_make("\0\0\0", 4));
}

static void sum_end(struct str *ret)
{
    uint32_t sum = htole32(record_sum(span_from(str_span(ret), 4)));

    memcpy(ret->data, &sum, sizeof sum);
}

/* Take the checksum off. */
static int sum_check(struct span *bytes)
{
    uint32_t sum;

    if (bytes->len < sizeof sum)
        return -EBADMSG;
    memcpy(&sum, bytes->ptr, sizeof sum);
    *bytes = span_from(*bytes, sizeof sum);
    return le32toh(sum) == record_sum(*bytes) ? 0 : -EBADMSG;
}

/* ---- mailboxes ---- */

struct field {
    unsigned width; /* bytes on disk: 1, 4, 8 */
    unsigned size;  /* of the member */
    size_t offset;
    uint64_t max;
};

#define FIELD(s, member, width, max)                                                               \
    { width, sizeof(((struct s *)0)->member), offsetof(struct s, member), max }

static const struct field mailbox_fields[] = {
    FIELD(index_mailbox, uidvalidity, 4, UINT32_MAX),
    FIELD(index_mailbox, uidnext, 4, UINT32_MAX),
    FIELD(index_mailbox, highestmodseq, 8, INT64_MAX),
    FIELD(index_mailbox, new_stamp, 8, UINT64_MAX),
    FIELD(index_mailbox, cur_stamp, 8, UINT64_MAX),
    FIELD(index_mailbox, scanned, 8, INT64_MAX),
    FIELD(index_mailbox, touched, 1, INDEX_UNSETTLED),
    FIELD(index_mailbox, messages, 4, UINT32_MAX),
    FIELD(index_mailbox, unseen, 4, UINT32_MAX),
    FIELD(index_mailbox, deleted, 4, UINT32_MAX),
    FIELD(index_mailbox, in_new, 4, UINT32_MAX),
    FIELD(index_mailbox, size, 8, UINT64_MAX),
    FIELD(index_mailbox, expunged, 4, UINT32_MAX),
    FIELD(index_mailbox, expunged_since, 8, INT64_MAX),
};

static uint64_t member_get(const void *record, const struct field *f)
{
    uint64_t n = 0;

    memcpy(&n, (const char *)record + f->offset, f->size);
    return n;
}

static void encode(const void *record, const struct field *fields, size_t n, struct str *ret)
{
    for (const struct field *f = fields; f < fields + n; f++) {
        uint64_t value = member_get(record, f);

        for (unsigned i = 0; i < f->width; i++)
            str_add_char(ret, (char)(value >> (8 * i) & 255));
    }
}

static uint64_t number_get(const char *p, unsigned width)
{
    uint64_t n8;
    uint32_t n4;

    switch (width) {
    case 8:
        memcpy(&n8, p, 8);
        return le64toh(n8);
    case 4:
        memcpy(&n4, p, 4);
        return le32toh(n4);
    }
    return (unsigned char)*p;
}

static int decode(struct span *bytes, const struct field *fields, size_t n, void *record)
{
    for (const struct field *f = fields; f < fields + n; f++) {
        uint64_t value;

        if (bytes->len < f->width)
            return -EBADMSG;
        value = number_get(bytes->ptr, f->width);
        if (value > f->max)
            return -EBADMSG;
        memcpy((char *)record + f->offset, &value, f->size);
        *bytes = span_from(*bytes, f->width);
    }
    return 0;
}

bool record_is_file_name(struct span name)
{
    return name.len <= 255 && span_chr(name, '/') < 0 && span_chr(name, '\0') < 0 &&
           !span_eq_str(name, ".") && !span_eq_str(name, "..");
}

void record_mailbox_encode(const struct index_mailbox *m, struct str *ret)
{
    sum_begin(ret);
    encode(m, mailbox_fields, ARRAY_LEN(mailbox_fields), ret);
    str_add(ret, m->dir);
    sum_end(ret);
}

int record_mailbox_decode(struct span bytes, struct index_mailbox *ret)
{
    struct index_mailbox m = { 0 };
    int r = sum_check(&bytes);

    if (r == 0)
        r = decode(&bytes, mailbox_fields, ARRAY_LEN(mailbox_fields), &m);
    if (r < 0)
        return r;
    if (m.uidvalidity == 0 || m.uidnext == 0 || m.highestmodseq == 0 || !record_is_file_name(bytes))
        return -EBADMSG;
    m.dir = bytes;
    *ret = m;
    return 0;
}

/* ---- bytes and file names ---- */

void record_bytes_encode(struct span content, struct str *ret)
{
    sum_begin(ret);
    str_add(ret, content);
    sum_end(ret);
}

int record_bytes_decode(struct span bytes, struct span *ret)
{
    int r = sum_check(&bytes);

    if (r == 0)
        *ret = bytes;
    return r;
}

void record_name_encode(struct span name, bool whole, struct str *ret)
{
    sum_begin(ret);
    if (whole)
        str_add_char(ret, '/');
    str_add(ret, name);
    sum_end(ret);
}

int record_name_decode(struct span bytes, struct span *ret, bool *ret_whole)
{
    struct span name = SPAN_NULL;
    int r = record_bytes_decode(bytes, &name);

    if (r < 0)
        return r;
    bool whole = span_take(&name, '/') || span_chr(name, ':') >= 0;
    if (name.len == 0 || !record_is_file_name(name))
        return -EBADMSG;
    *ret = name;
    *ret_whole = whole;
    return 0;
}

/* ---- messages ---- */

struct packed {
    uint32_t uid;
    uint8_t flags, in_new;
    uint64_t keywords, modseq, vsize, received;
} __attribute__((packed));

uint32_t record_page_of(uint32_t uid)
{
    return uid / PAGE_MESSAGES;
}

void record_page_encode(const struct index_page *p, struct str *ret)
{
    sum_begin(ret);
    for (uint32_t i = 0; i < p->len; i++) {
        const struct index_message *m = &p->items[i];
        struct packed bytes = {
            .uid = htole32(m->uid),
            .flags = (uint8_t)m->flags,
            .in_new = m->in_new,
            .keywords = htole64(m->keywords),
            .modseq = htole64(m->modseq),
            .vsize = htole64(m->vsize),
            .received = htole64((uint64_t)m->received),
        };

        str_add(ret, span_make(&bytes, sizeof bytes));
    }
    sum_end(ret);
}

/* One message; what is wrong with it leaves a bit in the result, which is cheaper than asking each time. */
static uint64_t unpack(const char *bytes, uint32_t page, uint32_t last_uid, struct index_message *ret)
{
    struct packed m;

    memcpy(&m, bytes, sizeof m);
    *ret = (struct index_message){
        .uid = le32toh(m.uid),
        .flags = m.flags,
        .in_new = m.in_new & 1,
        .keywords = le64toh(m.keywords),
        .modseq = le64toh(m.modseq),
        .vsize = le64toh(m.vsize),
        .received = (int64_t)le64toh(m.received),
    };
    return (ret->modseq - 1) >> 63 | ret->modseq >> 63 | ret->vsize >> 63 | m.flags >> 6 | m.in_new >> 1 |
           (record_page_of(ret->uid) ^ page) | (ret->uid <= last_uid);
}

int record_page_decode(struct span bytes, uint32_t page, struct index_page *ret)
{
    const size_t size = sizeof(struct packed);
    uint64_t wrong = 0;
    uint32_t last = 0;

    if (sum_check(&bytes) < 0 || bytes.len == 0 || bytes.len % size != 0 || bytes.len / size > PAGE_MESSAGES)
        return -EBADMSG;
    ret->len = (uint32_t)(bytes.len / size);
    for (uint32_t i = 0; i < ret->len; i++) {
        wrong |= unpack(bytes.ptr + i * size, page, last, &ret->items[i]);
        last = ret->items[i].uid;
    }
    return wrong == 0 ? 0 : -EBADMSG;
}

/* ---- late names ---- */

struct packed_late {
    uint32_t uid;
    uint8_t flags;
    uint32_t letters;
} __attribute__((packed));

void late_names_done(struct late_names *l)
{
    free(l->items);
    *l = (struct late_names){ .stamp = 0 };
}

void record_late_encode(const struct late_names *l, struct str *ret)
{
    uint64_t stamp = htole64(l->stamp);

    sum_begin(ret);
    str_add(ret, span_make(&stamp, sizeof stamp));
    for (size_t i = 0; i < l->len; i++) {
        struct packed_late bytes = {
            .uid = htole32(l->items[i].uid),
            .flags = (uint8_t)l->items[i].flags,
            .letters = htole32((uint32_t)l->items[i].letters),
        };

        str_add(ret, span_make(&bytes, sizeof bytes));
    }
    sum_end(ret);
}

int record_late_decode(struct span bytes, struct late_names *ret)
{
    struct packed_late m;

    if (sum_check(&bytes) < 0 || bytes.len < 8 || (bytes.len - 8) % sizeof m != 0)
        return -EBADMSG;
    ret->stamp = number_get(bytes.ptr, 8);
    for (bytes = span_from(bytes, 8); bytes.len > 0; bytes = span_from(bytes, sizeof m)) {
        memcpy(&m, bytes.ptr, sizeof m);
        if (m.flags >> 6 || le32toh(m.letters) >> KEYWORDS_LETTERS)
            return -EBADMSG;
        MEM_GROW(ret->items, ret->len, ret->cap);
        ret->items[ret->len++] = (struct late_name){ le32toh(m.uid), m.flags, le32toh(m.letters) };
    }
    return 0;
}
