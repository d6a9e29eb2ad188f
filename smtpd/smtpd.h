/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtpd.h - the SMTP server: what a process has (struct service) and what a session has (struct smtpd)
 *
 * Which command may come when (the table is in command.c):
 *
 *     CONNECTED --HELO--> GREETED --MAIL--> MAIL --RCPT--> RCPT --DATA--> message, back to GREETED
 *         '------MAIL (smtpd_helo_required=no)---^            '--BDAT--> BDAT --BDAT LAST--> message
 *
 * STARTTLS leads back to CONNECTED; RSET and HELO drop a transaction.
 */
#ifndef SMTPD_SMTPD_H
#define SMTPD_SMTPD_H

#include "daemon/daemon.h"
#include "ipc/ipc.h"
#include "mail/route.h"
#include "milter/milter.h"
#include "smtpd/anvil_link.h"
#include "smtpd/dotstuff.h"
#include "smtpd/mail_args.h"
#include "smtpd/restrict.h"
#include "tls/server.h"

#define HELO_MAX      255   /* RFC 5321 section 4.5.3.1.2 */
#define ADDRESS_BYTES 1024  /* of an envelope address; section 4.5.3.1.3 asks for 256, UTF-8 needs more */
#define SHOWN_MAX     200   /* bytes of a peer's text in a reply or a log line */

enum tls_level { TLS_LEVEL_NONE, TLS_LEVEL_MAY, TLS_LEVEL_ENCRYPT };
enum bare_newline { BARE_NEWLINE_NO, BARE_NEWLINE_NORMALIZE, BARE_NEWLINE_NOTE, BARE_NEWLINE_REJECT };

/* Set up by start(), then read only but for the kept connections. */
struct service {
    const struct server *server;
    const struct params *params;
    struct router *router;
    struct match_list *mynetworks, *limit_exceptions, *backup_networks, *flush_domains;
    struct match_list *xclient_hosts, *xforward_hosts, *bare_exclusions;   /* NULL: nobody */
    struct restriction_set restrictions;
    struct maps *sender_logins, *rbl_replies, *relay_clientcerts;
    struct milter_list milters;
    struct maps *milter_maps;       /* NULL: smtpd_milter_maps is empty */
    struct maps *command_filter, *footers, *ehlo_filters; /* NULL: none */
    bool access_parents;            /* parent_domain_matches_subdomains holds smtpd_access_maps */
    const char *reject_footer;      /* raw, "" none */
    bool behind_proxy;              /* smtpd_upstream_proxy_protocol */
    struct tls_server *tls;         /* NULL: not offered */
    enum tls_level tls_level;
    enum tls_ask tls_ask;
    const EVP_MD *fingerprint_digest;
    enum bare_newline bare_newline;
    struct ipc_pool *cleanup, *auth, *verify;
    struct anvil_link *anvil;
    unsigned notify;                /* enum notify_class: of which sessions the postmaster gets transcripts */
    struct prescreen *prescreen;    /* NULL: no tests before the greeting */
};

enum state {
    SMTP_CONNECTED = 1 << 0,        /* no HELO yet */
    SMTP_GREETED   = 1 << 1,
    SMTP_MAIL      = 1 << 2,        /* MAIL accepted */
    SMTP_RCPT      = 1 << 3,        /* and at least one RCPT */
    SMTP_BDAT      = 1 << 4,        /* and at least one BDAT chunk */
    SMTP_CLOSED    = 1 << 5,
};
#define SMTP_ANY (SMTP_CONNECTED | SMTP_GREETED | SMTP_MAIL | SMTP_RCPT | SMTP_BDAT)

struct envelope_rcpt {
    char *address;                  /* external form, complete */
    char *orig;                     /* as given; NULL: the same */
    char *dsn_orcpt;                /* NULL: none */
    uint32_t dsn_notify;
};

/* A message on its way to cleanup; see submit.h. */
struct submission {
    struct ipc *cleanup;            /* NULL: nothing was sent yet, all content is in `held` */
    struct dotstuff parser;
    struct binary_content *binary;  /* of BODY=BINARYMIME, on its way to lines; else NULL */
    struct str held;                /* content not yet sent */
    uint64_t sent;                  /* content bytes before those */
    uint64_t size;                  /* all content bytes so far */
    int failed;                     /* 0, or why it cannot be submitted; the rest is read and dropped */
};

/* What DNS says of the client's name */
enum client_name_state { CLIENT_NAME_NONE, CLIENT_NAME_TEMPORARY, CLIENT_NAME_OK };

#define COMMANDS_MAX 16

struct smtpd {
    struct service *sv;
    struct stream *client;
    enum state state;

    /* the client */
    char addr[INET6_ADDRSTRLEN];
    unsigned port;
    union sockaddr_any remote, local;
    struct str name;                /* by DNS, or "unknown" */
    struct str reverse_name;        /* by reverse DNS, not verified, or "unknown" */
    enum client_name_state name_state, reverse_name_state;
    char namaddr[320];              /* "name[addr]", for logs */
    struct str helo;                /* escaped */
    bool esmtp;
    bool trusted;                   /* in mynetworks */
    struct str prescreen_refusal;   /* of RCPT, for a test that failed; prescreen.h */
    bool limit_exempt;
    enum bare_newline bare_newline; /* what a bare LF of this client gets */
    struct anvil_client anvil;      /* as whom it is counted; limits.h */
    bool may_xclient, may_xforward;
    struct forwarded *forwarded;    /* by XFORWARD, for the next message; NULL: nothing */
    uint32_t hidden_keywords;       /* rows of the EHLO table that this client is not told of */
    bool denied;                    /* by smtpd_client_restrictions at once: only QUIT is obeyed */
    struct str tls_info;            /* empty: no TLS */
    struct tls_peer tls_peer;       /* its certificate */
    char sasl_method[32];
    struct str sasl_username;

    /* the transaction */
    struct str sender;              /* external form, complete */
    struct mail_args mail;
    struct envelope_rcpt *rcpts;
    size_t n_rcpts, cap_rcpts;
    size_t n_mails;                 /* transactions begun */
    struct str rcpt;                /* the one being checked, as it is shown */
    struct span etrn;               /* the domain of the ETRN being checked */
    struct submission message;
    bool bdat_failed;               /* later chunks are discarded */
    struct restrict_state restrict_state;

    /* mail filters; see filter.h */
    struct milters *milters;        /* NULL: none */
    struct milter_list *own_milters; /* by smtpd_milter_maps; NULL: the service's */
    bool rcpt_refused;              /* the recipient that filters are told of now */

    /* what it has done */
    uint64_t errors, junk, overshoot;
    struct {
        uint32_t ok, total;
    } counts[COMMANDS_MAX + 1];     /* by row of the command table; the last: unknown ones */
    size_t copies;                  /* of the next replies: LMTP has one for each recipient; 0: one */
    const char *where;              /* for "lost connection after ..." */
    bool in_content;
    struct str transcript;          /* transcript.h */
    unsigned trouble;               /* enum notify_class: what has happened */
};

/* The session: one call per connection; it frees the stream. */
MAY_WAIT void smtpd_session(struct server *server, struct stream *client, const struct peer *peer);

/* Drop the transaction, if there is one. */
void transaction_reset(struct smtpd *s);

#endif
