/* SPDX-License-Identifier: Apache-2.0 */
/*
 * callers.c - who may call whom, and as whom each program runs: the two tables
 *
 * Runs in: master (to hand out descriptors) and every daemon (to check callers).
 */
#include "ipc/callers.h"

#include <string.h>

#include "base/mem.h"

const struct caller_row caller_table[] = {
    /* callee       callers                                                              public */
    { "cleanup",    { "smtpd", "pickup", "bounce", "local", "virtual", "verify" },       false },
    { "pickup",     { "qmgr" },                                                         true  },
    { "qmgr",       { "cleanup", "smtpd" },                                              true  },
    { "auth",       { "smtpd", "imapd-login", "pop3d-login", "imapd", "pop3d" },         false },
    { "imapd",      { "imapd-login" },                                                   false },
    { "pop3d",      { "pop3d-login" },                                                   false },
    { "smtp",       { "qmgr" },                                                          false },
    { "lmtp",       { "qmgr" },                                                          false },
    { "local",      { "qmgr" },                                                          false },
    { "virtual",    { "qmgr" },                                                          false },
    { "pipe",       { "qmgr" },                                                          false },
    { "error",      { "qmgr" },                                                          false },
    { "discard",    { "qmgr" },                                                          false },
    { "bounce",     { "qmgr" },                                                          false },
    { "anvil",      { "smtpd", "imapd-login", "pop3d-login" },                           false },
    { "verify",     { "smtpd", "qmgr" },                                                 false },
    { "tlsmgr",     { "smtpd", "imapd-login", "pop3d-login" },                           false },
    { "proxymap",   { "smtpd", "cleanup", "qmgr", "smtp", "lmtp", "local", "virtual", "auth" },  false },
};
const size_t caller_table_len = ARRAY_LEN(caller_table);

const struct program_row program_table[] = {
    { "master",       RUN_AS_ROOT },
    { "smtpd",        RUN_AS_NET },
    { "imapd-login",  RUN_AS_NET },
    { "pop3d-login",  RUN_AS_NET },
    { "smtp",         RUN_AS_NET },
    { "lmtp",         RUN_AS_NET },
    { "proxymap",     RUN_AS_NET },
    { "tlsmgr",       RUN_AS_NET },
    { "auth",         RUN_AS_AUTH },
    { "anvil",        RUN_AS_QUEUE },
    { "cleanup",      RUN_AS_QUEUE },
    { "pickup",       RUN_AS_QUEUE },
    { "qmgr",         RUN_AS_QUEUE },
    { "bounce",       RUN_AS_QUEUE },
    { "verify",       RUN_AS_QUEUE },
    { "error",        RUN_AS_QUEUE },
    { "discard",      RUN_AS_QUEUE },
    { "pipe",         RUN_AS_QUEUE },
    { "local",        RUN_AS_QUEUE },
    { "virtual",      RUN_AS_QUEUE },
    { "imapd",        RUN_AS_USER },
    { "pop3d",        RUN_AS_USER },
};
const size_t program_table_len = ARRAY_LEN(program_table);

bool program_has_secret(const char *program)
{
    return strcmp(program, "auth") == 0;
}

bool caller_may_call(const char *caller, const char *callee)
{
    for (size_t i = 0; i < caller_table_len; i++) {
        if (strcmp(caller_table[i].callee, callee) != 0)
            continue;
        for (const char *const *c = caller_table[i].callers; *c; c++)
            if (strcmp(*c, caller) == 0)
                return true;
    }
    return false;
}
