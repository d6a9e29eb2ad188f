/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache.h - a kept, writable cache in one LMDB file: a key gives a value until it expires
 *
 * For what is worth remembering over a restart and no loss when forgotten: results of address probes, clients
 * that have passed their tests. What is put is seen at once by this process and lies in memory
 * until cache_flush() writes all of it in one durable transaction; a crash loses what was not flushed,
 * never the file. Look-ups read mapped memory and never wait.
 *
 * Two processes may have one cache open (the old and the new one at a reload). Beside PATH lies
 * PATH-lock; a damaged file becomes PATH.damaged, and an empty one takes its place.
 */
#ifndef TABLE_CACHE_H
#define TABLE_CACHE_H

#include <stdbool.h>

#include "base/own.h"
#include "base/str.h"
#include "io/fiber.h"

enum {
    CACHE_KEY_MAX = 500,
    CACHE_VALUE_MAX = 64 << 10,
};

struct cache;

/*
 * Open or create the file, as the user that will use it and within its sandbox: in a daemon's ready(). The
 * directory must be writable. Returns 0; 1: what was there was no whole cache and has been set aside, *err
 * has a line for the log; or a negative errno with *err (nothing is open).
 */
int cache_open(const char *path, struct cache **ret, struct str *err);
void cache_free(struct cache *c); /* flushes; NULL is allowed */
DEFINE_CLEANUP(struct cache, cache_free);

/* 1: found and not expired, *value set, *ret_expires (may be NULL) in seconds since 1970; 0: not there;
 * negative: the file cannot be read. A key over CACHE_KEY_MAX is never there. */
int cache_get(struct cache *c, struct span key, struct str *value, int64_t *ret_expires);

/* Remember, until `expires` (seconds since 1970). A key or value over its limit, or an empty key, is not
 * remembered. */
void cache_put(struct cache *c, struct span key, struct span value, int64_t expires);
void cache_delete(struct cache *c, struct span key);

/* How many puts and deletes wait for cache_flush(). */
size_t cache_pending(const struct cache *c);

/* Write them, on a helper thread. 0, or -errno (-ENOSPC ...): they are then lost. */
MAY_WAIT int cache_flush(struct cache *c);

/*
 * Look at the next `max` entries, and remove those that have expired. Call it from time to time: it goes on where it
 * ended. Returns how many it removed, or -errno; *ret_round (may be NULL) is set when it came to the end.
 */
MAY_WAIT int cache_sweep(struct cache *c, size_t max, bool *ret_round);

#endif
