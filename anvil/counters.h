/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counters.h - connections and rates of each client of each service, in memory
 *
 * A rate is counted in a window of its client: it begins with the first thing that the client does after the last
 * window has ended. A client without connections whose window is over is forgotten.
 */
#ifndef ANVIL_COUNTERS_H
#define ANVIL_COUNTERS_H

#include "base/span.h"
#include "ipc/msg_anvil.h"

struct counters;
struct caller; /* a server process: whose connections it has reported */

struct counters *counters_new(uint64_t window_ms);
void counters_free(struct counters *c); /* after all its callers */

struct caller *caller_new(struct counters *c);
void caller_free(struct caller *caller); /* what it had open is closed; NULL is allowed */
DEFINE_CLEANUP(struct caller, caller_free);

/* Count an event; now in clock_ms(). */
struct anvil_counts counters_event(struct caller *caller, const struct anvil_event *ev, uint64_t now);

/* Forget clients whose time is over, `max` looked at. */
void counters_sweep(struct counters *c, size_t max, uint64_t now);
size_t counters_len(const struct counters *c);

/* One line for each maximum since the last call, as Postfix logs them, without the time at their ends. */
void counters_status(struct counters *c, void (*fn)(const char *line));

#endif
