/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.c - the values of the mailbox index, as bytes
 *
 * Each struct is a row of fields with a width; encoder and decoder walk the same row, so that they
 * cannot disagree.
 *
 * Runs in: imapd, pop3d. Bytes come from the user's own disk, possibly damaged.
 */
#include "mailbox/record.h"

#include <endian.h>
#include <errno.h>

#include "base/mem.h"

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
};

static const struct field message_fields[] = {
    FIELD(index_message, flags, 1, 63),
    FIELD(index_message, in_new, 1, 1),
    FIELD(index_message, keywords, 8, UINT64_MAX),
    FIELD(index_message, modseq, 8, INT64_MAX),
    FIELD(index_message, vsize, 8, INT64_MAX),
    FIELD(index_message, received, 8, UINT64_MAX),
};

static uint64_t member_get(const void *record, const struct field *f)
{
    uint64_t n = 0;

    memcpy(&n, (const char *)record + f->offset, f->size);
    return n;
}

static void encode(const void *record, const struct field *fields, size_t n, struct str *ret)
{
    str_reset(ret);
    for (const struct field *f = fields; f < fields + n; f++) {
        uint64_t value = member_get(record, f);

        for (unsigned i = 0; i < f->width; i++)
            str_add_char(ret, (char)(value >> (8 * i) & 255));
    }
}

/* One load each: opening a mailbox decodes all of its messages. */
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

/* One path component, at most as long as a file system allows */
static bool is_file_name(struct span name)
{
    return name.len <= 255 && span_chr(name, '/') < 0 && span_chr(name, '\0') < 0 &&
           !span_eq_str(name, ".") && !span_eq_str(name, "..");
}

void record_mailbox_encode(const struct index_mailbox *m, struct str *ret)
{
    encode(m, mailbox_fields, ARRAY_LEN(mailbox_fields), ret);
    str_add(ret, m->dir);
}

int record_mailbox_decode(struct span bytes, struct index_mailbox *ret)
{
    struct index_mailbox m = { 0 };
    int r = decode(&bytes, mailbox_fields, ARRAY_LEN(mailbox_fields), &m);

    if (r < 0)
        return r;
    if (m.uidvalidity == 0 || m.uidnext == 0 || m.highestmodseq == 0 || !is_file_name(bytes))
        return -EBADMSG;
    m.dir = bytes;
    *ret = m;
    return 0;
}

void record_message_encode(const struct index_message *m, struct str *ret)
{
    encode(m, message_fields, ARRAY_LEN(message_fields), ret);
    str_add(ret, m->file);
}

int record_message_decode(struct span bytes, struct index_message *ret)
{
    struct index_message m = { .uid = ret->uid };
    int r = decode(&bytes, message_fields, ARRAY_LEN(message_fields), &m);

    if (r < 0)
        return r;
    if (m.modseq == 0 || bytes.len == 0 || !is_file_name(bytes))
        return -EBADMSG;
    m.file = bytes;
    *ret = m;
    return 0;
}
