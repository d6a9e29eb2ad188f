/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authorize.c - who may submit mail: authorized_submit_users
 *
 * The list names users, so the uid of the socket's other end is turned into a name. A user without a name is
 * "unknown".
 *
 * Runs in: pickup.
 */
#include "base/own.h"
#include "pickup/pickup.h"

int authorize(struct pickup *p, uid_t uid, struct str *refusal)
{
    _cleanup_(str_free) struct str name = STR_INIT;

    if (!p->authorized)
        return 1;
    int r = daemon_user_name(uid, &name);

    if (r == 0)
        r = match_list_has(p->authorized, str_span(&name));
    str_reset(refusal);
    str_add_str(refusal, "User ");
    str_add_escaped(refusal, str_span(&name), 64, STR_ASCII);
    str_addf(refusal, "(%u) is not allowed to submit mail", (unsigned)uid);
    return r;
}
