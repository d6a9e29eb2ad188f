/* SPDX-License-Identifier: Apache-2.0 */
/*
 * places.h - which live mailbox sessions there are, by user and address, and which front has them
 *
 * A group is the sessions of one protocol, one user and one address. It lives as long as it has sessions or somebody
 * holds it.
 */
#ifndef ANVIL_PLACES_H
#define ANVIL_PLACES_H

#include "base/hash.h"
#include "io/fiber.h"

struct places;

/* A front process. */
struct front {
    struct places *places;
    void *owner;
    struct hash by_id;
};

struct group {
    struct hash_node node;
    struct places *places;
    struct list members;
    size_t len, holds;
    struct gate gate;           /* who makes room in it, one at a time */
    char name[];
};

struct places *places_new(void);
void places_free(struct places *p); /* after all fronts and holds */

/* The group, new if need be; the caller holds it until group_release(). */
struct group *group_hold(struct places *p, const char *protocol, struct span user, const char *client);
void group_release(struct group *g);

void front_init(struct front *f, struct places *p, void *owner);
void front_done(struct front *f);       /* its sessions have gone */

/* False: it has this number already, or too many. */
bool place_add(struct front *f, uint64_t id, struct group *g);
void place_remove(struct front *f, uint64_t id);    /* harmless if there is none */

/* The owners of the fronts that have sessions of g, each once, at most max; returns how many. */
size_t group_owners(const struct group *g, void **ret, size_t max);

#endif
