/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msg_deliver.h - qmgr hands recipients of one message to a delivery agent, or a report to bounce
 *
 *     qmgr                                      agent
 *     deliver (+ read-only descriptor of
 *     the queue file), deliver_rcpt * n_rcpt ->
 *                                            <- outcome * n_rcpt  (in any order)
 *                                            <- deliver_done
 *
 * A lost connection before deliver_done: recipients without an outcome are deferred.
 * The agent writes the log line of each outcome; qmgr journals it.
 *
 *     report (+ read-only descriptor)  ->    bounce
 *                                         <- report_done
 */
#ifndef IPC_MSG_DELIVER_H
#define IPC_MSG_DELIVER_H

#include "ipc/ipc.h"
#include "ipc/msg_submit.h"

struct deliver {
    char queue_id[64];
    char transport[64];         /* service name, as in transport_maps */
    struct str nexthop;
    struct str sender;
    uint32_t flags;             /* SUBMIT_8BIT, SUBMIT_SMTPUTF8, SUBMIT_PROBE */
    uint32_t dsn_ret;
    struct str dsn_envid;
    uint64_t content_offset;    /* in the file */
    uint64_t content_size;
    uint64_t arrival_us;        /* real time */
    uint64_t active_us;         /* real time it became active for this attempt: delays=a/b */
    uint32_t attempt;           /* 1 for the first */
    uint32_t n_rcpt;
};
IPC_SHAPE(deliver, IPC_STR(deliver, queue_id), IPC_STR(deliver, transport),
    IPC_DYN(deliver, nexthop, 1024), IPC_DYN(deliver, sender, SUBMIT_ADDRESS_MAX),
    IPC_U32(deliver, flags, SUBMIT_FLAGS_MAX), IPC_U32(deliver, dsn_ret, DSN_RET_HDRS),
    IPC_DYN(deliver, dsn_envid, SUBMIT_ADDRESS_MAX), IPC_U64(deliver, content_offset, INT64_MAX),
    IPC_U64(deliver, content_size, INT64_MAX), IPC_U64(deliver, arrival_us, INT64_MAX),
    IPC_U64(deliver, active_us, INT64_MAX), IPC_U32(deliver, attempt, UINT32_MAX),
    IPC_U32(deliver, n_rcpt, 100000),);

struct deliver_rcpt {
    uint32_t number;            /* index in the queue file; comes back in the outcome */
    struct str address;
    struct str orig;            /* orig_to, empty: the same */
    struct str dsn_orcpt;
    uint32_t dsn_notify;
};
IPC_SHAPE(deliver_rcpt, IPC_U32(deliver_rcpt, number, UINT32_MAX),
    IPC_DYN(deliver_rcpt, address, SUBMIT_ADDRESS_MAX), IPC_DYN(deliver_rcpt, orig, SUBMIT_ADDRESS_MAX),
    IPC_DYN(deliver_rcpt, dsn_orcpt, SUBMIT_ADDRESS_MAX), IPC_U32(deliver_rcpt, dsn_notify, 15),);

enum outcome_status {
    OUTCOME_SENT, OUTCOME_DEFERRED, OUTCOME_BOUNCED,
    OUTCOME_STATUS_LAST = OUTCOME_BOUNCED,
};

/* What a report of success may say of a recipient that was sent (RFC 3464 section 2.3.3, RFC 3461 section 5.2). */
enum outcome_fate {
    FATE_DELIVERED,     /* into a mailbox, or whatever the last stop is */
    FATE_CONFIRMING,    /* to a next hop that will report itself, so that we do not */
    FATE_RELAYED,       /* to a next hop that knows no DSN */
    FATE_EXPANDED,      /* to the members of an alias or list */
    FATE_LAST = FATE_EXPANDED,
};

struct outcome {
    uint32_t number;
    uint32_t status;            /* enum outcome_status */
    char dsn[16];               /* RFC 3463 "4.4.1" */
    struct str text;            /* the (...) of the log line, at most 1 KiB */
    struct str relay;           /* "host[addr]:port", "local", "virtual", "none" */
    struct str remote_mta;      /* host name for the report, empty if none */
    struct str remote_reply;    /* "550 5.1.1 ..." as received, empty if none */
    uint32_t fate;              /* enum outcome_fate, of a recipient that was sent */
};
IPC_SHAPE(outcome, IPC_U32(outcome, number, UINT32_MAX), IPC_U32(outcome, status, OUTCOME_STATUS_LAST),
    IPC_STR(outcome, dsn), IPC_DYN(outcome, text, 1024), IPC_DYN(outcome, relay, 512),
    IPC_DYN(outcome, remote_mta, 512), IPC_DYN(outcome, remote_reply, 1024),
    IPC_U32(outcome, fate, FATE_LAST),);

struct deliver_done {
    uint32_t dead;              /* 1: the destination as a whole cannot be reached now (feedback) */
    char dsn[16];
    struct str reason;
};
IPC_SHAPE(deliver_done, IPC_U32(deliver_done, dead, 1), IPC_STR(deliver_done, dsn),
    IPC_DYN(deliver_done, reason, 1024),);

enum report_kind { REPORT_FAILED, REPORT_DELAYED, REPORT_SUCCESS, REPORT_KIND_LAST = REPORT_SUCCESS };

/* What to report stands in the journal of the file behind the descriptor, which is opened for this request alone, to read and
 * write: bounce locks it and notes in the journal what it does (docs/bounces.md). */
struct report {
    char queue_id[64];
    uint32_t kind;
};
IPC_SHAPE(report, IPC_STR(report, queue_id), IPC_U32(report, kind, REPORT_KIND_LAST),);

struct report_done {
    uint32_t status;            /* enum submit_status: of the report's own acceptance */
    char queue_id[64];          /* of the report */
    char text[512];
};
IPC_SHAPE(report_done, IPC_U32(report_done, status, SUBMIT_STATUS_LAST),
    IPC_STR(report_done, queue_id), IPC_STR(report_done, text),);

#endif
