/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth.h - what the parts of the auth server share
 */
#ifndef AUTH_AUTH_H
#define AUTH_AUTH_H

#include "base/list.h"
#include "daemon/daemon.h"
#include "ipc/msg_auth.h"
#include "mailbox/locate.h"
#include "sasl/mech.h"
#include "table/table.h"

enum { PASS_KEY_SIZE = 32 };

struct auth {
    const struct params *params;
    struct maps *users;         /* auth_users */
    struct locator *locator;
    struct ticket_office *tickets;
    struct auth_cache *verified;
    struct list running;        /* checks of passwords under way (verify.c) */
    uint64_t hashed;            /* how many passwords were, so far */
    struct penalties *penalties;
    struct match_list *trusted; /* auth_failure_exceptions */
    struct str decoy;           /* what is stored of some user: who does not exist takes the time that he would */
    uint32_t decoy_iterations;
    unsigned char fake_salt_key[PASS_KEY_SIZE];
    unsigned char pass_key[PASS_KEY_SIZE];
};

/* ---- accounts (passdb.c) ---- */

struct account {
    struct str name;            /* as looked up: lower case */
    struct str value;           /* "{SCHEME}hash:uid:gid:gecos:home:shell:extra" */
    struct span stored;         /* "{SCHEME}hash", within value */
    struct span extra;          /* "allow_nets=... nologin", within value */
};
void account_done(struct account *acc);

/* Look a user up; the name is made lower case. 1 found, 0 unknown, negative: the database is not available. */
MAY_WAIT int account_find(struct auth *a, struct span user, struct account *ret);

/*
 * Check the password of an account (acc->stored empty: of a user who does not exist, which takes as long). A
 * password that was verified a moment ago is not hashed again. text: reason for the log.
 */
MAY_WAIT enum auth_status account_check_password(struct auth *a, struct account *acc, struct span password,
                                                 char text[static 256]);

/* May an account whose password is right sign in from there? (allow_nets, nologin) */
enum auth_status account_may_sign_in(const struct account *acc, const char *client_addr, char text[static 256]);

/* Is it closed for good (nologin)? Then also for sessions that were parked. */
bool account_is_closed(const struct account *acc);

/* The user's own rule of his quota ("*:storage=1G", mailbox/quota.h); empty if there is none. */
void account_quota_rule(const struct account *acc, char ret[static 256]);


/* One who signs in by SCRAM, and what is wrong with him before his proof is even looked at */
struct scram_lookup {
    struct auth *auth;
    const char *network;        /* as penalty_locked() has it */
    const char *client_addr;
    enum auth_status status;    /* AUTH_TEMPORARY: locked, AUTH_REFUSED: may not sign in; else AUTH_OK */
    char text[256];             /* why, for the log */
};
/* struct sasl_server's: arg is a struct scram_lookup. */
MAY_WAIT int account_scram_secret(void *arg, const char *mechanism, struct span user, struct scram_secret *ret);

/* password_verify() on a helper thread (verify.c), and -ECANCELED. */
MAY_WAIT int verify_password(struct auth *a, struct span user, struct span stored, struct span password);

/* Replace what is stored of the account by a hash of auth_password_scheme, where auth_upgrade_directory allows
 * (upgrade.c). Says in the log what it did. */
MAY_WAIT void account_upgrade(struct auth *a, const struct account *acc, struct span password);
/* Check auth_upgrade_directory and auth_password_scheme at start. 0, or -EINVAL with *err. */
int upgrade_prepare(const struct params *p, struct str *err);

/* ---- failed sign-ins, of users and networks (penalty.c) ---- */

struct penalty_limits {
    int64_t delay_ms, delay_max_ms;     /* after the first failure of a network; it doubles with each further one */
    int64_t user_max, network_max;      /* failures before it is locked; 0: never */
    int64_t lock_ms;                    /* also how long failures are remembered */
};
struct penalties;
struct penalties *penalties_new(const struct penalty_limits *limits, size_t max);
void penalties_free(struct penalties *p);

/* Both prefixes of a client's address as text: an IPv4 address, an IPv6 /64. */
void penalty_network(const char *client_addr, char ret[static 64]);

/* Is the user or the network (NULL: a trusted one) locked? Then says which in text. A network from which the user
 * has signed in lately is not locked out of that user by the failures of others. */
bool penalty_locked(struct penalties *p, struct span user, const char *network, uint64_t now_ms,
                    char text[static 256]);
/*
 * A sign-in failed: returns how long to wait with the answer, in ms. The same wrong password of a user again counts
 * once: a mail program with an old password locks nobody out.
 */
int64_t penalty_failed(struct penalties *p, struct span user, const char *network, struct span password,
                       uint64_t now_ms);
void penalty_succeeded(struct penalties *p, struct span user, const char *network, uint64_t now_ms);

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

/* ---- tickets: one-time, for one protocol, short-lived; a key makes those of an earlier auth good as well ---- */

struct ticket_office;
struct ticket_office *ticket_office_new(const unsigned char key[static PASS_KEY_SIZE], int64_t lifetime_ms, size_t max);
void ticket_office_free(struct ticket_office *o);

/* Issue a ticket for a user, at most AUTH_PASS_MAX bytes. */
void ticket_issue(struct ticket_office *o, const char *protocol, struct span user, uint64_t now_ms,
                  struct str *ret);
/* Take a ticket in. True, *user set: it was good; it never is again. */
bool ticket_redeem(struct ticket_office *o, struct span ticket, const char *protocol, uint64_t now_ms,
                   struct str *user);

/* ---- passes: for parked sessions; good any number of times until they expire ---- */

/* A key of its own for each purpose, from the suite's secret: the same as long as master lives. */
void pass_derive_key(const unsigned char secret[static MASTER_SECRET_SIZE], const char *purpose,
                     unsigned char ret[static PASS_KEY_SIZE]);

void pass_issue(const unsigned char key[static PASS_KEY_SIZE], const char *protocol, struct span user,
                uint64_t expires_ms, struct str *ret);
bool pass_redeem(const unsigned char key[static PASS_KEY_SIZE], struct span pass, const char *protocol, uint64_t now_ms,
                 struct str *user);

/* Serve one caller's requests. */
MAY_WAIT void auth_session(struct server *sv, struct stream *client, const struct peer *peer);

#endif
