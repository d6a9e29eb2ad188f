/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress.c - INPROGRESS (RFC 9585), and ends for work that nobody waits for
 *
 * Runs in: imapd.
 */
#include "progress.h"

#include <errno.h>
#include <inttypes.h>

#include "base/clock.h"
#include "reply.h"

/* Between two looks at the client: less would be felt in the time that a search takes. */
#define LOOK_MS 200

static uint64_t next_line(const struct imap *s)
{
    int64_t interval_ms = s->params->imap_progress_interval * 1000;

    return interval_ms > 0 ? clock_deadline_ms(interval_ms) : 0;
}

/* "* OK [INPROGRESS (tag done total)] ..."; NIL for what is not known */
static void tell(struct imap *s)
{
    struct progress *p = &s->progress;
    _cleanup_(str_free) struct str line = STR_INIT;

    str_add_str(&line, "* OK [INPROGRESS (");
    put_string(&line, str_span(&s->tag));
    if (p->total > 0 && p->part == PROGRESS_WORKING)
        str_addf(&line, " %" PRIu32 " %" PRIu32 ")] Still at work.\r\n", p->done, p->total);
    else
        str_add_str(&line, " NIL NIL)] Still busy with what was found.\r\n");
    imap_write(s, str_span(&line));
    p->next_line = next_line(s);
}

/* Is there still somebody who waits? Other fibers of the process, which hear from the front and master, have their turn. */
static int look(struct imap *s, uint64_t now)
{
    struct progress *p = &s->progress;

    p->next_look = now + LOOK_MS;
    if (stream_peer_gone(s->client))
        return -EPIPE;
    if (fiber_yield() < 0)
        return -ECANCELED;
    if (p->part == PROGRESS_ANSWERING)
        return 0;
    if (now >= p->deadline)
        return -ETIME;
    return stream_flush(s->client); /* answers to earlier commands, if this one was pipelined */
}

static int look_and_tell(struct imap *s)
{
    struct progress *p = &s->progress;
    uint64_t now = clock_ms();
    int r = now >= p->next_look ? look(s, now) : 0;

    if (r < 0 || now < p->next_line || p->part == PROGRESS_ANSWERING)
        return r;
    tell(s);
    return stream_flush(s->client);
}

static int ask(void *arg)
{
    return look_and_tell(arg);
}

void progress_begin(struct imap *s)
{
    s->progress = (struct progress){
        .pace = { .ask = ask, .arg = s, .left = PACE_WORK },
        .next_look = clock_deadline_ms(LOOK_MS),
        .next_line = next_line(s),
    };
    progress_allow_time(s);
}

void progress_count(struct imap *s, uint32_t total)
{
    s->progress.total = total;
    s->progress.done = 0;
}

void progress_allow_time(struct imap *s)
{
    s->progress.deadline = clock_deadline_ms(s->params->imap_search_time_limit * 1000);
}

int progress_step(struct imap *s, uint32_t done)
{
    s->progress.done = done;
    return s->progress.pace.error < 0 ? s->progress.pace.error : look_and_tell(s);
}

/* It comes before the messages are counted one by one. */
int progress_watch_reading(void *arg)
{
    progress_count(arg, 0);
    return progress_step(arg, 0);
}

/* A client that does not read its lines must not hold up those who wait for the lock: it gets none, then. */
void progress_watch_writing(uint32_t done, uint32_t total, void *arg)
{
    struct imap *s = arg;
    struct progress *p = &s->progress;

    progress_count(s, total);
    p->done = done;
    if (clock_ms() < p->next_line || !stream_flush_now(s->client))
        return;
    tell(s);
    stream_flush_now(s->client);
}
