/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader.c - read envelope and journal of a queue file that may be damaged
 *
 * A small fresh file costs one pread: what comes back short tells the file's size as
 * well. Sections are bounded by limits before memory is taken for them; the journal, which may be
 * long, passes through a window. Where the journal stops making sense it was torn by a crash; the
 * rest is ignored, and cut off when the descriptor is writable, so that the next record is not lost
 * behind it.
 *
 * Runs in: qmgr, bounce, pickup, postcat, postsuper.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "queue/format.h"

#define FIRST_READ     8192
#define JOURNAL_WINDOW 65536

const struct queue_limits queue_default_limits = {
    .max_envelope = 256u << 20,
    .max_rcpts = 1000000,
    .max_journal = 4ull << 30,
};

/* The beginning of the file, as much as one read gives, and what is known from it. */
struct file {
    int fd;
    uint64_t size;
    char *first;
    size_t n_first;
    struct queue_header header;
};

static void file_done(struct file *f)
{
    free(f->first);
}

static int bad(struct str *err, const char *why)
{
    if (err) {
        str_reset(err);
        str_add_str(err, why);
    }
    return -EBADMSG;
}

static int file_open(struct file *f, int fd, struct str *err)
{
    struct stat st;

    f->fd = fd;
    f->first = mem_realloc(NULL, FIRST_READ, 1);
    ssize_t n;

    do /* a short read of a file is its end: no second one to see that */
        n = pread(fd, f->first, FIRST_READ, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    f->size = f->n_first = (size_t)n;
    if (n == FIRST_READ) {
        if (fstat(fd, &st) < 0)
            return -errno;
        f->size = (uint64_t)st.st_size;
    }
    const char *why = queue_header_get(span_make(f->first, f->n_first), f->size, &f->header);

    return why ? bad(err, why) : 0;
}

/* The envelope's bytes: within the first read, or in *own. */
static int file_envelope(const struct file *f, uint64_t max, char **own, struct span *ret,
                         struct str *err)
{
    size_t len = f->header.content_offset - QUEUE_HEADER_SIZE;

    if (len > max)
        return bad(err, "envelope larger than allowed");
    if (f->header.content_offset <= f->n_first) {
        *ret = span_make(f->first + QUEUE_HEADER_SIZE, len);
        return 0;
    }
    *own = mem_realloc(NULL, len, 1);
    ssize_t n = queue_pread(f->fd, *own, len, QUEUE_HEADER_SIZE);

    if (n < 0)
        return (int)n;
    if ((size_t)n < len)
        return bad(err, "file became shorter while it was read");
    *ret = span_make(*own, len);
    return 0;
}

/* ---- the envelope ---- */

struct envelope_parser {
    struct queue_envelope *e;
    size_t cap; /* of e->rcpts */
    uint64_t max_rcpts;
    struct queue_rcpt rcpt; /* details so far of the recipient to come */
    uint64_t seen;          /* rows, by index; those of a recipient are cleared with it */
};

static const char *set_number(const struct record_row *row, struct span bytes, void *member)
{
    size_t width = row->kind == KIND_U32 ? 4 : 8;

    if (bytes.len != width)
        return "a number of another size";
    uint64_t n = width == 4 ? le32_get(bytes.ptr) : le64_get(bytes.ptr);

    if (n > row->most)
        return "a number out of range";
    if (width == 4)
        *(uint32_t *)member = (uint32_t)n;
    else
        *(uint64_t *)member = n;
    return NULL;
}

static const char *set_text(const struct record_row *row, struct span bytes, void *member)
{
    if (bytes.len > row->most)
        return "a text longer than allowed";
    if (span_chr(bytes, '\0') >= 0)
        return "a text with a NUL in it";
    *(char **)member = mem_dup_span(bytes);
    return NULL;
}

static const char *set_member(const struct record_row *row, struct span bytes, void *object)
{
    char *member = (char *)object + row->offset;

    return row->kind == KIND_TEXT ? set_text(row, bytes, member) : set_number(row, bytes, member);
}

static uint64_t recipient_rows(void)
{
    uint64_t rows = 0;

    for (size_t i = 0; i < record_rows_len; i++)
        if (record_rows[i].section == SECTION_RECIPIENT)
            rows |= UINT64_C(1) << i;
    return rows;
}

static const char *envelope_record(struct envelope_parser *p, const struct record *rec)
{
    const struct record_row *row = record_find(rec->type);

    if (!row || row->section == SECTION_JOURNAL)
        return "unknown record in the envelope";
    uint64_t bit = UINT64_C(1) << (row - record_rows);

    if (p->seen & bit)
        return "the same record twice";
    p->seen |= bit;
    const char *why = set_member(
        row, rec->bytes, row->section == SECTION_RECIPIENT ? (void *)&p->rcpt : (void *)p->e);

    if (why || row->letter != REC_RCPT)
        return why;
    if (p->e->n_rcpts >= p->max_rcpts)
        return "more recipients than the header says";
    MEM_GROW(p->e->rcpts, p->e->n_rcpts, p->cap);
    p->e->rcpts[p->e->n_rcpts++] = p->rcpt;
    p->rcpt = (struct queue_rcpt){0};
    p->seen &= ~recipient_rows();
    return NULL;
}

static void rcpt_done(struct queue_rcpt *r)
{
    free(r->address);
    free(r->orig);
    free(r->dsn_orcpt);
    free(r->text);
    free(r->relay);
    free(r->remote_mta);
    free(r->remote_reply);
}

static void parser_done(struct envelope_parser *p)
{
    rcpt_done(&p->rcpt);
}

static const char *parse_envelope(struct span in, uint32_t n_rcpts, struct queue_envelope *e)
{
    _cleanup_(parser_done) struct envelope_parser p = {.e = e, .max_rcpts = n_rcpts};
    struct record rec;
    int r;

    while ((r = record_next(&in, &rec)) > 0) {
        const char *why = envelope_record(&p, &rec);

        if (why)
            return why;
    }
    if (r < 0)
        return "envelope ends within a record";
    if (p.seen & recipient_rows())
        return "details without a recipient";
    if (e->n_rcpts != n_rcpts)
        return "fewer recipients than the header says";
    if (!e->sender || e->arrival_us == 0)
        return "no sender or time of arrival";
    return NULL;
}

/* ---- the journal ---- */

/* Apply the whole records in the window, and say how many bytes they were; torn: what follows makes
 * no sense. */
static ssize_t apply_window(struct span window, struct queue_envelope *e, bool *torn)
{
    struct span rest = window;
    struct record rec;

    for (;;) {
        struct span before = rest;
        int r = record_next(&rest, &rec);

        if (r == 1 && (rec.bytes.len > JOURNAL_RECORD_MAX || journal_apply(&rec, e) < 0))
            r = -EINVAL;
        if (r == 1)
            continue;
        /* A record that the window cuts has at most so many bytes of it in the window. */
        *torn = r == -EINVAL || before.len > RECORD_HEAD_SIZE + JOURNAL_RECORD_MAX;
        return (ssize_t)(window.len - before.len);
    }
}

static int read_journal(int fd, uint64_t offset, struct queue_envelope *e, bool *torn,
                        uint64_t *end)
{
    _cleanup_free_ char *window = mem_realloc(NULL, JOURNAL_WINDOW, 1);

    for (;;) {
        ssize_t n = queue_pread(fd, window, JOURNAL_WINDOW, offset);

        if (n < 0)
            return (int)n;
        ssize_t used = apply_window(span_make(window, (size_t)n), e, torn);

        offset += (uint64_t)used;
        *end = offset;
        if (*torn || n < JOURNAL_WINDOW) {
            *torn = *torn || used < n;
            return 0;
        }
    }
}

static int cut_torn_tail(int fd, uint64_t end)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
        return 0;
    return ftruncate(fd, (off_t)end) < 0 ? -errno : 0;
}

