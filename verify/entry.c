/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry.c - what is remembered of an address: "status:updated:text"
 *
 * Runs in: verify. The text is what a remote server said, cut and escaped where it is shown.
 */
#include "verify/entry.h"

#include <errno.h>

void entry_done(struct entry *e)
{
    str_free(&e->text);
}

int entry_parse(struct span text, struct entry *ret)
{
    uint64_t status, updated;
    int r = span_u64(span_cut(&text, ':'), ADDRESS_UNDELIVERABLE, &status);

    if (r == 0)
        r = span_u64(span_cut(&text, ':'), INT64_MAX, &updated);
    if (r < 0)
        return -EINVAL;
    ret->status = (enum address_status)status;
    ret->updated = (int64_t)updated;
    str_set(&ret->text, text);
    return 0;
}

void entry_print(const struct entry *e, struct str *ret)
{
    str_addf(ret, "%d:%lld:" SPAN_FMT, e->status, (long long)e->updated, SPAN_ARG(str_span(&e->text)));
}

int64_t entry_expires(const struct params *p, const struct entry *e)
{
    return e->updated + (e->status == ADDRESS_DELIVERABLE ? p->address_verify_positive_expire_time
                                                          : p->address_verify_negative_expire_time);
}

int64_t entry_refreshes(const struct params *p, const struct entry *e)
{
    return e->updated + (e->status == ADDRESS_DELIVERABLE ? p->address_verify_positive_refresh_time
                                                          : p->address_verify_negative_refresh_time);
}

bool entry_replaces(const struct params *p, const struct entry *old, const struct entry *new)
{
    if (new->status == ADDRESS_DELIVERABLE)
        return true;
    return p->address_verify_negative_cache &&
           (old->status != ADDRESS_DELIVERABLE || entry_expires(p, old) <= new->updated);
}
