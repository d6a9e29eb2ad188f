/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - bounce, which tells senders what became of their mail
 *
 * On qmgr's request it composes a delivery status notification from a queue file's journal and hands
 * it to cleanup; the postmaster gets copies as notify_classes says. What cannot be delivered to the postmaster is
 * dropped, so that no report ever causes another without end.
 *
 * May touch: descriptors that qmgr hands it, cleanup's socket; its template file and tables, read-only; no network.
 * Runs as mail_owner.
 *
 * Parameters: bounce_*, 2bounce_notice_recipient, delay_notice_recipient, double_bounce_sender, notify_classes,
 * confirm_delay_cleared, delay_warning_time, maximal_queue_lifetime, mynetworks, myhostname, mail_name,
 * ipc_timeout, ipc_idle.
 */
#include "base/log.h"
#include "base/mem.h"
#include "bounce/session.h"
#include "ipc/ipc.h"
#include "mail/notify.h"
#include "mail/route.h"

#define KEPT_CONNECTIONS 16

/* A mistake in the file costs a warning and the template it is in, never mail. */
static void load_templates(const struct server *sv, struct templates *ret)
{
    _cleanup_(str_free) struct str problems = STR_INIT;
    const char *path = sv->params->bounce_template_file;
    struct span rest, line;

    templates_load(path, sv->conf, sv->params, ret, &problems);
    rest = str_span(&problems);
    while (rest.len > 0) {
        line = span_cut(&rest, '\n');
        log_warn("%s, " SPAN_FMT "; using the built-in template", path, SPAN_ARG(line));
    }
}

static int reread(struct server *sv)
{
    struct bounce *b = sv->state;
    struct templates old = b->templates;

    load_templates(sv, &b->templates);
    templates_done(&old);
    return 0;
}

static void complete_addresses(const struct params *p, struct bounce *b)
{
    route_complete(p, span_of(p->double_bounce_sender), &b->double_bounce_sender);
    route_complete(p, span_of(p->bounce_notice_recipient), &b->bounce_notice);
    route_complete(p, span_of(p->double_bounce_notice_recipient), &b->double_bounce_notice);
    route_complete(p, span_of(p->delay_notice_recipient), &b->delay_notice);
}

static int start(struct server *sv)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    struct bounce *b = mem_new(struct bounce);
    int r = notify_classes_parse(span_of(sv->params->notify_classes), &b->notify, &err);

    if (r == 0)
        r = policy_open(&b->policy, sv->params, &err);
    if (r < 0) {
        log_error("%s", str_cstr(&err));
        return r;
    }
    load_templates(sv, &b->templates);
    daemon_watch_file(sv, sv->params->bounce_template_file);
    complete_addresses(sv->params, b);
    b->cleanup = ipc_pool_new(sv->params->cleanup_service_name, sv->params->ipc_idle * 1000,
                              KEPT_CONNECTIONS);
    sv->state = b;
    return 0;
}

int main(int argc, char **argv)
{
    static const struct daemon bounce = {
        .name = "bounce",
        .mode = DAEMON_FIBERS,
        .sandbox = { .user = RUN_AS_QUEUE },
        .start = start,
        .session = bounce_session,
        .reread = reread,
    };

    return daemon_main(&bounce, argc, argv);
}