/* All of a small file is in the first read. */
static bool read_first(const struct file *f, uint64_t offset, struct queue_envelope *e,
                       bool *torn, uint64_t *end)
{
    if (f->n_first == FIRST_READ)
        return false;
    struct span window = span_from(span_make(f->first, f->n_first), offset);
    ssize_t used = apply_window(window, e, torn);

    *end = offset + (uint64_t)used;
    *torn = *torn || (size_t)used < window.len;
    return true;
}

static int file_journal(const struct file *f, uint64_t max, struct queue_envelope *e,
                        struct str *err)
{
    bool torn = false;
    uint64_t end = 0;
    int r = 0;

    if (f->size == e->journal_offset)
        return 0;
    if (f->size - e->journal_offset > max)
        return bad(err, "journal larger than allowed");
    if (!read_first(f, e->journal_offset, e, &torn, &end))
        r = read_journal(f->fd, e->journal_offset, e, &torn, &end);

    return r == 0 && torn ? cut_torn_tail(f->fd, end) : r;
}

/* ---- all of it ---- */

void queue_envelope_done(struct queue_envelope *e)
{
    for (size_t i = 0; i < record_rows_len; i++)
        if (record_rows[i].section == SECTION_ENVELOPE && record_rows[i].kind == KIND_TEXT)
            free(*(char **)((char *)e + record_rows[i].offset));
    for (size_t i = 0; i < e->n_rcpts; i++)
        rcpt_done(&e->rcpts[i]);
    free(e->rcpts);
    *e = (struct queue_envelope){0};
}

