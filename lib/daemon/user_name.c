/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user_name.c - what a uid is called
 *
 * On a helper thread, since NSS may ask a directory over the network.
 *
 * Runs in: programs with SANDBOX_NSS that look at who connects.
 */
#include <errno.h>
#include <pwd.h>

#include "base/mem.h"
#include "daemon/daemon.h"
#include "io/fiber.h"

#define PASSWD_BUFFER 65536

struct user_query {
    uid_t uid;
    struct str *name;
};

/* Runs on a helper thread. */
static int find_user(void *arg)
{
    struct user_query *q = arg;
    _cleanup_free_ char *buf = mem_realloc(NULL, PASSWD_BUFFER, 1);
    struct passwd pw, *found = NULL;
    int r = getpwuid_r(q->uid, &pw, buf, PASSWD_BUFFER, &found);

    str_add_str(q->name, found ? pw.pw_name : "unknown");
    return r == EIO || r == ENOMEM ? -r : 0;
}

int daemon_user_name(uid_t uid, struct str *ret)
{
    struct user_query q = { .uid = uid, .name = ret };

    str_reset(ret);
    return offload(find_user, &q);
}
