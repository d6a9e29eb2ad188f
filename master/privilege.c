/* SPDX-License-Identifier: Apache-2.0 */
/*
 * privilege.c - the capabilities that master and all that it starts can ever have
 *
 * Servers open tables and keys as root and then become somebody else; master
 * binds sockets, makes directories and ends processes of any user. Nobody mounts, loads
 * modules, traces or changes networks.
 *
 * Runs in: master, once.
 */
#include <sys/capability.h>
#include <sys/prctl.h>

#include "base/log.h"
#include "base/mem.h"
#include "master/master.h"

static const cap_value_t used[] = {
    CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER,           CAP_KILL,
    CAP_SETGID, CAP_SETUID,       CAP_SETPCAP,         CAP_NET_BIND_SERVICE,
};

static bool is_used(cap_value_t cap)
{
    for (size_t i = 0; i < ARRAY_LEN(used); i++)
        if (used[i] == cap)
            return true;
    return false;
}

static void free_caps(cap_t *c)
{
    if (*c)
        cap_free(*c);
}

void master_limit_capabilities(void)
{
    _cleanup_(free_caps) cap_t caps = cap_get_proc();

    if (!caps)
        log_fatal("cannot read capabilities: %m");
    for (cap_value_t cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
        if (is_used(cap))
            continue;
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
            log_fatal("cannot drop capability %d: %m", cap);
        cap_set_flag(caps, CAP_EFFECTIVE, 1, &cap, CAP_CLEAR);
        cap_set_flag(caps, CAP_PERMITTED, 1, &cap, CAP_CLEAR);
        cap_set_flag(caps, CAP_INHERITABLE, 1, &cap, CAP_CLEAR);
    }
    if (cap_set_proc(caps) < 0)
        log_fatal("cannot set capabilities: %m");
}
