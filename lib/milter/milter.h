/* SPDX-License-Identifier: Apache-2.0 */
/*
 * milter.h - asking mail filters (milters) about a session and its messages
 *
 *     milter_list       which filters a service has, with their settings; opened at start
 *     milters           the conversation of one SMTP session with all of them, in their order
 *     milter_message    what a message offers to be looked at and changed
 *
 * The conversation goes with the SMTP session; the part from the header on is another process's
 * (cleanup has the message), so a filter's connection and state travel there and back: milters_lend(),
 * milters_receive(). Where a filter is in the conversation:
 *
 *     NEW --connect--> READY --MAIL--> ENVELOPE --header..eom--> READY
 *                       ^ '--- abort ----'
 *     ACCEPT_CON  it wants nothing more of this session     ACCEPT_MSG  of this message
 *     REJECT_CON  it has refused the session: every later event gets the same answer
 *     FAILED      the same, with its default action
 *     LENT        its connection is in use elsewhere
 */
#ifndef MILTER_MILTER_H
#define MILTER_MILTER_H

#include "conf/conf.h"
#include "io/socket.h"
#include "ipc/msg_submit.h"
#include "milter/wire.h"

#define MILTER_REPLY_MAX 1000 /* bytes of a reply for the SMTP client */

/* ---- the filters of a service ---- */

enum milter_default {
    MILTER_DEFAULT_ACCEPT,
    MILTER_DEFAULT_QUARANTINE,
    MILTER_DEFAULT_REJECT,
    MILTER_DEFAULT_SHUTDOWN,
    MILTER_DEFAULT_TEMPFAIL,
    MILTER_DEFAULT_LAST = MILTER_DEFAULT_TEMPFAIL,
};

struct milter_settings {
    char *name;             /* "inet:localhost:8891", for logs */
    char *path;             /* unix: */
    int path_fd;            /* the socket as start() saw it, where its directory is closed to us; or -1 */
    union sockaddr_any addr; /* inet: */
    int64_t connect_s, command_s, content_s;
    uint32_t protocol;
    enum milter_default default_action;
};

struct milter_list {
    const struct params *params;
    struct milter_settings *items;
    size_t len, cap;
};

enum milter_resolve {
    MILTER_BY_NAME,     /* in start(): host names are looked up */
    MILTER_BY_ADDRESS,  /* later, when there is no way to the system's resolver */
};

/* A list as in smtpd_milters; params must outlive it. 0, or -EINVAL with *err. */
int milter_list_parse(const struct params *params, const char *text, enum milter_resolve how,
                      struct milter_list *ret, struct str *err);
void milter_list_done(struct milter_list *l);
/* Does one of them need an inet connection? (for the sandbox) */
bool milter_list_has_inet(const struct milter_list *l);

/* ---- the conversation ---- */

/* What the session knows, and who says what went wrong. */
struct milter_host {
    const struct params *params;
    /* The value of a macro ("i", "{client_addr}") is appended; nothing: it has none. MAY_WAIT. */
    void (*macro)(void *arg, struct span name, struct str *ret);
    void (*warn)(void *arg, const char *text);
    void *arg;
};

/* What becomes of the command or message */
enum milter_verdict {
    MILTER_PASS,
    MILTER_REFUSE,      /* with a reply, 4xx or 5xx */
    MILTER_DISCARD,     /* answer as if it were accepted */
    MILTER_HOLD,
    MILTER_CLOSE,       /* 421 */
};

struct milters;

/* list and host's pointers must outlive it. Nothing is connected yet. */
struct milters *milters_new(const struct milter_list *list, const struct milter_host *host);
/* Says goodbye to the filters, without waiting for them. NULL is allowed. */
void milters_free(struct milters *ms);
DEFINE_CLEANUP(struct milters, milters_free);

struct milter_client {
    struct span name, addr;
    unsigned port;          /* 0: unknown */
    bool is_unix;
};

/*
 * The events. Each filter is asked in its order, until one has something against it. reply is reset, and
 * for MILTER_REFUSE set to an SMTP reply, whose lines are separated by CRLF.
 */
MAY_WAIT enum milter_verdict milters_connect(struct milters *ms, const struct milter_client *c, struct str *reply);
MAY_WAIT enum milter_verdict milters_helo(struct milters *ms, struct span name, struct str *reply);
/* args: the address in <>, and the ESMTP parameters as they came */
MAY_WAIT enum milter_verdict milters_mail(struct milters *ms, const struct span *args, size_t n, struct str *reply);
MAY_WAIT enum milter_verdict milters_rcpt(struct milters *ms, const struct span *args, size_t n, struct str *reply);
/* A recipient that was refused already: told to those that asked for it */
MAY_WAIT void milters_rcpt_refused(struct milters *ms, const struct span *args, size_t n);
MAY_WAIT enum milter_verdict milters_data(struct milters *ms, struct str *reply);
MAY_WAIT enum milter_verdict milters_unknown(struct milters *ms, struct span line, struct str *reply);
/* Another command: refused while a filter has refused the session */
enum milter_verdict milters_other(const struct milters *ms, struct str *reply);
/* Would a recipient that was refused be told to anybody? */
bool milters_want_refused(const struct milters *ms);
/* The transaction is over. */
MAY_WAIT void milters_abort(struct milters *ms);

/* ---- the message ---- */

struct milter_message {
    /* Field i of the header, counted from 0: 1 and *name, *value (folded, CRLF; with the blank after the colon); 0 at
     * the end. Valid until the next call. */
    int (*header)(void *arg, size_t i, struct span *name, struct span *value);
    /* Bytes of the body from offset on, as many as are at hand: 0 and *ret, empty at the end; or -errno */
    MAY_WAIT int (*body)(void *arg, uint64_t offset, struct span *ret);
    /* A change that the filter asks for. verbatim: values have their own blank after the colon. 0 or -errno. */
    MAY_WAIT int (*edit)(void *arg, const struct milter_reply *change, bool verbatim);
    /* The filter has come to its end; complete: no failure in between. 0 or -errno. */
    MAY_WAIT int (*edited)(void *arg, bool complete);
    void *arg;
};

/*
 * Header to end of message: each filter sees the message with the changes of those before it. MILTER_HOLD
 * (quarantine) does not end the round. -errno of body() and edit() count as a failure of the filter.
 */
MAY_WAIT enum milter_verdict milters_message(struct milters *ms, const struct milter_message *m, struct str *reply);

/* ---- there and back ---- */

/* How many filters want to see the message */
uint32_t milters_to_lend(const struct milters *ms);
/* Send them: a milter_pass each, with the descriptor. They are LENT until milters_settle(). */
MAY_WAIT void milters_lend(struct milters *ms, struct ipc *to);
/* states: what milters_states() gave there; "" when it is not known, which ends these conversations. */
void milters_settle(struct milters *ms, const char *states);

/* n filters as they were lent. macro() is asked for "i" only; the other values come with them. 0 or the ipc's error. */
MAY_WAIT int milters_receive(struct ipc *from, uint32_t n, const struct milter_host *host, struct milters **ret);
/* End what was received: aborts what is not complete, and writes a letter for each filter. The connections are the lender's again. */
MAY_WAIT void milters_give_back(struct milters *ms, char ret[static SUBMIT_MILTERS_MAX + 1]);

#endif
