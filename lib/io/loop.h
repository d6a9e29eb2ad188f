/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.h - the epoll loop under the fibers, one a thread
 */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include <stdbool.h>

/*
 * Run until no fiber is left or loop_stop() was called. Before it sleeps it
 * calls the function given by loop_before_sleep() (log_flush, by the daemon
 * skeleton). Returns 0 or -errno of epoll.
 */
int loop_run(void);
void loop_stop(void);
void loop_before_sleep(void (*fn)(void));

/* After fork() in a child that goes on with the library: a new epoll descriptor, no fibers, no
 * helper threads; fibers of the parent are forgotten (their memory is not unwound). Log
 * lines and random bytes look after themselves (lib/base). */
void loop_after_fork(void);

#endif
