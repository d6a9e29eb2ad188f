/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal.c - what became of the recipients, appended to the queue file
 *
 * Each record is one write with RWF_APPEND, so that a crash can only tear the
 * last one. A write that ends early (disk full) is undone at once, lest the next record stand
 * behind a fragment. Nothing is flushed here: a lost record costs a second delivery, never a
 * message.
 *
 * Runs in: qmgr, bounce, cleanup (append), all readers of queue files (apply).
 */
#include <errno.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "base/mem.h"
#include "queue/format.h"

/* ---- appending ---- */

static int append(int fd, char type, struct span bytes)
{
    char head[RECORD_HEAD_SIZE] = {type};
    struct iovec iov[2] = {
        {head,              sizeof head},
        {(void *)bytes.ptr, bytes.len  }
    };
    struct stat st;
    ssize_t n;

    le32_put(head + 1, (uint32_t)bytes.len);
    do
        n = pwritev2(fd, iov, 2, -1, RWF_APPEND);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if ((size_t)n == sizeof head + bytes.len)
        return 0;
    if (fstat(fd, &st) < 0 || ftruncate(fd, st.st_size - n) < 0)
        return -errno;
    return -ENOSPC;
}

/* A text with its NUL, cut where it could not be read back. */
static void add_text(struct str *s, struct span text, size_t max)
{
    ptrdiff_t nul = span_chr(text, '\0');

    text = span_first(text, nul >= 0 ? (size_t)nul : text.len);
    str_add(s, span_first(text, max));
    str_add_char(s, '\0');
}

int journal_outcome(int fd, const struct outcome *o, int64_t now_us)
{
    _cleanup_(str_free) struct str s = STR_INIT;
    char fixed[20];

    le64_put(fixed, (uint64_t)now_us);
    le32_put(fixed + 8, o->number);
    le32_put(fixed + 12, o->status);
    le32_put(fixed + 16, o->fate);
    str_add(&s, span_make(fixed, sizeof fixed));
    add_text(&s, span_of(o->dsn), sizeof o->dsn - 1);
    add_text(&s, str_span(&o->text), 1024);
    add_text(&s, str_span(&o->relay), 512);
    add_text(&s, str_span(&o->remote_mta), 512);
    add_text(&s, str_span(&o->remote_reply), 1024);
    return append(fd, REC_OUTCOME, str_span(&s));
}

int journal_retry(int fd, int64_t next_retry, uint32_t attempts)
{
    char fixed[12];

    le64_put(fixed, (uint64_t)next_retry);
    le32_put(fixed + 8, attempts);
    return append(fd, REC_RETRY, span_make(fixed, sizeof fixed));
}

int journal_reported(int fd, uint32_t first_rcpt, uint32_t n)
{
    char fixed[8];

    le32_put(fixed, first_rcpt);
    le32_put(fixed + 4, n);
    return append(fd, REC_REPORTED, span_make(fixed, sizeof fixed));
}

int journal_delay_reported(int fd)
{
    return append(fd, REC_DELAY_REPORTED, SPAN_NULL);
}

int journal_expire(int fd)
{
    return append(fd, REC_EXPIRE, SPAN_NULL);
}

int journal_report_begun(int fd, uint64_t number, uint32_t kind)
{
    char fixed[12];

    le64_put(fixed, number);
    le32_put(fixed + 8, kind);
    return append(fd, REC_REPORT_BEGUN, span_make(fixed, sizeof fixed));
}

int journal_report_queued(int fd, uint64_t number)
{
    char fixed[8];

    le64_put(fixed, number);
    return append(fd, REC_REPORT_QUEUED, span_make(fixed, sizeof fixed));
}

/* ---- applying ---- */

static int take_text(struct span *in, size_t max, const char **ret)
{
    ptrdiff_t nul = span_chr(*in, '\0');

    if (nul < 0 || (size_t)nul > max)
        return -EBADMSG;
    *ret = in->ptr;
    *in = span_from(*in, (size_t)nul + 1);
    return 0;
}

int outcome_record_parse(struct span bytes, struct outcome_record *ret)
{
    if (bytes.len < 20)
        return -EBADMSG;
    struct outcome_record o = {
        .time_us = (int64_t)le64_get(bytes.ptr),
        .number = le32_get(bytes.ptr + 8),
        .status = le32_get(bytes.ptr + 12),
        .fate = le32_get(bytes.ptr + 16),
    };
    struct span in = span_from(bytes, 20);

    if (take_text(&in, 15, &o.dsn) < 0 || take_text(&in, 1024, &o.text) < 0 ||
        take_text(&in, 512, &o.relay) < 0 || take_text(&in, 512, &o.remote_mta) < 0 ||
        take_text(&in, 1024, &o.remote_reply) < 0 || in.len > 0)
        return -EBADMSG;
    if (o.time_us < 0 || o.status > OUTCOME_STATUS_LAST || o.fate > FATE_LAST)
        return -EBADMSG;
    *ret = o;
    return 0;
}

