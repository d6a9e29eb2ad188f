/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cleanup - take a message from smtpd, pickup, bounce or a delivery agent, and make it a file of
 * the queue
 *
 * It adds the Received header and, to local mail, the headers that are missing; removes Bcc and the
 * like; completes short addresses; expands virtual aliases; writes tmp/ID, flushes it, renames it
 * into new/ and tells qmgr. Only then does it answer: what it has answered for survives a power
 * cut.
 *
 * Parameters: its manual page lists them, made from what these sources read.
 *
 * May touch: tmp/, new/ and hold/ below queue_directory, its tables (read-only), qmgr, mail filters.
 */
#include "base/log.h"
#include "base/mem.h"
#include "cleanup/cleanup.h"
#include "daemon/daemon.h"
#include "mail/route.h"

#define FLUSHES_IN_FLIGHT 64

static int complete_header_address(struct span in, struct str *out, void *arg)
{
    const struct params *p = arg;

    route_complete(p, in, out);
    return !span_eq(in, str_span(out));
}

static struct header_rules make_rules(const struct params *p)
{
    struct header_rules rules = {
        .field_max = (size_t)p->header_size_limit,
        .section_max = (size_t)p->header_section_limit,
        .extract_max = (size_t)p->extract_recipient_limit,
        .complete = complete_header_address,
        .arg = (void *)p,
    };

    header_rules_parse_drop(p->message_drop_headers, &rules);
    return rules;
}

static int start(struct server *sv)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    struct cleanup *c = mem_new(struct cleanup);
    const struct params *p = sv->params;

    sv->state = c;
    c->params = p;
    c->rules = make_rules(p);
    c->notify.service = "qmgr";
    int r = aliases_open(p, &c->aliases, &err);

    if (r < 0) {
        log_error("%s", str_cstr(&err));
        return r;
    }
    r = filter_start(c, &err);
    if (r < 0) {
        log_error("%s", str_cstr(&err));
        return r;
    }
    r = inspect_open(p, &c->checks, &err);
    if (r == 0)
        r = bcc_open(p, &c->bcc, &err);
    if (r < 0) {
        log_error("%s", str_cstr(&err));
        return r;
    }
    if (milter_list_has_inet(&c->milters))
        daemon_allow(sv, SANDBOX_INET_CLIENT);
    if (daemon_checking(sv))
        return 0;
    r = queue_dirs_open(p->queue_directory, 1u << QUEUE_TMP | 1u << QUEUE_NEW | 1u << QUEUE_HOLD, &c->dirs);
    if (r < 0)
        return log_error_errno(r, "cannot open tmp/, new/ and hold/ below %s", p->queue_directory);
    offload_limit(FLUSHES_IN_FLIGHT);
    return 0;
}

static int ready(struct server *sv)
{
    struct cleanup *c = sv->state;

    notify_open(&c->notify);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct daemon cleanup = {
        .name = "cleanup",
        .mode = DAEMON_FIBERS,
        .sandbox =
            {
                      .user = RUN_AS_QUEUE,
                      .write = {"$queue_directory/tmp", "$queue_directory/new", "$queue_directory/hold"},
                      },
        .start = start,
        .ready = ready,
        .session = cleanup_session,
    };

    return daemon_main(&cleanup, argc, argv);
}
