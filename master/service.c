/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service.c - when a service needs another process
 *
 * While a process takes connections, it accepts them itself and master sleeps.
 * When none does, master watches the sockets, and a connection starts one.
 *
 * Runs in: master.
 */
#include <inttypes.h>
#include <stdio.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/master_link.h"
#include "master/master.h"

enum { WARN_EVERY_MS = 1000 * 1000 };   /* Postfix's interval for the process limit */

struct service_state *service_new(struct master *m, const struct planned *planned)
{
    struct service_state *s = mem_new(struct service_state);

    s->planned = planned;
    s->source = (struct source){ SOURCE_LISTEN, s };
    s->sockets = mem_new_n(struct bound *, planned->n_endpoints);
    for (size_t i = 0; i < planned->n_endpoints; i++) {
        struct bound *b = sockets_find(m, planned->endpoints[i].key);

        if (b)
            s->sockets[s->n_sockets++] = b;
    }
    list_init(&s->children);
    s->next_wakeup = planned->wakeup_s > 0 ? clock_ms() : CLOCK_NEVER;
    return s;
}

void service_free(struct service_state *s)
{
    free(s->sockets);
    free(s);
}

static void watch(struct master *m, struct service_state *s)
{
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &s->source };

    if (s->watched)
        return;
    for (size_t i = 0; i < s->n_sockets; i++)
        if (epoll_ctl(m->epoll_fd, EPOLL_CTL_ADD, s->sockets[i]->fd, &ev) < 0)
            log_warn("service %s: cannot watch its socket: %m", s->planned->name);
    s->watched = true;
}

void service_unwatch(struct master *m, struct service_state *s)
{
    for (size_t i = 0; s->watched && i < s->n_sockets; i++)
        epoll_ctl(m->epoll_fd, EPOLL_CTL_DEL, s->sockets[i]->fd, NULL);
    s->watched = false;
}

/*
 * may_start - below its limit? A service with one process only (qmgr owns the queue) waits until the one
 * before it has ended, not only stopped taking connections.
 */
static bool may_start(const struct service_state *s)
{
    const int64_t limit = s->for_all ? 1 : s->planned->limit;

    if (s->planned->limit == 1 && s->n_retiring > 0)
        return false;
    return limit == 0 || s->n_taking + s->n_full < (uint64_t)limit;
}

/* warn_limit - all processes are full, and there may be no other */
static void warn_limit(struct service_state *s)
{
    const uint64_t now = clock_ms();

    if (s->n_full == 0 || (s->warned_at > 0 && now - s->warned_at < WARN_EVERY_MS))
        return;
    s->warned_at = now;
    log_warn("service \"%s\" (%s) has reached its process limit \"%" PRId64
             "\": new clients may experience noticeable delays",
             s->planned->name, s->planned->endpoints[0].key, s->planned->limit);
    log_warn("to avoid this condition, increase the process count in master.cf or reduce the service "
             "time per client");
}

/* wake - have a process look after its work, starting one where none is */
static void wake(struct master *m, struct service_state *s)
{
    struct child *c;

    if (s->planned->wakeup_if_used && !s->used) {
        s->wake_due = false;
        return;
    }
    if (s->n_taking == 0 && s->n_full == 0 && may_start(s))
        child_start(m, s);
    LIST_FOREACH(c, &s->children, struct child, link)
        if (c->state != CHILD_RETIRING && c->fd >= 0) {
            child_tell(c, NOTE_WAKEUP);
            s->wake_due = false;
            return;
        }
}

void service_update(struct master *m, struct service_state *s)
{
    const bool held = backoff_holds(&s->backoff, clock_ms());

    if (!s->planned || s->stopping)
        return;
    if (s->wake_due && !held)
        wake(m, s);
    if (s->n_taking > 0 || held) {
        service_unwatch(m, s);
    } else if (may_start(s)) {
        watch(m, s);
    } else {
        service_unwatch(m, s);
        warn_limit(s);
    }
}

void service_update_all(struct master *m)
{
    for (size_t i = 0; i < m->n_services; i++)
        service_update(m, m->services[i]);
}

void service_wanted(struct master *m, struct service_state *s)
{
    s->used = true;
    if (s->n_taking == 0 && may_start(s))
        child_start(m, s);
    service_update(m, s);
}

uint64_t service_timers(struct master *m, uint64_t now)
{
    uint64_t next = CLOCK_NEVER;

    for (size_t i = 0; i < m->n_services && !m->stopping; i++) {
        struct service_state *s = m->services[i];

        if (s->next_wakeup <= now) {
            s->next_wakeup = now + (uint64_t)s->planned->wakeup_s * 1000;
            s->wake_due = true;
            service_update(m, s);
        }
        if (s->backoff.until > 0 && s->backoff.until <= now) {
            s->backoff.until = 0;       /* the delay stays, for the next failure */
            service_update(m, s);
        }
        if (s->next_wakeup < next)
            next = s->next_wakeup;
        if (s->backoff.until > 0 && s->backoff.until < next)
            next = s->backoff.until;
    }
    return next;
}
