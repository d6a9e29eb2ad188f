/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kept.c - the record of a message's envelope, structure and wanted header fields
 *
 *     sum u64, version u32, limits u32, lengths of envelope, header, structure, preview plus one (0: unknown)
 *     u32 each, envelope, header, structure, preview, EMAILID
 *
 * Numbers are little-endian. The sum is over all that follows it. It finds what disks and crashes
 * do, not what a forger does: the owner of the file can change his mail itself.
 *
 * Runs in: imapd (bytes from the user's own disk). Logs nothing.
 */
#include "kept.h"

#include <endian.h>
#include <errno.h>

#include "base/mem.h"
#include "mail/header.h"
#include "mail/mime.h"

enum { VERSION = 4, HEAD_SIZE = 8 + 4 * 6 };

/* In order, for the reader. Another set of names needs another VERSION. */
static const char *const names[] = {
    "Bcc",        "Cc",          "Content-Type", "Date",       "From",
    "Importance", "In-Reply-To", "List-Id",      "List-Post",  "List-Unsubscribe",
    "Message-ID", "Newsgroups",  "Priority",     "References", "Reply-To",
    "Sender",     "Subject",     "To",           "X-Priority",
};

bool kept_field(struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (span_eq_nocase_str(name, names[i]))
            return true;
    return false;
}

void kept_header(struct span header, struct str *ret)
{
    struct header_field f;

    while (mime_field_next(&header, &f))
        if (kept_field(f.name))
            str_add(ret, f.raw);
    if (ret->len > 0 && ret->data[ret->len - 1] != '\n')
        str_add_str(ret, "\r\n");
}

/* FNV-1a, a word at a time; the length is part of it. */
static uint64_t sum_of(struct span bytes)
{
    uint64_t sum = 14695981039346656037u ^ bytes.len, word;

    for (; bytes.len >= sizeof word; bytes = span_from(bytes, sizeof word)) {
        memcpy(&word, bytes.ptr, sizeof word);
        sum = (sum ^ le64toh(word)) * 1099511628211u;
        sum ^= sum >> 32;
    }
    for (size_t i = 0; i < bytes.len; i++)
        sum = (sum ^ (unsigned char)bytes.ptr[i]) * 1099511628211u;
    return sum ^ sum >> 32;
}

static void add_u32(struct str *out, size_t n)
{
    uint32_t bytes = htole32((uint32_t)n);

    str_add(out, span_make(&bytes, sizeof bytes));
}

static uint32_t take_u32(struct span *in)
{
    uint32_t n;

    memcpy(&n, in->ptr, sizeof n);
    *in = span_from(*in, sizeof n);
    return le32toh(n);
}

static struct span take(struct span *in, size_t n)
{
    struct span front = span_first(*in, n);

    *in = span_from(*in, n);
    return front;
}

void kept_encode(const struct kept *k, uint32_t limits, struct str *ret)
{
    uint64_t sum = 0;

    str_reset(ret);
    str_reserve(ret, HEAD_SIZE + k->envelope.len + k->header.len + k->structure.len + k->preview.len +
                         k->email_id.len);
    str_add(ret, span_make(&sum, sizeof sum));
    add_u32(ret, VERSION);
    add_u32(ret, limits);
    add_u32(ret, k->envelope.len);
    add_u32(ret, k->header.len);
    add_u32(ret, k->structure.len);
    add_u32(ret, k->preview.ptr ? k->preview.len + 1 : 0);
    str_add(ret, k->envelope);
    str_add(ret, k->header);
    str_add(ret, k->structure);
    str_add(ret, k->preview);
    str_add(ret, k->email_id);
    sum = htole64(sum_of(span_from(str_span(ret), sizeof sum)));
    memcpy(ret->data, &sum, sizeof sum);
}

int kept_decode(struct span bytes, uint32_t limits, struct kept *ret)
{
    uint64_t sum;

    if (bytes.len < HEAD_SIZE)
        return -EBADMSG;
    memcpy(&sum, bytes.ptr, sizeof sum);
    bytes = span_from(bytes, sizeof sum);
    if (le64toh(sum) != sum_of(bytes) || take_u32(&bytes) != VERSION || take_u32(&bytes) != limits)
        return -EBADMSG;

    uint32_t envelope = take_u32(&bytes), header = take_u32(&bytes), structure = take_u32(&bytes),
             preview = take_u32(&bytes);

    if (envelope == 0 || (uint64_t)envelope + header + structure + preview > bytes.len + (uint64_t)(preview > 0))
        return -EBADMSG;
    ret->envelope = take(&bytes, envelope);
    ret->header = take(&bytes, header);
    ret->structure = structure > 0 ? take(&bytes, structure) : SPAN_NULL;
    ret->preview = preview > 0 ? take(&bytes, preview - 1) : SPAN_NULL;
    ret->email_id = bytes.len > 0 ? bytes : SPAN_NULL;
    return 0;
}
