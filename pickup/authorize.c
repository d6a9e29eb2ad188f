/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authorize.c - who may submit mail: authorized_submit_users
 *
 * The list names users, so the uid of the socket's other end is turned into a name by NSS, on a
 * helper thread since that may ask a directory over the network. A user without a name is
 * "unknown".
 *
 * Runs in: pickup.
 */
#include <errno.h>
#include <pwd.h>

#include "base/mem.h"
#include "pickup/pickup.h"

#define PASSWD_BUFFER 65536

struct user_query {
    uid_t uid;
    struct str name;
};

/* Runs on a helper thread. */
static int find_user(void *arg)
{
    struct user_query *q = arg;
    _cleanup_free_ char *buf = mem_realloc(NULL, PASSWD_BUFFER, 1);
    struct passwd pw, *found = NULL;
    int r = getpwuid_r(q->uid, &pw, buf, PASSWD_BUFFER, &found);

    str_add_str(&q->name, found ? pw.pw_name : "unknown");
    return r == EIO || r == ENOMEM ? -r : 0;
}

int authorize(struct pickup *p, uid_t uid, struct str *refusal)
{
    struct user_query q = {.uid = uid};

    if (!p->authorized)
        return 1;
    int r = offload(find_user, &q);

    if (r == 0)
        r = match_list_has(p->authorized, str_span(&q.name));
    str_reset(refusal);
    str_add_str(refusal, "User ");
    str_add_escaped(refusal, str_span(&q.name), 64, STR_ASCII);
    str_addf(refusal, "(%u) is not allowed to submit mail", (unsigned)uid);
    str_free(&q.name);
    return r;
}
