/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.h - whom we report to: limits against backscatter
 *
 * A message whose sender is forged makes each report on it unwanted mail to a stranger. Refusing mail while its
 * client waits is the cure; for what was taken and then failed these limits remain:
 *
 *     bounce_report_origins           who gave us the message: local, authenticated, mynetworks, forwarded, remote
 *     bounce_report_suppress_checks   what its header says ("X-Spam-Flag: YES")
 *     bounce_report_rate_limit        how many reports one address has had lately
 *
 * The counts are those of this process, which serves thousands of requests at once, so that there is rarely a second;
 * they end when it has had nothing to do for max_idle.
 */
#ifndef BOUNCE_POLICY_H
#define BOUNCE_POLICY_H

#include "base/hash.h"
#include "base/list.h"
#include "queue/queue.h"
#include "table/table.h"

struct policy {
    unsigned origins;           /* enum report_origin bits */
    struct match_list *mynetworks;
    struct maps *suppress;
    int64_t rate_limit, rate_unit;
    struct hash senders;        /* struct sender_count */
    struct list by_time;        /* the same, the longest counted first */
};

enum report_origin {
    ORIGIN_LOCAL         = 1 << 0,  /* sendmail on this machine */
    ORIGIN_AUTHENTICATED = 1 << 1,
    ORIGIN_MYNETWORKS    = 1 << 2,
    ORIGIN_FORWARDED     = 1 << 3,  /* by an alias of ours; who sent it first is not known any more */
    ORIGIN_REMOTE        = 1 << 4,
};

/* 0 or -EINVAL with *err. */
int report_origins_parse(struct span list, unsigned *ret, struct str *err);

/* Open what the parameters name. 0, or negative with *err. */
int policy_open(struct policy *ret, const struct params *p, struct str *err);
void policy_close(struct policy *p);

/*
 * May the sender of this message get a report? header: its header section. NULL: yes, and it is counted; else
 * why not, for the log. now: seconds.
 */
MAY_WAIT
const char *policy_refuses(struct policy *p, const struct queue_envelope *e, struct span header, int64_t now);

#endif
