/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.h - queue file format 1: header, records and sums, for the other files of this folder and postcat
 *
 * The fixed header, numbers little-endian:
 *
 *      0  "PSTQ"                    4  u16 version    6  u16 zero
 *      8  u32 recipients           12  u32 facts about the content (facts.h)
 *     16  u64 content offset       24  u64 content size
 *     32  u64 journal offset (= content offset + size)
 *     40  u64 sum of the envelope  48  u64 sum of the content   56  u64 zero
 *
 * The sums find holes that a power cut leaves in a file whose flush had not ended. They are no
 * protection against malice: who can write the file can write the sum.
 */
#ifndef QUEUE_FORMAT_H
#define QUEUE_FORMAT_H

#include <endian.h>

#include "queue/queue.h"

#define QUEUE_HEADER_SIZE 64
#define QUEUE_VERSION     1
#define RECORD_HEAD_SIZE  5 /* type byte, u32 length */
#define JOURNAL_RECORD_MAX 8192

enum record_type {
#define ENVELOPE(letter, NAME, name, kind, member, most)  REC_##NAME = letter,
#define RECIPIENT(letter, NAME, name, kind, member, most) REC_##NAME = letter,
#define JOURNAL(letter, NAME, name)                       REC_##NAME = letter,
#include "queue/record.def"
};

enum record_section { SECTION_ENVELOPE, SECTION_RECIPIENT, SECTION_JOURNAL };
enum record_kind { KIND_TEXT, KIND_U32, KIND_U64, KIND_I64, KIND_STRUCT };

struct record_row {
    char letter;
    const char *name;
    enum record_section section;
    enum record_kind kind;
    size_t offset;          /* of the member in struct queue_envelope or struct queue_rcpt */
    uint64_t most;
};
extern const struct record_row record_rows[];
extern const size_t record_rows_len;
const struct record_row *record_find(char letter);      /* NULL if unknown */

struct record {
    char type;
    struct span bytes;
};
/* Take a record off the front. 1; 0: *in is empty; -EBADMSG: it does not hold a whole one. */
int record_next(struct span *in, struct record *ret);
void record_add(struct str *s, char type, struct span bytes);

static inline uint16_t le16_get(const char *p)
{
    uint16_t n;
    memcpy(&n, p, sizeof n);
    return le16toh(n);
}

static inline uint32_t le32_get(const char *p)
{
    uint32_t n;
    memcpy(&n, p, sizeof n);
    return le32toh(n);
}

static inline uint64_t le64_get(const char *p)
{
    uint64_t n;
    memcpy(&n, p, sizeof n);
    return le64toh(n);
}

static inline void le16_put(char *p, uint16_t n)
{
    n = htole16(n);
    memcpy(p, &n, sizeof n);
}

static inline void le32_put(char *p, uint32_t n)
{
    n = htole32(n);
    memcpy(p, &n, sizeof n);
}

static inline void le64_put(char *p, uint64_t n)
{
    n = htole64(n);
    memcpy(p, &n, sizeof n);
}

/* A sum over bytes that may come in pieces cut anywhere. */
struct queue_sum {
    uint64_t state;
    char rest[8];           /* bytes that do not fill a word yet */
    size_t n_rest;
};
void queue_sum_add(struct queue_sum *s, struct span bytes);
uint64_t queue_sum_end(const struct queue_sum *s);

struct queue_header {
    uint32_t n_rcpts, facts;
    uint64_t content_offset, content_size, envelope_sum, content_sum;
};
void queue_header_put(const struct queue_header *h, char out[static QUEUE_HEADER_SIZE]);
/* Decode, and check that the sections lie one after the other within a file of file_size bytes.
 * NULL, or what is wrong. */
const char *queue_header_get(struct span in, uint64_t file_size, struct queue_header *ret);

/* Apply one journal record to the envelope. 0, or -EBADMSG: the record is damaged. */
int journal_apply(const struct record *rec, struct queue_envelope *e);

/* The fields of an outcome record; texts point into it and are terminated. 0 or -EBADMSG. */
struct outcome_record {
    int64_t time_us;
    uint32_t number, status, fate;
    const char *dsn, *text, *relay, *remote_mta, *remote_reply;
};
int outcome_record_parse(struct span bytes, struct outcome_record *ret);

/* Read exactly up to len bytes at an offset. How many there were (less only at the end of the file) or -errno. */
ssize_t queue_pread(int fd, char *buf, size_t len, uint64_t offset);

#endif