static void set_text(char **member, const char *text)
{
    free(*member);
    *member = *text ? mem_strdup(text) : NULL;
}

static int apply_outcome(struct span bytes, struct queue_envelope *e)
{
    static const enum queue_rcpt_state state_of[] = {
        [OUTCOME_SENT] = RCPT_SENT,
        [OUTCOME_DEFERRED] = RCPT_DEFERRED,
        [OUTCOME_BOUNCED] = RCPT_BOUNCED,
    };
    struct outcome_record o;

    if (outcome_record_parse(bytes, &o) < 0 || o.number >= e->n_rcpts)
        return -EBADMSG;
    struct queue_rcpt *r = &e->rcpts[o.number];

    r->state = state_of[o.status];
    r->report = 0;
    r->attempts += r->attempts < UINT32_MAX;
    r->last_us = o.time_us;
    r->fate = o.fate;
    r->was_delayed = e->delay_reported;
    snprintf(r->dsn, sizeof r->dsn, "%s", o.dsn);
    set_text(&r->text, o.text);
    set_text(&r->relay, o.relay);
    set_text(&r->remote_mta, o.remote_mta);
    set_text(&r->remote_reply, o.remote_reply);
    return 0;
}

static int apply_retry(struct span bytes, struct queue_envelope *e)
{
    if (bytes.len != 12 || (int64_t)le64_get(bytes.ptr) < 0)
        return -EBADMSG;
    e->next_retry = (int64_t)le64_get(bytes.ptr);
    e->attempts = le32_get(bytes.ptr + 8);
    return 0;
}

static int apply_reported(struct span bytes, struct queue_envelope *e)
{
    if (bytes.len != 8)
        return -EBADMSG;
    uint32_t first = le32_get(bytes.ptr), n = le32_get(bytes.ptr + 4);

    if (first > e->n_rcpts || n > e->n_rcpts - first)
        return -EBADMSG;
    for (uint32_t i = 0; i < n; i++)
        e->rcpts[first + i].state = RCPT_REPORTED;
    return 0;
}

static int apply_report_begun(struct span bytes, struct queue_envelope *e)
{
    if (bytes.len != 12 || le64_get(bytes.ptr) == 0 || le32_get(bytes.ptr + 8) > REPORT_KIND_LAST)
        return -EBADMSG;
    uint64_t number = le64_get(bytes.ptr);
    enum report_kind kind = le32_get(bytes.ptr + 8);

    if (kind == REPORT_DELAYED) {
        e->delay_report = number;
        return 0;
    }
    for (size_t i = 0; i < e->n_rcpts; i++)
        if (e->rcpts[i].state == (kind == REPORT_FAILED ? RCPT_BOUNCED : RCPT_SENT))
            e->rcpts[i].report = number;
    return 0;
}

static int apply_report_queued(struct span bytes, struct queue_envelope *e)
{
    if (bytes.len != 8 || le64_get(bytes.ptr) == 0)
        return -EBADMSG;
    uint64_t number = le64_get(bytes.ptr);

    if (e->delay_report == number)
        e->delay_reported = true;
    for (size_t i = 0; i < e->n_rcpts; i++)
        if (e->rcpts[i].report == number)
            e->rcpts[i].state = RCPT_REPORTED;
    return 0;
}

int journal_apply(const struct record *rec, struct queue_envelope *e)
{
    switch (rec->type) {
    case REC_OUTCOME:
        return apply_outcome(rec->bytes, e);
    case REC_RETRY:
        return apply_retry(rec->bytes, e);
    case REC_REPORTED:
        return apply_reported(rec->bytes, e);
    case REC_REPORT_BEGUN:
        return apply_report_begun(rec->bytes, e);
    case REC_REPORT_QUEUED:
        return apply_report_queued(rec->bytes, e);
    case REC_DELAY_REPORTED:
        e->delay_reported = true;
        return rec->bytes.len ? -EBADMSG : 0;
    case REC_EXPIRE:
        e->expire = true;
        return rec->bytes.len ? -EBADMSG : 0;
    }
    return -EBADMSG;
}
