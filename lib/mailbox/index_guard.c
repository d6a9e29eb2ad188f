/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_guard.c - what becomes of an index on which LMDB, or the process, comes to grief
 *
 * Of a damaged page LMDB notices some things by an assertion, others it runs into, and some make it search for ever, perhaps with
 * the writer's lock. All would end or stop every session of the account from then on. So before the process dies of SIGSEGV, SIGBUS,
 * SIGFPE or an assertion of LMDB within a transaction, the index is put aside, and the next session makes a new one. Copying a damaged page
 * it may also write over the heap, which malloc() notices, then or later: such an abort need not be the index's fault, so the next
 * session checks it first; and so it does after a fault outside of transactions. Or LMDB writes on until it comes to the end of the heap, and
 * faults there. So what the handlers need does not lie on the heap.
 *
 * A search without end is told by the time that the process computes (not the time that passes: the machine may be slow, and others
 * may have the lock) within one call of LMDB, of which a healthy one takes milliseconds at most. The process dies then, and who waits for
 * its lock gets it: LMDB's locks are robust.
 *
 * Runs in: imapd, pop3d, as the mailbox owner; in part as a signal handler.
 */
#include "mailbox/index_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/mem.h"

/* A process serves one account. */
static struct index *volatile opened;
static struct index *volatile busy;     /* it is being opened, or in a transaction */

volatile uint32_t index_calls;

/* ---- putting aside ---- */

/* Only calls that a signal handler may make; one damaged index is kept for a look at it. */
void index_discard(struct index *x)
{
    if (index_is_replaced(x))
        return; /* another session has done it, and made a new one perhaps */
    unlink(x->aside_data);
    unlink(x->aside_lock);
    unlink(x->aside_arrivals);
    rmdir(x->aside);
    rename(x->path, x->aside);
}

bool index_is_replaced(const struct index *x)
{
    struct stat st;

    return x->inode != 0 && (stat(x->data, &st) < 0 || st.st_ino != x->inode);
}

void index_doubt(struct index *x)
{
    close(open(x->doubted, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

/* ---- signals ---- */

void index_on_assertion(MDB_env *env, const char *text)
{
    (void)env;
    (void)text;
    if (busy)
        index_discard(busy); /* LMDB aborts when this returns */
}

static void on_fault(int sig)
{
    (void)sig;
    if (busy)
        index_discard(busy);
    else if (opened)
        index_doubt(opened);
    /* SA_RESETHAND: the same instruction faults again, with the usual result. */
}

static void on_abort(int sig)
{
    (void)sig;
    if (opened)
        index_doubt(opened);
}

/* One more tick of the process's own time. A call that began before STUCK_TICKS of them does not end. */
static void on_tick(int sig)
{
    enum { STUCK_TICKS = 5 };
    static uint32_t call;
    static unsigned ticks;
    uint32_t now = index_calls;

    ticks = now % 2 == 1 && now == call ? ticks + 1 : 0;
    call = now;
    if (ticks < STUCK_TICKS)
        return;
    if (busy)
        index_discard(busy);
    signal(sig, SIG_DFL);
    raise(sig);
}

/* ITIMER_VIRTUAL: ticks of the process's own time in user mode. One timer for the whole session costs nothing but its ticks. */
static void start_ticking(void)
{
    static const struct itimerval second = { { .tv_sec = 1 }, { .tv_sec = 1 } };

    setitimer(ITIMER_VIRTUAL, &second, NULL);
}

void index_guard_begin(struct index *x)
{
    static const struct {
        int sig, flags;
        void (*handler)(int sig);
    } rows[] = {
        { SIGSEGV,   SA_RESETHAND, on_fault }, { SIGBUS,    SA_RESETHAND, on_fault }, { SIGFPE, SA_RESETHAND, on_fault },
        { SIGABRT,   SA_RESETHAND, on_abort }, { SIGVTALRM, SA_RESTART,   on_tick },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sigaction sa = { .sa_handler = rows[i].handler, .sa_flags = rows[i].flags };

        sigemptyset(&sa.sa_mask);
        sigaction(rows[i].sig, &sa, NULL);
    }
    opened = x;
    start_ticking();
}

void index_guard_busy(struct index *x)
{
    busy = x;
}

void index_guard_idle(void)
{
    busy = NULL;
}

void index_guard_end(struct index *x)
{
    if (opened == x)
        opened = NULL;
}
