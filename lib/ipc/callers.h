/* SPDX-License-Identifier: Apache-2.0 */
/*
 * callers.h - who may call whom
 *
 * One table by program name. master gives each process O_PATH descriptors of
 * the sockets of just those services whose program stands in its row (the
 * socket directory is closed to everybody, so there is no other way), and the
 * skeleton of the callee checks SO_PEERCRED against the users of its callers.
 */
#ifndef IPC_CALLERS_H
#define IPC_CALLERS_H

#include <stdbool.h>
#include <sys/types.h>

/* Whose uid a program runs as once it has dropped its privileges (design section 2). */
enum run_as {
    RUN_AS_ROOT,    /* master */
    RUN_AS_QUEUE,   /* mail_owner: cleanup pickup qmgr bounce error discard local virtual */
    RUN_AS_NET,     /* net_owner: smtpd imapd-login pop3d-login smtp proxymap */
    RUN_AS_AUTH,    /* auth_owner */
    RUN_AS_ANYONE,  /* public services: pickup's socket for sendmail, qmgr's for postqueue */
    RUN_AS_USER,    /* imapd pop3d: starts as mail_owner with CAP_SETUID/SETGID, becomes the mailbox owner */
};

struct caller_row {
    const char *callee;          /* program */
    const char *callers[12];     /* programs, NULL-terminated */
    bool is_public;              /* its socket lies in public/ and tools may call it too */
};
extern const struct caller_row caller_table[];
extern const size_t caller_table_len;

struct program_row {
    const char *program;
    enum run_as run_as;
};
extern const struct program_row program_table[];
extern const size_t program_table_len;

bool caller_may_call(const char *caller, const char *callee);

/* Is it handed the random bytes that live as long as master, to make keys from that outlive its processes? */
bool program_has_secret(const char *program);

#endif
