/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msg_submit.h - handing a message to cleanup (and, from sendmail, to pickup, which passes it on)
 *
 *     client                         cleanup
 *     submit [a descriptor], milter_pass * n_milters, submit_rcpt * n_rcpt,
 *     content chunks, empty chunk  ->
 *                                 <- submit_result
 *
 * Content is the message as it is to be stored: CRLF lines, dot-stuffing undone,
 * without the Received header (cleanup composes it from these fields, since it
 * knows the queue id). A client that gives up closes the connection before the
 * empty chunk. The connection then serves the next message.
 */
#ifndef IPC_MSG_SUBMIT_H
#define IPC_MSG_SUBMIT_H

#include "ipc/ipc.h"

#define SUBMIT_PRIORITY_ZERO 10
#define SUBMIT_ADDRESS_MAX 2048 /* bytes of an address or a DSN parameter between processes */
#define SUBMIT_MILTERS_MAX 16   /* milters of one session */

enum submit_origin {
    SUBMIT_NETWORK,     /* smtpd */
    SUBMIT_LOCAL,       /* pickup: sendmail, maildrop */
    SUBMIT_INTERNAL,    /* bounce, local forwarding: no loop for failed reports, headers complete */
    SUBMIT_ORIGIN_LAST = SUBMIT_INTERNAL,
};

enum submit_flags {
    SUBMIT_8BIT      = 1 << 0,  /* BODY=8BITMIME (RFC 6152) */
    SUBMIT_SMTPUTF8  = 1 << 1,  /* RFC 6531 */
    SUBMIT_REWRITE   = 1 << 2,  /* complete missing headers and short addresses (local_header_rewrite_clients) */
    SUBMIT_NO_ALIAS  = 1 << 3,  /* no virtual alias expansion */
    SUBMIT_EXTRACT   = 1 << 4,  /* recipients are taken from To/Cc/Bcc as well (sendmail -t) */
    SUBMIT_HOLD      = 1 << 5,  /* put it on hold */
    SUBMIT_DISCARD   = 1 << 6,  /* take it, answer for it, and throw it away */
    SUBMIT_PROBE     = 1 << 7,  /* an address probe (verify): an agent delivers nothing, it says what would become of it */
    SUBMIT_FILTER    = 1 << 8,  /* non_smtpd_milters are to see it */
    SUBMIT_FLAGS_MAX = (1 << 9) - 1,
};

/* RFC 3461 section 4.1: NOTIFY, and section 4.3: RET */
enum dsn_notify { DSN_NEVER = 1, DSN_SUCCESS = 2, DSN_FAILURE = 4, DSN_DELAY = 8 }; /* 0: not given */
enum dsn_ret { DSN_RET_NONE, DSN_RET_FULL, DSN_RET_HDRS };

struct submit {
    uint32_t origin;            /* enum submit_origin */
    uint32_t flags;             /* enum submit_flags */
    uint32_t n_rcpt;
    uint32_t n_milters;         /* that have seen the session, and are to see the message */
    struct str sender;          /* envelope sender, unquoted external form "local@domain"; empty: null sender */
    uint32_t dsn_ret;
    struct str dsn_envid;       /* decoded xtext, empty if none */
    uint64_t size_hint;         /* SIZE= or 0 */
    /* for the Received header, the log and XFORWARD: */
    struct str client_name;     /* "unknown" if it has none; empty for local mail */
    char client_addr[64];
    uint32_t client_port;
    struct str helo;
    char proto[16];             /* SMTP, ESMTP, ESMTPS, ESMTPSA ... (RFC 3848) */
    char service[64];           /* master.cf name it came in by */
    struct str tls_info;        /* text of smtpd_tls_received_header, empty if none */
    char sasl_method[32];
    struct str sasl_username;
    struct str sasl_sender;
    uint64_t uid;               /* of the local submitter; origin SUBMIT_LOCAL */
    struct str orig_queue_id;   /* XFORWARD or requeue; usually empty */
    /* by XFORWARD: for queue file and log instead of the client's own; empty and 0: those */
    struct str forwarded_name, forwarded_helo;
    char forwarded_addr[64], forwarded_proto[16];
    uint32_t forwarded_port;
    uint32_t forwarded_source;  /* 0: by origin; 1: local mail, 2: mail of the network */
    struct str content_filter;  /* "transport:destination" for all recipients, empty: as routed */
    uint32_t priority;          /* RFC 6710's -9 ... 9, SUBMIT_PRIORITY_ZERO added; 0: not given */
    uint64_t report;            /* 0: no report; else its number in the journal of the queue file that it reports on, whose descriptor
                                 * comes along: cleanup notes there that it is in the queue. Origin SUBMIT_INTERNAL */
    struct str prepend;         /* header lines that go in front of all others, CRLF */
};
IPC_SHAPE(submit,
    IPC_U32(submit, origin, SUBMIT_ORIGIN_LAST), IPC_U32(submit, flags, SUBMIT_FLAGS_MAX),
    IPC_U32(submit, n_rcpt, 1000000), IPC_U32(submit, n_milters, SUBMIT_MILTERS_MAX), IPC_DYN(submit, sender, SUBMIT_ADDRESS_MAX),
    IPC_U32(submit, dsn_ret, DSN_RET_HDRS), IPC_DYN(submit, dsn_envid, SUBMIT_ADDRESS_MAX),
    IPC_U64(submit, size_hint, UINT64_MAX), IPC_DYN(submit, client_name, 1024),
    IPC_STR(submit, client_addr), IPC_U32(submit, client_port, 65535),
    IPC_DYN(submit, helo, 1024), IPC_STR(submit, proto), IPC_STR(submit, service),
    IPC_DYN(submit, tls_info, 1024), IPC_STR(submit, sasl_method),
    IPC_DYN(submit, sasl_username, 1024), IPC_DYN(submit, sasl_sender, SUBMIT_ADDRESS_MAX),
    IPC_U64(submit, uid, UINT32_MAX), IPC_DYN(submit, orig_queue_id, 64),
    IPC_DYN(submit, forwarded_name, 1024), IPC_DYN(submit, forwarded_helo, 1024),
    IPC_STR(submit, forwarded_addr), IPC_STR(submit, forwarded_proto), IPC_U32(submit, forwarded_port, 65535),
    IPC_U32(submit, forwarded_source, 2),
    IPC_DYN(submit, content_filter, 1024), IPC_U32(submit, priority, 19), IPC_U64(submit, report, UINT64_MAX), IPC_DYN(submit, prepend, 65536),);

