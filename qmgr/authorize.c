/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authorize.c - who may look at the queue (authorized_mailq_users), and who may ask for deliveries
 * (authorized_flush_users)
 *
 * Postfix leaves this to its set-gid postqueue command; here the user is known from the socket, whatever program he has
 * brought. The superuser and the mail owner always may.
 *
 * Runs in: qmgr.
 */
#include "qmgr/authorize.h"

#include "base/log.h"

static int open_list(const char *name, const char *value, struct match_list **ret)
{
    _cleanup_(str_free) struct str err = STR_INIT;

    if (span_starts(span_of(value), span_of("static:")))
        return 0;
    int r = match_list_open_named(name, value, MATCH_DOMAIN, ret, &err);

    if (r < 0)
        log_error("%s", str_cstr(&err));
    return r;
}

int authorize_open(struct qmgr *q)
{
    const struct params *p = q->sv->params;
    int r = open_list("authorized_flush_users", p->authorized_flush_users, &q->may_flush);

    return r < 0 ? r : open_list("authorized_mailq_users", p->authorized_mailq_users, &q->may_list);
}

bool authorize(const struct qmgr *q, struct match_list *list, uid_t uid, struct str *refusal)
{
    _cleanup_(str_free) struct str name = STR_INIT;

    if (!list || daemon_is_superuser(q->sv, uid))
        return true;
    int r = daemon_user_name(uid, &name);

    if (r == 0)
        r = match_list_has(list, str_span(&name));
    if (r > 0)
        return true;
    str_reset(refusal);
    if (r < 0) {
        str_add_str(refusal, "cannot look up the user");
        return false;
    }
    str_add_str(refusal, "User ");
    str_add_escaped(refusal, str_span(&name), 64, STR_ASCII);
    str_addf(refusal, "(%u) is not allowed to %s", (unsigned)uid,
             list == q->may_list ? "view the mail queue" : "flush the mail queue");
    return false;
}
