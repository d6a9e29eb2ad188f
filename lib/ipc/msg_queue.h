/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msg_queue.h - what others say to qmgr: a new message is there, list, act
 *
 *     cleanup:     queue_new (no answer)
 *     smtpd:       queue_flush_site -> queue_command_done     all that a process that talks to strangers may say
 *     postqueue:   queue_list       -> queue_entries ... queue_list_end
 *                                   or queue_destination ... queue_list_end
 *     postqueue, postsuper, sendmail -q:
 *                  queue_command    -> queue_command_done
 */
#ifndef IPC_MSG_QUEUE_H
#define IPC_MSG_QUEUE_H

#include "ipc/ipc.h"
#include "ipc/msg_submit.h"

struct queue_new {
    char queue_id[64];
};
IPC_SHAPE(queue_new, IPC_STR(queue_new, queue_id),);

/* To pickup: messages were put into maildrop/ (postsuper -r). No answer. */
struct maildrop_notice {
    uint32_t count;
};
IPC_SHAPE(maildrop_notice, IPC_U32(maildrop_notice, count, UINT32_MAX),);

struct queue_list {
    uint32_t what;              /* enum queue_list_what */
};
enum queue_list_what { QUEUE_LIST_MESSAGES, QUEUE_LIST_DESTINATIONS, QUEUE_LIST_LAST = QUEUE_LIST_DESTINATIONS };
IPC_SHAPE(queue_list, IPC_U32(queue_list, what, QUEUE_LIST_LAST),);

enum queue_state { QUEUE_STATE_INCOMING, QUEUE_STATE_ACTIVE, QUEUE_STATE_DEFERRED, QUEUE_STATE_HOLD,
                   QUEUE_STATE_MAILDROP, /* left by postdrop or requeued, for pickup */
                   QUEUE_STATE_LAST = QUEUE_STATE_MAILDROP };

/* Part of a listing: records of queue/listing.h, one after the other. A record lies whole in one message; the recipients of
 * a message may go on in the next. */
#define QUEUE_ENTRIES_MAX (512 << 10)
struct queue_entries {
    struct str records;
};
IPC_SHAPE(queue_entries, IPC_DYN(queue_entries, records, QUEUE_ENTRIES_MAX),);

/* Recipients that wait for a destination, by the age of their messages in minutes: up to 5, 10, 20 ... 1280, older. */
#define QUEUE_AGES 10
struct queue_destination {
    char transport[64];
    struct str nexthop;
    uint64_t age[QUEUE_AGES];
    uint32_t active;            /* deliveries in flight */
    uint32_t window;            /* as many may be at once */
    uint64_t suspended_s;       /* seconds until it is tried again; 0: it is not suspended */
    struct str reason;          /* why it was suspended, else of the latest deferral; may be empty */
};
IPC_SHAPE(queue_destination, IPC_STR(queue_destination, transport),
    IPC_DYN(queue_destination, nexthop, 1024),
    IPC_U64(queue_destination, age[0], UINT64_MAX), IPC_U64(queue_destination, age[1], UINT64_MAX),
    IPC_U64(queue_destination, age[2], UINT64_MAX), IPC_U64(queue_destination, age[3], UINT64_MAX),
    IPC_U64(queue_destination, age[4], UINT64_MAX), IPC_U64(queue_destination, age[5], UINT64_MAX),
    IPC_U64(queue_destination, age[6], UINT64_MAX), IPC_U64(queue_destination, age[7], UINT64_MAX),
    IPC_U64(queue_destination, age[8], UINT64_MAX), IPC_U64(queue_destination, age[9], UINT64_MAX),
    IPC_U32(queue_destination, active, UINT32_MAX), IPC_U32(queue_destination, window, UINT32_MAX),
    IPC_U64(queue_destination, suspended_s, UINT64_MAX), IPC_DYN(queue_destination, reason, 2048),);

struct queue_list_end {
    uint32_t status;            /* enum submit_status; PERMANENT: refused, text says why */
    uint32_t count;
    char text[512];
};
IPC_SHAPE(queue_list_end, IPC_U32(queue_list_end, status, SUBMIT_STATUS_LAST),
    IPC_U32(queue_list_end, count, UINT32_MAX), IPC_STR(queue_list_end, text),);

enum queue_action {
    QUEUE_DO_FLUSH,             /* id "ALL", or one id: try now */
    QUEUE_DO_FLUSH_SITE,        /* site: try now what waits for it */
    QUEUE_DO_DELETE, QUEUE_DO_HOLD, QUEUE_DO_RELEASE, QUEUE_DO_REQUEUE, QUEUE_DO_EXPIRE, /* root or mail_owner only */
    QUEUE_ACTION_LAST = QUEUE_DO_EXPIRE,
};

struct queue_command {
    uint32_t action;
    char queue_id[64];          /* or "ALL" */
    char state[16];             /* with ALL: incoming, active, deferred, hold, or empty for every one */
    char site[256];
};
IPC_SHAPE(queue_command, IPC_U32(queue_command, action, QUEUE_ACTION_LAST),
    IPC_STR(queue_command, queue_id), IPC_STR(queue_command, state), IPC_STR(queue_command, site),);

/* Try now what waits for a domain (ETRN). */
struct queue_flush_site {
    char site[256];
};
IPC_SHAPE(queue_flush_site, IPC_STR(queue_flush_site, site),);

struct queue_command_done {
    uint32_t status;            /* enum submit_status; PERMANENT: refused, text says why */
    uint32_t count;             /* messages acted on */
    char text[512];
};
IPC_SHAPE(queue_command_done, IPC_U32(queue_command_done, status, SUBMIT_STATUS_LAST),
    IPC_U32(queue_command_done, count, UINT32_MAX), IPC_STR(queue_command_done, text),);

#endif
