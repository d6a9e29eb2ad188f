/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login.h - the fronts of IMAP and POP3: they hold the client's connection and its TLS and know no mailbox
 *
 *     main_imap.c, main_pop3.c   what each process is
 *     imap.c, pop3.c             the few commands before sign-in
 *     id.c                       what ID says before sign-in
 *     authenticate.c             one SASL exchange with auth
 *     places.c, idle.c           how many sessions a user has, and which of them ends when there are too many
 *     handoff.c and held.h       the connection goes to a session process; TLS stays here, and parked sessions
 */
#ifndef LOGIN_LOGIN_H
#define LOGIN_LOGIN_H

#include "daemon/daemon.h"
#include "ipc/msg_auth.h"
#include "ipc/msg_session.h"
#include "table/table.h"
#include "tls/server.h"

struct login_protocol {
    const char *name;               /* "imap": for auth, and "imap-login" in the log */
    const char *session_service;    /* "imapd" */
};

/* The process: what start() opened. */
struct login_server {
    const struct login_protocol *protocol;
    struct tls_server *tls;         /* NULL: no certificate configured */
    bool wrapper;                   /* TLS from the first byte */
    bool behind_proxy;              /* imap_upstream_proxy_protocol */
    struct match_list *plaintext_ok;
    struct match_list *trusted;     /* imap_trusted_networks */
    struct ipc_pool *auth;
    struct places *places;          /* how many sessions each user has */
};

struct held;

/* One client until it has signed in. */
struct login {
    struct server *sv;
    struct login_server *server;
    struct stream *client;
    char remote[INET6_ADDRSTRLEN], local[INET6_ADDRSTRLEN];
    unsigned remote_port, local_port;
    char session_id[40];
    bool tls, plaintext_ok, done;
    bool trusted;                   /* it may say for whom it speaks (id.c) */
    char client_name[SESSION_CLIENT_NAME_MAX];  /* as ID says; "" before */
    bool limited;                   /* the last sign-in was right, and one too many */
    int failures, bad_commands;
    char method[32];                /* last mechanism tried */
    struct str user;                /* last user tried, escaped for the log */
    struct held *held;              /* has signed in: it goes on there (held.h), and client is NULL */
    uint64_t started_ms;
};

/* start() of both programs. */
int login_start(struct server *sv, const struct login_protocol *protocol, int64_t limit);
/* A certificate has changed: struct daemon's reread. */
MAY_WAIT int login_reread(struct server *sv);
/* Draining has begun: struct daemon's stop. */
void login_stop(struct server *sv);
/* With a deadline: struct daemon's stop_now. */
void login_stop_now(struct server *sv);

/* Accept a client: addresses, TLS in wrapper mode. talk() then speaks the protocol until l->done. */
MAY_WAIT void login_session(struct server *sv, struct stream *client, const struct peer *peer,
                            void (*talk)(struct login *l));

/* What is wrong with a client that has been given too many answers of one kind; NULL: nothing yet. */
const char *login_patience_ends(const struct login *l);

/* May the client send its password on this connection? */
bool login_may_sign_in(const struct login *l);
/* Switch TLS on after the go-ahead was flushed; plaintext that came early is discarded. 0, or
 * negative: the connection is useless. */
MAY_WAIT int login_start_tls(struct login *l);

/*
 * One SASL exchange; challenges go to the client as "+ base64" (RFC 3501 section 6.2.2, RFC 5034 section 4).
 * initial: the initial response as the command has it, Base64 or "="; empty if there is none. Fills *ret (free
 * ret->user); its status is AUTH_TEMPORARY when auth cannot be reached, AUTH_NO_MECHANISM when auth_mechanisms does
 * not have it. 0, or -EINVAL when initial is not Base64: then *ret is not set.
 */
MAY_WAIT int login_mechanism(struct login *l, struct span mechanism, struct span initial, struct auth_result *ret);
/* The same with name and password at hand (LOGIN, USER/PASS). */
MAY_WAIT void login_password(struct login *l, struct span user, struct span password,
                             struct auth_result *ret);

/*
 * Hand the signed-in client to a session process. tag: of the sign-in command, "" for POP3. 0: the session has it,
 * and answers; login_session() goes on with l->held when talk() has ended, and with it what was left of the
 * sign-in. Negative: no session could be had (-EUSERS: the user has as many as are allowed, none of them idle), the
 * client still waits for its answer.
 */
MAY_WAIT int login_hand_off(struct login *l, const struct auth_result *who, struct span tag);

#define LOGIN_LIMIT_TEXT "Maximum number of connections from user+IP exceeded (mail_max_userip_connections=%lld)"
int64_t login_limit(const struct login *l);

void login_log_success(const struct login *l, unsigned session_pid);
void login_log_limit(struct login *l);
void login_log_failure(const struct login *l, const char *reason);

#endif
