/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal.h - what the files of lib/io share: the loop of a thread, its fibers, its descriptors
 *
 *     new ---> READY ---> RUNNING ---> (returned: gone)
 *                ^           |
 *                '- WAITING <'      woken by an event, its deadline, or a cancel
 */
#ifndef IO_INTERNAL_H
#define IO_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>

#include "base/heap.h"
#include "base/list.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "io/shuffle.h"
#include "io/switch.h"

enum fiber_state { FIBER_READY, FIBER_RUNNING, FIBER_WAITING, FIBER_DONE };

/* Lives at the top of its own stack. */
struct fiber {
    struct context context;
    struct list link;       /* in loop.ready, or in the queue it waits in */
    struct list all;        /* in loop.fibers: longest not run first */
    struct heap_node timer; /* in loop.timers, while it waits with a deadline */
    void (*fn)(void *arg);
    void *arg;
    char *stack; /* lowest usable byte */
    unsigned valgrind_id;
    uint64_t ran_at;  /* loop.now when it last began to wait */
    void *fake_stack; /* AddressSanitizer's */
    int result;       /* of the current wait */
    enum fiber_state state;
    bool cancelled;
    bool idle;
    bool uncancellable; /* the current wait is not ended by a cancel */
    bool trimmed;       /* the unused part of its stack was given back during this wait */
};

struct poll_fd {
    int fd;
    unsigned seen;       /* edges not yet waited for */
    unsigned sticky;     /* readable for good: end of file, or hang-up */
    unsigned users;      /* fibers in fiber_wait_fd(); 0: made by poll_fd_new() */
    unsigned registered; /* events epoll was asked for; 0: not yet */
    struct fiber *reader, *writer;
    void (*fn)(void *arg, unsigned events); /* instead of fibers */
    void *arg;
};

/* One a thread. */
struct loop {
    int epoll_fd; /* -1 until needed */
    struct list ready;
    struct list fibers;
    size_t n_fibers;
    struct heap timers;
    uint64_t now; /* clock_ms() when events were last fetched */
    struct fiber *current;
    struct context context; /* of loop_run() */
    void *fake_stack;
    const void *stack_bottom; /* of the thread, for AddressSanitizer */
    size_t stack_size;
    void (*before_sleep)(void);
    volatile bool stop; /* a signal handler may set it */
    bool running;
    bool draining;          /* fiber_cancel_idle() was called */
    struct epoll_event *batch;  /* being handed out; an entry whose poll_fd is gone is emptied */
    int batch_len;
    struct poll_fd **by_fd; /* registered ones */
    size_t by_fd_len;
    int event_fd; /* written by helper threads; -1 until needed */
    atomic_bool asleep;                 /* or about to: helpers must wake it */
    _Atomic(struct offload_job *) done; /* finished jobs, the last one first */
};

struct loop *loop_self(void);   /* of this thread; made at the first call */
int loop_epoll(struct loop *l); /* 0 with l->epoll_fd open, or -errno */

/* The running fiber waits until someone calls fiber_wake(); returns the result given there,
 * -ETIMEDOUT or -ECANCELED. */
MAY_WAIT
int fiber_suspend(struct loop *l, uint64_t deadline);
void fiber_wake(struct loop *l, struct fiber *f, int result);
void fiber_resume(struct loop *l, struct fiber *f); /* from the loop: run it until it waits */
void fiber_forget(struct fiber *f);                 /* it does not run again; its stack is free */
void fiber_trim(struct fiber *f);                   /* give back its stack's unused pages */

/* Stacks with a guard page below, kept for reuse. NULL when the system has no memory left. */
char *stack_get(void);
void stack_put(char *stack);

void poll_fd_note(struct loop *l, struct poll_fd *p, unsigned events); /* epoll saw these */
int poll_wait_blocking(int fd, unsigned events, uint64_t deadline);    /* outside a fiber */

void offload_collect(struct loop *l); /* wake those whose jobs are done */
void offload_after_fork(void);

#endif
