/* SPDX-License-Identifier: Apache-2.0 */
/*
 * park.h - a session that has nothing to do leaves its state with the front and ends its process
 */
#ifndef IMAPD_PARK_H
#define IMAPD_PARK_H

#include "session.h"

/* The client has said something, or been answered: it is silent from now on. */
void park_heard(struct imap *s);

/* Others wait to be woken, and this session has nothing to do but to tell of a change: park_leave() does that as well.
 * Once. */
bool park_at_once(struct imap *s);

/*
 * Give the client s->linger_ms to say something. 1: it has, or this session cannot be parked: wait
 * as if there were no parking. 0: it is silent: park_leave(). -ECANCELED.
 */
MAY_WAIT int park_pause(struct imap *s);

/*
 * Leave the session with the front; idling: the client is in IDLE.
 *
 * Returns 0: not now, wait as if there were no parking
 *   -ESHUTDOWN   done: this process ends without a word to the client
 *   or another error, with which the session ends.
 */
MAY_WAIT int park_leave(struct imap *s, bool idling);

/* The front passes on no input from now on. 0; 1: there was some before, and it goes on; negative: no front. */
MAY_WAIT int park_hold_input(struct imap *s);

/* Be the session that was parked; *ret_idling: it waits in IDLE. 0, or -errno: it cannot go on. */
int park_resume(struct imap *s, struct span state, bool *ret_idling);

#endif
