/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth.h - what the parts of the auth server share
 */
#ifndef AUTH_AUTH_H
#define AUTH_AUTH_H

#include "daemon/daemon.h"
#include "ipc/msg_auth.h"
#include "mailbox/locate.h"
#include "sasl/mech.h"
#include "table/table.h"

struct auth {
    struct maps *users;         /* auth_users */
    struct locator *locator;
    struct ticket_office *tickets;
    struct auth_cache *verified;
};

/*
 * Look the user up and check the password. Equal work for users that do not exist. A password that was verified
 * a moment ago is not hashed again.
 * *user: the name as stored (lower case), also on refusal. text: reason for the log.
 */
MAY_WAIT enum auth_status passdb_check(struct auth *a, const struct sasl_credentials *c, struct str *user,
                                       char text[static 256]);

/* ---- sign-ins verified lately: at most `max` users, each for ttl_ms (0: nothing is remembered) ---- */

struct auth_cache;
struct auth_cache *auth_cache_new(int64_t ttl_ms, size_t max);
void auth_cache_free(struct auth_cache *c);

/* Was this password verified for this user against this stored hash? */
bool auth_cache_has(struct auth_cache *c, struct span user, struct span stored, struct span password,
                    uint64_t now_ms);
/* It was, now. Replaces what is remembered of the user. */
void auth_cache_add(struct auth_cache *c, struct span user, struct span stored, struct span password,
                    uint64_t now_ms);

/* ---- tickets: one-time, for one protocol, short-lived ---- */

struct ticket_office;
struct ticket_office *ticket_office_new(int64_t lifetime_ms, size_t max);
void ticket_office_free(struct ticket_office *o);

/* Issue a ticket (32 hex digits) for a user; the oldest goes when there are too many. */
void ticket_issue(struct ticket_office *o, const char *protocol, struct span user, uint64_t now_ms,
                  char ret[static 40]);
/* Take a ticket in. True, *user set: it was good; it never is again. */
bool ticket_redeem(struct ticket_office *o, const char *ticket, const char *protocol, uint64_t now_ms,
                   struct str *user);

/* Serve one caller's requests. */
MAY_WAIT void auth_session(struct server *sv, struct stream *client, const struct peer *peer);

#endif
