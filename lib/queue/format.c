/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.c - queue file format 1: header, records, sums
 *
 * Runs in: all that read or write queue files. What is read may be damaged, so
 * nothing is believed before it was compared with the size of the file.
 */
#include "queue/format.h"

#include <errno.h>
#include <unistd.h>

#include "base/mem.h"

const struct record_row record_rows[] = {
#define ENVELOPE(letter, NAME, name, kind, member, most)                                           \
    {letter, #name, SECTION_ENVELOPE, KIND_##kind, offsetof(struct queue_envelope, member), most},
#define RECIPIENT(letter, NAME, name, kind, member, most)                                          \
    {letter, #name, SECTION_RECIPIENT, KIND_##kind, offsetof(struct queue_rcpt, member), most},
#define JOURNAL(letter, NAME, name)                                                                \
    {letter, #name, SECTION_JOURNAL, KIND_STRUCT, 0, JOURNAL_RECORD_MAX},
#include "queue/record.def"
};
const size_t record_rows_len = ARRAY_LEN(record_rows);

static const char magic[4] = {'P', 'S', 'T', 'Q'};

const struct record_row *record_find(char letter)
{
    for (size_t i = 0; i < record_rows_len; i++)
        if (record_rows[i].letter == letter)
            return &record_rows[i];
    return NULL;
}

int record_next(struct span *in, struct record *ret)
{
    if (in->len == 0)
        return 0;
    if (in->len < RECORD_HEAD_SIZE)
        return -EBADMSG;
    size_t len = le32_get(in->ptr + 1);

    if (len > in->len - RECORD_HEAD_SIZE)
        return -EBADMSG;
    ret->type = in->ptr[0];
    ret->bytes = span_make(in->ptr + RECORD_HEAD_SIZE, len);
    *in = span_from(*in, RECORD_HEAD_SIZE + len);
    return 1;
}

void record_add(struct str *s, char type, struct span bytes)
{
    char head[RECORD_HEAD_SIZE] = {type};

    le32_put(head + 1, (uint32_t)bytes.len);
    str_add(s, span_make(head, sizeof head));
    str_add(s, bytes);
}

static uint64_t sum_word(uint64_t state, const char *p)
{
    state = (state ^ le64_get(p)) * 0x9e3779b97f4a7c15u; /* odd: no word is lost in the product */
    return state ^ (state >> 32);
}

void queue_sum_add(struct queue_sum *s, struct span bytes)
{
    if (bytes.len == 0)
        return;
    if (s->n_rest > 0) {
        struct span head = span_first(bytes, sizeof s->rest - s->n_rest);

        memcpy(s->rest + s->n_rest, head.ptr, head.len);
        s->n_rest += head.len;
        bytes = span_from(bytes, head.len);
        if (s->n_rest < sizeof s->rest)
            return;
        s->state = sum_word(s->state, s->rest);
        s->n_rest = 0;
    }
    for (; bytes.len >= sizeof s->rest; bytes = span_make(bytes.ptr + 8, bytes.len - 8))
        s->state = sum_word(s->state, bytes.ptr);
    if (bytes.len > 0)
        memcpy(s->rest, bytes.ptr, bytes.len);
    s->n_rest = bytes.len;
}

uint64_t queue_sum_end(const struct queue_sum *s)
{
    char last[8] = {0};

    memcpy(last, s->rest, s->n_rest);
    return sum_word(s->state + s->n_rest, last);
}

void queue_header_put(const struct queue_header *h, char out[static QUEUE_HEADER_SIZE])
{
    memset(out, 0, QUEUE_HEADER_SIZE);
    memcpy(out, magic, sizeof magic);
    le16_put(out + 4, QUEUE_VERSION);
    le32_put(out + 8, h->n_rcpts);
    le32_put(out + 12, h->facts);
    le64_put(out + 16, h->content_offset);
    le64_put(out + 24, h->content_size);
    le64_put(out + 32, h->content_offset + h->content_size);
    le64_put(out + 40, h->envelope_sum);
    le64_put(out + 48, h->content_sum);
}

const char *queue_header_get(struct span in, uint64_t file_size, struct queue_header *ret)
{
    if (in.len < QUEUE_HEADER_SIZE)
        return "shorter than its header";
    if (le32_get(in.ptr) == 0)
        return "not complete"; /* the header is written last */
    if (memcmp(in.ptr, magic, sizeof magic) != 0)
        return "not a queue file";
    if (le16_get(in.ptr + 4) != QUEUE_VERSION)
        return "queue file of another version";
    struct queue_header h = {
        .n_rcpts = le32_get(in.ptr + 8),
        .facts = le32_get(in.ptr + 12),
        .content_offset = le64_get(in.ptr + 16),
        .content_size = le64_get(in.ptr + 24),
        .envelope_sum = le64_get(in.ptr + 40),
        .content_sum = le64_get(in.ptr + 48),
    };

    if (h.content_offset < QUEUE_HEADER_SIZE)
        return "envelope overlaps the header";
    if (h.content_offset > file_size || h.content_size > file_size - h.content_offset)
        return "content reaches beyond the end of the file";
    if (le64_get(in.ptr + 32) != h.content_offset + h.content_size)
        return "journal does not begin where the content ends";
    *ret = h;
    return NULL;
}

ssize_t queue_pread(int fd, char *buf, size_t len, uint64_t offset)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = pread(fd, buf + done, len - done, (off_t)(offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}
