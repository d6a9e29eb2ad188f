/* SPDX-License-Identifier: Apache-2.0 */
/*
 * places.h - the sessions of this front, counted with all others of their users (ipc/msg_place.h)
 */
#ifndef LOGIN_PLACES_H
#define LOGIN_PLACES_H

#include <stdint.h>

struct places;

/* limit: of sessions of one user from one address; 0: none, and nobody is counted. */
struct places *places_new(const char *protocol, int64_t limit);
int64_t places_limit(const struct places *p);
/* Draining has begun. */
void places_drain(struct places *p);

#endif
