/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fiber.h - stackful coroutines over one epoll loop: where a session would block, its fiber yields
 *
 * One loop a thread; fibers of a loop never run at the same time, so what they
 * share needs no lock, but the world may have moved after every wait. Outside
 * a fiber each waiting call simply blocks the thread, so that tools use the
 * same library. Every wait has a deadline (clock_ms(), CLOCK_NEVER for none)
 * and answers -ETIMEDOUT or, once the fiber was cancelled, -ECANCELED (then
 * every later wait of it too, until it returns).
 */
#ifndef IO_FIBER_H
#define IO_FIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

#define MAY_WAIT /* this function may let other fibers run */

struct fiber;

/* Run fn(arg) in a new fiber of this thread's loop, from the next turn of the loop on. It ends by
 * returning; the fiber object is then gone, so keep the pointer only as long as fn is known to run. */
struct fiber *fiber_start(void (*fn)(void *arg), void *arg);

struct fiber *fiber_self(void);          /* NULL outside a fiber */
void fiber_cancel(struct fiber *f);      /* its current or next wait answers -ECANCELED */
bool fiber_cancelled(void);              /* of the running fiber */

/*
 * "Idle" marks a fiber that waits between two requests and can be ended
 * without harm: fiber_cancel_idle() cancels all that are marked and wait, and
 * from then on every wait of a marked fiber answers -ECANCELED (draining). One
 * that has been woken by a request but did not run yet serves it first.
 */
void fiber_set_idle(bool idle);
void fiber_cancel_idle(void);
size_t fiber_count(void);

/* Wait until fd is readable (EPOLLIN), writable (EPOLLOUT) or in error. Returns the events seen (>0),
 * -ETIMEDOUT or -ECANCELED. At most one fiber may wait for a descriptor and direction at a time. */
MAY_WAIT int fiber_wait_fd(int fd, unsigned events, uint64_t deadline);

/*
 * A descriptor that is waited for often is registered once (edge-triggered)
 * instead of at each wait: call read() or write() until EAGAIN, then wait. An
 * edge that came before the read() is still remembered; poll_fd_clear() before
 * the read() spares the wait that would return at once.
 */
struct poll_fd;
struct poll_fd *poll_fd_new(int fd);     /* fd is borrowed and must be non-blocking */
void poll_fd_free(struct poll_fd *p);    /* before fd is closed */
MAY_WAIT int poll_fd_wait(struct poll_fd *p, unsigned events, uint64_t deadline);
void poll_fd_clear(struct poll_fd *p, unsigned events); /* forget what was seen until now */

/*
 * For libraries that want to be called when their sockets have something: the
 * loop calls fn(arg, events) from its own stack whenever fd is ready (level-
 * triggered). fn must not wait; it may wake fibers, and free p. Such a
 * descriptor does not keep loop_run() from returning.
 */
struct poll_fd *poll_fd_new_callback(int fd, void (*fn)(void *arg, unsigned events), void *arg);
int poll_fd_watch(struct poll_fd *p, unsigned events);         /* 0: none for now. 0 or -errno */

/* Sleep until the deadline: 0, or -ECANCELED. */
MAY_WAIT int fiber_sleep_until(uint64_t deadline);
/* Let the others run once; also a cancelled fiber does, so that it can wait for what another one is to finish. */
MAY_WAIT int fiber_yield(void);

/*
 * A queue of waiting fibers. wake returns how many it woke; the woken run in
 * the next turn of the loop, in the order they came.
 */
struct waitq {
    struct list waiting;
};
void waitq_init(struct waitq *q);
MAY_WAIT int waitq_wait(struct waitq *q, uint64_t deadline);   /* 0 woken, -ETIMEDOUT, -ECANCELED */
/* The same without an end but a wake: also a cancelled fiber waits, as for another one that uses what is its own. */
MAY_WAIT void waitq_wait_through(struct waitq *q);
size_t waitq_wake(struct waitq *q, size_t n);                  /* SIZE_MAX: all */

/* A counting gate: at most `limit` fibers inside. */
struct gate {
    struct waitq queue;
    size_t inside, limit;
};
void gate_init(struct gate *g, size_t limit);
MAY_WAIT int gate_enter(struct gate *g, uint64_t deadline);
void gate_leave(struct gate *g);

/*
 * Run fn(arg) on a helper thread while the fiber waits, and return what it
 * returned. It is not cancelled: the call comes back only when fn has ended.
 * fn touches only its argument. Outside a fiber fn runs directly.
 * offload_limit() sets how many helper threads there may be (default 16);
 * threads are started when needed.
 */
MAY_WAIT int offload(int (*fn)(void *arg), void *arg);
void offload_limit(size_t threads);

#endif
