/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer.c - write a queue file so that it is whole or recognisably not
 *
 * Bytes are gathered in one buffer. A message that fits into it goes out with
 * its header in a single write; a larger one is written in runs behind a blank
 * header, which is filled in last. Open, write, fdatasync, close are all that a small message costs, which can
 * be made in its last place (queue_aim); and since the file is made when the first byte must leave the buffer, they
 * all happen in the thread that commits: the others never wait for the disk.
 *
 * In maildrop/, where pickup looks at any time, a file is ".ID" until it is published.
 *
 * Runs in: cleanup, postdrop.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "queue/facts.h"
#include "queue/format.h"

#define WRITER_BUFFER 65536

struct queue_writer {
    int fd, dirfd; /* dirfd is borrowed from struct queue_dirs */
    mode_t mode;
    bool created;
    char name[QUEUE_ID_MAX + 2]; /* in its first place */
    char id[QUEUE_ID_MAX + 1];
    int error;      /* the first failure; all later calls return it */
    struct str buf; /* what comes after the `written` bytes in the file */
    uint64_t written;
    struct queue_header header;
    struct queue_sum sum;
    struct queue_facts facts;
};

/* ---- the envelope ---- */

static int add_member(struct str *s, const struct record_row *row, const void *object)
{
    const void *member = (const char *)object + row->offset;
    const char *text = NULL;
    uint64_t n = 0;
    char number[8];

    switch (row->kind) {
    case KIND_TEXT:
        text = *(char *const *)member;
        break;
    case KIND_U32:
        n = *(const uint32_t *)member;
        break;
    case KIND_U64:
    case KIND_I64:
        n = *(const uint64_t *)member;
        break;
    case KIND_STRUCT:
        return 0;
    }
    if (row->kind == KIND_TEXT) {
        if (text && strlen(text) > row->most)
            return -EMSGSIZE;
        if (text)
            record_add(s, row->letter, span_of(text));
        return 0;
    }
    if (n > row->most)
        return -ERANGE;
    if (n == 0 && row->letter != REC_CREATE_TIME)
        return 0;
    le64_put(number, n);
    record_add(s, row->letter, span_make(number, row->kind == KIND_U32 ? 4 : 8));
    return 0;
}

static int add_section(struct str *s, enum record_section section, const void *object)
{
    int r = 0;

    for (size_t i = 0; i < record_rows_len && r == 0; i++)
        if (record_rows[i].section == section)
            r = add_member(s, &record_rows[i], object);
    return r;
}

static int add_envelope(struct queue_writer *w, const struct queue_envelope *e)
{
    char blank[QUEUE_HEADER_SIZE] = {0};
    struct queue_sum sum = {0};

    if (!e->sender || e->n_rcpts > UINT32_MAX)
        return -EINVAL;
    str_add(&w->buf, span_make(blank, sizeof blank));
    int r = add_section(&w->buf, SECTION_ENVELOPE, e);

    for (size_t i = 0; i < e->n_rcpts && r == 0; i++)
        r = e->rcpts[i].address ? add_section(&w->buf, SECTION_RECIPIENT, &e->rcpts[i]) : -EINVAL;
    if (r < 0)
        return r;
    queue_sum_add(&sum, span_from(str_span(&w->buf), sizeof blank));
    w->header.n_rcpts = (uint32_t)e->n_rcpts;
    w->header.envelope_sum = queue_sum_end(&sum);
    w->header.content_offset = w->buf.len;
    return 0;
}

/* ---- the file ---- */

static void writer_free(struct queue_writer *w)
{
    if (w->fd >= 0)
        close(w->fd);
    str_free(&w->buf);
    free(w);
}

int queue_create(const struct queue_dirs *d, enum queue_place place, const struct queue_envelope *e,
                 struct queue_writer **ret)
{
    struct queue_writer *w = mem_new(struct queue_writer);