/* A mail filter in the middle of its conversation (lib/milter); its connection comes as a descriptor beside it. */
struct milter_pass {
    struct str name;            /* "inet:localhost:8891", for logs */
    uint32_t version, actions, steps;   /* as negotiated */
    uint32_t command_s, content_s, default_action;
    struct str macros_eoh, macros_eom;  /* names, as in main.cf */
    struct str values;          /* of these, but the queue id: name NUL value NUL ... */
};
IPC_SHAPE(milter_pass, IPC_DYN(milter_pass, name, 1024), IPC_U32(milter_pass, version, 6),
    IPC_U32(milter_pass, actions, UINT32_MAX), IPC_U32(milter_pass, steps, UINT32_MAX),
    IPC_U32(milter_pass, command_s, 86400), IPC_U32(milter_pass, content_s, 86400),
    IPC_U32(milter_pass, default_action, 4), IPC_DYN(milter_pass, macros_eoh, 8192),
    IPC_DYN(milter_pass, macros_eom, 8192), IPC_DYN(milter_pass, values, 65536),);

struct submit_rcpt {
    struct str address;         /* external form */
    struct str orig;            /* as given before rewriting, empty: the same */
    struct str dsn_orcpt;       /* "rfc822;addr" decoded, empty if none */
    uint32_t dsn_notify;
};
IPC_SHAPE(submit_rcpt, IPC_DYN(submit_rcpt, address, SUBMIT_ADDRESS_MAX),
    IPC_DYN(submit_rcpt, orig, SUBMIT_ADDRESS_MAX), IPC_DYN(submit_rcpt, dsn_orcpt, SUBMIT_ADDRESS_MAX),
    IPC_U32(submit_rcpt, dsn_notify, 15),);

enum submit_status {
    SUBMIT_OK,          /* on disk: the submitter may answer 250 */
    SUBMIT_TEMPORARY,   /* 4xx */
    SUBMIT_PERMANENT,   /* 5xx */
    SUBMIT_STATUS_LAST = SUBMIT_PERMANENT,
};

struct submit_result {
    uint32_t status;            /* enum submit_status */
    char queue_id[64];
    uint64_t size;              /* bytes of content stored */
    char dsn[16];               /* "5.3.4" */
    char text[512];             /* for the reply, printable, without code and dsn */
    char reply[1024];           /* the reply itself, its lines separated by CRLF; "" if it is not given */
    char milters[SUBMIT_MILTERS_MAX + 1]; /* what became of the conversation with each (lib/milter) */
};
IPC_SHAPE(submit_result, IPC_U32(submit_result, status, SUBMIT_STATUS_LAST),
    IPC_STR(submit_result, queue_id), IPC_U64(submit_result, size, UINT64_MAX),
    IPC_STR(submit_result, dsn), IPC_STR(submit_result, text), IPC_STR(submit_result, reply),
    IPC_STR(submit_result, milters),);

#endif
