/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msg_verify.h - does mail to an address get through?
 *
 *     smtpd                                    verify
 *     verify_query                          ->
 *                                           <- verify_answer
 *
 *     verify   submit with SUBMIT_PROBE     -> cleanup -> qmgr -> an agent, which stops short of the content
 *
 *     qmgr                                     verify
 *     verify_update (no answer)             ->
 */
#ifndef IPC_MSG_VERIFY_H
#define IPC_MSG_VERIFY_H

#include "ipc/ipc.h"
#include "ipc/msg_submit.h"

enum address_status {
    ADDRESS_DELIVERABLE,
    ADDRESS_DEFERRED,       /* the probe met a temporary failure */
    ADDRESS_UNDELIVERABLE,
    ADDRESS_UNKNOWN,        /* no outcome yet */
    ADDRESS_STATUS_LAST = ADDRESS_UNKNOWN,
};

struct verify_query {
    struct str address;     /* external form, complete */
    uint32_t wait_ms;       /* how long the outcome of a probe may be waited for */
};
IPC_SHAPE(verify_query, IPC_DYN(verify_query, address, SUBMIT_ADDRESS_MAX),
    IPC_U32(verify_query, wait_ms, UINT32_MAX),);

struct verify_answer {
    uint32_t status;        /* enum address_status */
    struct str text;        /* what the agent said, or why there is no outcome */
};
IPC_SHAPE(verify_answer, IPC_U32(verify_answer, status, ADDRESS_STATUS_LAST),
    IPC_DYN(verify_answer, text, 1024),);

struct verify_update {
    struct str address;     /* as it was asked for, before aliases */
    uint32_t status;        /* not ADDRESS_UNKNOWN */
    struct str text;
};
IPC_SHAPE(verify_update, IPC_DYN(verify_update, address, SUBMIT_ADDRESS_MAX),
    IPC_U32(verify_update, status, ADDRESS_UNDELIVERABLE), IPC_DYN(verify_update, text, 1024),);

#endif