static int read_envelope(const struct file *f, const struct queue_limits *l,
                         struct queue_envelope *e, struct str *err)
{
    _cleanup_free_ char *own = NULL;
    struct queue_sum sum = {0};
    struct span records;

    if (f->header.n_rcpts > l->max_rcpts)
        return bad(err, "more recipients than allowed");
    int r = file_envelope(f, l->max_envelope, &own, &records, err);

    if (r < 0)
        return r;
    queue_sum_add(&sum, records);
    if (queue_sum_end(&sum) != f->header.envelope_sum)
        return bad(err, "sum of the envelope is wrong");
    const char *why = parse_envelope(records, f->header.n_rcpts, e);

    return why ? bad(err, why) : 0;
}

int queue_read(int fd, const char *id, const struct queue_limits *l, struct queue_envelope *ret,
               struct str *err)
{
    _cleanup_(file_done) struct file f = {0};
    _cleanup_(queue_envelope_done) struct queue_envelope e = {0};
    int r = file_open(&f, fd, err);

    if (r < 0)
        return r;
    snprintf(e.id, sizeof e.id, "%s", id);
    e.content_offset = f.header.content_offset;
    e.content_size = f.header.content_size;
    e.journal_offset = e.content_offset + e.content_size;
    r = read_envelope(&f, l, &e, err);
    if (r == 0)
        r = file_journal(&f, l->max_journal, &e, err);
    if (r < 0)
        return r;
    *ret = e;
    e = (struct queue_envelope){0};
    return 0;
}

int queue_verify(int fd)
{
    _cleanup_(file_done) struct file f = {0};
    _cleanup_free_ char *buf = mem_realloc(NULL, JOURNAL_WINDOW, 1);
    struct queue_sum sum = {0};
    int r = file_open(&f, fd, NULL);

    if (r < 0)
        return r;
    uint64_t at = f.header.content_offset, end = at + f.header.content_size;

    while (at < end) {
        size_t want = end - at < JOURNAL_WINDOW ? (size_t)(end - at) : JOURNAL_WINDOW;
        ssize_t n = queue_pread(fd, buf, want, at);

        if (n < 0)
            return (int)n;
        if (n == 0)
            return -EBADMSG;
        queue_sum_add(&sum, span_make(buf, (size_t)n));
        at += (uint64_t)n;
    }
    return queue_sum_end(&sum) == f.header.content_sum ? 0 : -EBADMSG;
}
