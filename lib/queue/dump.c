/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump.c - every record of a queue file, for people
 *
 * Unlike reader.c it shows as much as can be shown: sums are not checked, values out of range are
 * printed as they are. Only where no record can be made out does it stop.
 *
 * Runs in: postcat. Input may be damaged, and texts came from peers: they are escaped.
 */
#include <errno.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "mail/date.h"
#include "queue/format.h"

#define DUMP_RECORD_MAX 65536

struct dump {
    int fd;
    int (*fn)(uint64_t offset, int type, const char *type_name, struct span bytes, void *arg);
    void *arg;
    char *buf; /* DUMP_RECORD_MAX + RECORD_HEAD_SIZE */
};

static int dump_section(const struct dump *d, uint64_t at, uint64_t end)
{
    while (at < end) {
        size_t most = RECORD_HEAD_SIZE + DUMP_RECORD_MAX;
        size_t want = end - at < most ? (size_t)(end - at) : most;
        ssize_t n = queue_pread(d->fd, d->buf, want, at);
        struct record rec;

        if (n < 0)
            return (int)n;
        struct span in = span_make(d->buf, (size_t)n);
        bool some = false;

        while (record_next(&in, &rec) == 1) {
            const struct record_row *row = record_find(rec.type);
            int r =
                d->fn(at, (unsigned char)rec.type, row ? row->name : "unknown", rec.bytes, d->arg);

            if (r < 0)
                return r;
            at += RECORD_HEAD_SIZE + rec.bytes.len;
            some = true;
        }
        if (!some)
            return -EBADMSG;
    }
    return 0;
}

int queue_dump(int fd,
               int (*fn)(uint64_t offset, int type, const char *type_name, struct span bytes,
                         void *arg),
               void *arg)
{
    _cleanup_free_ char *buf = mem_realloc(NULL, DUMP_RECORD_MAX + RECORD_HEAD_SIZE, 1);
    struct dump d = {fd, fn, arg, buf};
    char first[QUEUE_HEADER_SIZE];
    struct queue_header h;
    struct stat st;
    ssize_t n = queue_pread(fd, first, sizeof first, 0);

    if (n < 0)
        return (int)n;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (queue_header_get(span_make(first, (size_t)n), (uint64_t)st.st_size, &h))
        return -EBADMSG;
    int r = dump_section(&d, QUEUE_HEADER_SIZE, h.content_offset);

    return r < 0 ? r : dump_section(&d, h.content_offset + h.content_size, (uint64_t)st.st_size);
}

/* ---- one record as text ---- */

static void print_text(struct str *s, struct span text)
{
    str_add_escaped(s, text, text.len, STR_UTF8);
}

static void print_number(struct str *s, struct span bytes)
{
    if (bytes.len == 4)
        str_add_u64(s, le32_get(bytes.ptr));
    else if (bytes.len == 8)
        str_add_u64(s, le64_get(bytes.ptr));
    else
        str_add_hex(s, bytes);
}

static void print_outcome(struct str *s, struct span bytes)
{
    static const char *const words[] = {"sent", "deferred", "bounced"};
    struct outcome_record o;

    if (outcome_record_parse(bytes, &o) < 0) {
        str_add_str(s, "(damaged)");
        return;
    }
    str_addf(s, "recipient=%u status=%s dsn=", o.number, words[o.status]);
    print_text(s, span_of(o.dsn));
    str_add_str(s, " relay=");
    print_text(s, span_of(o.relay));
    str_add_str(s, " (");
    print_text(s, span_of(o.text));
    str_add_str(s, ")");
}

static void print_journal(struct str *s, int type, struct span bytes)
{
    if (type == REC_OUTCOME)
        print_outcome(s, bytes);
    else if (type == REC_RETRY && bytes.len == 12)
        str_addf(s, "%lld attempts=%u", (long long)le64_get(bytes.ptr), le32_get(bytes.ptr + 8));
    else if (type == REC_REPORT_BEGUN && bytes.len == 12)
        str_addf(s, "%016llx kind=%u", (unsigned long long)le64_get(bytes.ptr), le32_get(bytes.ptr + 8));
    else if (type == REC_REPORT_QUEUED && bytes.len == 8)
        str_addf(s, "%016llx", (unsigned long long)le64_get(bytes.ptr));
    else if (type == REC_REPORTED && bytes.len == 8)
        str_addf(s, "first=%u count=%u", le32_get(bytes.ptr), le32_get(bytes.ptr + 4));
    else
        str_add_hex(s, bytes);
}

void queue_record_print(int type, struct span bytes, struct str *ret)
{
    const struct record_row *row = record_find((char)type);

    if (!row) {
        str_add_str(ret, "unknown: ");
        str_add_hex(ret, bytes);
        return;
    }
    /* What Postfix has a record type of its own for stands by itself, all else is an attribute. */
    bool own = row->letter == REC_CREATE_TIME || row->letter == REC_SENDER ||
               row->section == SECTION_JOURNAL || row->section == SECTION_RECIPIENT;

    str_addf(ret, own ? "%s: " : "named_attribute: %s=", row->name);
    if (row->letter == REC_CREATE_TIME && bytes.len == 8)
        date_rfc5322(ret, (int64_t)(le64_get(bytes.ptr) / 1000000));
    else if (row->section == SECTION_JOURNAL)
        print_journal(ret, type, bytes);
    else if (row->kind == KIND_TEXT)
        print_text(ret, bytes);
    else
        print_number(ret, bytes);
}