    w->fd = -1;
    w->dirfd = d->fd[place];
    /* A file in maildrop/ belongs to whoever ran postdrop; pickup reads it as another user. */
    w->mode = place == QUEUE_MAILDROP ? 0444 : 0600;
    snprintf(w->id, sizeof w->id, "%s", e->id);
    snprintf(w->name, sizeof w->name, "%s%s", place == QUEUE_MAILDROP ? "." : "", e->id);
    int r = queue_id_valid(span_of(e->id)) ? add_envelope(w, e) : -EINVAL;

    if (r < 0) {
        writer_free(w);
        return r;
    }
    *ret = w;
    return 0;
}

static int open_file(struct queue_writer *w)
{
    w->fd =
        openat(w->dirfd, w->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, w->mode);
    if (w->fd < 0)
        return w->error = -errno;
    w->created = true;
    return 0;
}

static int write_at(struct queue_writer *w, struct span bytes, uint64_t offset)
{
    if (!w->created && open_file(w) < 0)
        return w->error;
    while (bytes.len > 0) {
        ssize_t n = pwrite(w->fd, bytes.ptr, bytes.len, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return w->error = n < 0 ? -errno : -EIO;
        offset += (uint64_t)n;
        bytes = span_from(bytes, (size_t)n);
    }
    return 0;
}

static int write_run(struct queue_writer *w, struct span bytes)
{
    int r = write_at(w, bytes, w->written);

    if (r == 0)
        w->written += bytes.len;
    return r;
}

int queue_write(struct queue_writer *w, struct span bytes)
{
    if (w->error < 0)
        return w->error;
    queue_sum_add(&w->sum, bytes);
    queue_facts_add(&w->facts, bytes);
    w->header.content_size += bytes.len;
    if (w->buf.len + bytes.len <= WRITER_BUFFER) {
        str_add(&w->buf, bytes);
        return 0;
    }
    int r = write_run(w, str_span(&w->buf));

    str_reset(&w->buf);
    if (r < 0)
        return r;
    if (bytes.len >= WRITER_BUFFER / 2)
        return write_run(w, bytes);
    str_add(&w->buf, bytes);
    return 0;
}

uint64_t queue_written(const struct queue_writer *w)
{
    return w->header.content_size;
}

static int write_rest(struct queue_writer *w)
{
    char header[QUEUE_HEADER_SIZE];

    w->header.content_sum = queue_sum_end(&w->sum);
    queue_facts_end(&w->facts);
    w->header.facts = queue_facts_pack(&w->facts);
    queue_header_put(&w->header, header);
    if (w->written == 0) {
        memcpy(w->buf.data, header, sizeof header);
        return write_run(w, str_span(&w->buf));
    }
    int r = write_run(w, str_span(&w->buf));

    return r < 0 ? r : write_at(w, span_make(header, sizeof header), 0);
}

void queue_aim(struct queue_writer *w, const struct queue_dirs *d, enum queue_place to)
{
    if (!w->created)
        w->dirfd = d->fd[to];
}

int queue_commit(struct queue_writer *w)
{
    if (w->error < 0)
        return w->error;
    int r = write_rest(w);

    if (r < 0)
        return r;
    /* The size is part of what fdatasync makes durable; owner and times need not be. */
    if (fdatasync(w->fd) < 0 || close(TAKE_FD(w->fd)) < 0)
        return w->error = -errno;
    return 0;
}

int queue_publish(struct queue_writer *w, const struct queue_dirs *d, enum queue_place to)
{
    if (w->error < 0)
        return w->error;
    bool there = w->dirfd == d->fd[to] && strcmp(w->name, w->id) == 0;

    if (!there && renameat(w->dirfd, w->name, d->fd[to], w->id) < 0)
        return -errno;
    writer_free(w);
    return 0;
}

void queue_abort(struct queue_writer *w)
{
    if (!w)
        return;
    if (w->created)
        unlinkat(w->dirfd, w->name, 0);
    writer_free(w);
}
