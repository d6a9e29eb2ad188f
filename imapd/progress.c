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

void progress_start(struct progress *p, struct imap *s, uint32_t total)
{
    *p = (struct progress){
        .s = s,
        .total = total,
        .next_look = clock_deadline_ms(LOOK_MS),
        .next_line = next_line(s),
        .deadline = clock_deadline_ms(s->params->imap_search_time_limit * 1000),
    };
}

/* "* OK [INPROGRESS (tag done total)] ..."; NIL for what is not known */
static int tell(struct progress *p, uint32_t done)
{
    _cleanup_(str_free) struct str line = STR_INIT;

    str_add_str(&line, "* OK [INPROGRESS (");
    put_string(&line, str_span(&p->s->tag));
    if (p->total > 0)
        str_addf(&line, " %" PRIu32 " %" PRIu32 ")] Still searching.\r\n", done, p->total);
    else
        str_add_str(&line, " NIL NIL)] Still busy with what was found.\r\n");
    imap_write(p->s, str_span(&line));
    p->next_line = next_line(p->s);
    return stream_flush(p->s->client);
}

/* Is there still somebody who waits? */
static int look(struct progress *p, uint64_t now)
{
    p->next_look = now + LOOK_MS;
    if (stream_peer_gone(p->s->client))
        return -EPIPE;
    if (fiber_cancelled())
        return -ECANCELED;
    if (now >= p->deadline)
        return -ETIME;
    return stream_flush(p->s->client); /* answers to earlier commands, if this one was pipelined */
}

int progress_step(struct progress *p, uint32_t done)
{
    uint64_t now = clock_ms();
    int r = now >= p->next_look ? look(p, now) : 0;

    return r == 0 && now >= p->next_line ? tell(p, done) : r;
}
