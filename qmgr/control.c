/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.c - what operators ask for: try now, delete, hold, release, requeue, expire
 *
 * A message that agents are delivering cannot be taken from them: what is wanted is noted, no further delivery
 * of it is started, and it happens when those in flight have ended.
 *
 * Runs in: qmgr. Who may ask for an attempt says authorized_flush_users; the rest is root's and the mail owner's.
 */
#include "qmgr/control.h"

#include <errno.h>
#include <fcntl.h>

#include "base/clock.h"
#include "base/log.h"
#include "mail/address.h"
#include "qmgr/active.h"
#include "qmgr/authorize.h"
#include "qmgr/clock.h"
#include "qmgr/message.h"
#include "qmgr/requeue.h"
#include "qmgr/scan.h"

/* ---- one message that is in cur/; true: done, or noted for later ---- */

static bool flush_message(struct qmgr *q, struct message *m)
{
    m->flushed = true;
    if (m->state != QUEUE_STATE_DEFERRED)
        return true; /* being tried, or about to */
    m->faults = 0;
    message_defer(q, m, 0);
    return true;
}

/* Once its deliveries have ended. */
static bool later(struct message *m, enum message_want want)
{
    m->want = (uint8_t)want;
    if (message_active(m))
        active_recall(m->active);
    return true;
}

static bool move_message(struct qmgr *q, struct message *m, enum queue_place to)
{
    int r = to == QUEUE_MAILDROP ? requeue_file(q, message_place(m), m->id)
                                 : queue_move(&q->dirs, message_place(m), to, m->id);

    if (r < 0) {
        log_warn_errno(r, "%s: cannot move queue file to %s/", m->id, queue_place_name(to));
        return false;
    }
    message_drop(q, m);
    return true;
}

static bool delete_message(struct qmgr *q, struct message *m)
{
    if (m->state == QUEUE_STATE_ACTIVE)
        return later(m, WANT_DELETE);
    int r = queue_unlink(&q->dirs, message_place(m), m->id);

    if (r < 0) {
        log_warn_errno(r, "%s: cannot remove queue file", m->id);
        return false;
    }
    log_info("%s: removed", m->id);
    message_drop(q, m);
    return true;
}

static bool hold_message(struct qmgr *q, struct message *m)
{
    return m->state == QUEUE_STATE_ACTIVE ? later(m, WANT_HOLD) : move_message(q, m, QUEUE_HOLD);
}

static bool requeue_message(struct qmgr *q, struct message *m)
{
    return m->state == QUEUE_STATE_ACTIVE ? later(m, WANT_REQUEUE)
                                          : move_message(q, m, QUEUE_MAILDROP);
}

static bool expire_file(struct qmgr *q, enum queue_place place, const char *id)
{
    _cleanup_close_ int fd = queue_open(&q->dirs, place, id, O_RDWR);
    int r = fd < 0 ? fd : journal_expire(fd);

    if (r < 0 && r != -ENOENT)
        log_warn_errno(r, "%s: cannot write the journal", id);
    return r == 0;
}

static bool expire_message(struct qmgr *q, struct message *m)
{
    message_keep(q, m);
    if (!expire_file(q, message_place(m), m->id))
        return false;
    if (message_active(m))
        m->active->env.expire = true;
    else if (m->digest)
        digest_set_expire(m->digest);
    return flush_message(q, m);
}

/* ---- one message that is on hold ---- */

static bool release_held(struct qmgr *q, const char *id)
{
    if (queue_move(&q->dirs, QUEUE_HOLD, QUEUE_CUR, id) < 0)
        return false;
    message_defer(q, message_new(q, id), 0);
    return true;
}

static bool delete_held(struct qmgr *q, const char *id)
{
    if (queue_unlink(&q->dirs, QUEUE_HOLD, id) < 0)
        return false;
    log_info("%s: removed", id);
    return true;
}

static bool requeue_held(struct qmgr *q, const char *id)
{
    return requeue_file(q, QUEUE_HOLD, id) == 0;
}

static bool expire_held(struct qmgr *q, const char *id)
{
    return expire_file(q, QUEUE_HOLD, id);
}

/* ---- the table of actions ---- */

static const struct action {
    bool anybody; /* not only the superuser */
    const char *logged; /* what has become of the message; NULL: logged elsewhere */
    bool (*on_queued)(struct qmgr *q,
                      struct message *m); /* NULL: nothing to do for such a message */
    bool (*on_held)(struct qmgr *q, const char *id);
} actions[] = {
    [QUEUE_DO_FLUSH]      = { true,  NULL,                 flush_message,   NULL },
    [QUEUE_DO_FLUSH_SITE] = { true,  NULL,                 flush_message,   NULL },
    [QUEUE_DO_DELETE]     = { false, NULL,                 delete_message,  delete_held },
    [QUEUE_DO_HOLD]       = { false, "placed on hold",     hold_message,    NULL },
    [QUEUE_DO_RELEASE]    = { false, "released from hold", NULL,            release_held },
    [QUEUE_DO_REQUEUE]    = { false, "requeued",           requeue_message, requeue_held },
    [QUEUE_DO_EXPIRE]     = { false, "expired",            expire_message,  expire_held },
};

static bool act_on(struct qmgr *q, const struct action *action, const char *id)
{
    if (!message_find(q, span_of(id)))
        scan_one(q, id);
    struct message *m = message_find(q, span_of(id));
    bool done = m ? action->on_queued && action->on_queued(q, m)
                  : action->on_held && action->on_held(q, id);

    if (done && action->logged)
        log_info("%s: %s", id, action->logged);
    return done;
}

/* ---- many messages: the index is visited in pieces, with other work in between ---- */

#define PIECE          1024
#define SLOTS_PER_TURN 16384

struct ids {
    char (*items)[QUEUE_ID_MAX + 1];
    size_t len, cap;
};

static void ids_done(struct ids *l)
{
    free(l->items);
}

static int ids_add(const char *id, void *arg)
{
    struct ids *l = arg;

    MEM_GROW(l->items, l->len, l->cap);
    snprintf(l->items[l->len++], QUEUE_ID_MAX + 1, "%s", id);
    return 0;
}

static uint32_t act_on_ids(struct qmgr *q, const struct action *action, struct ids *ids)
{
    uint32_t count = 0;

    for (size_t i = 0; i < ids->len; i++)
        count += act_on(q, action, ids->items[i]);
    ids->len = 0;
    fiber_yield();
    return count;
}

/* pick() may look at files. */
static uint32_t act_on_picked(struct qmgr *q, const struct action *action,
                              bool (*pick)(const struct qmgr *q, const struct message *m,
                                           const struct queue_command *cmd),
                              const struct queue_command *cmd)
{
    _cleanup_(ids_done) struct ids ids = { 0 };
    uint32_t count = 0;

    index_begin_visit(&q->messages);
    for (size_t i = 0; i < q->messages.n_slots; i++) {
        for (const struct message *m = index_slot(&q->messages, i); m; m = m->next)
            if (pick(q, m, cmd))
                ids_add(m->id, &ids);
        if (ids.len >= PIECE || i % SLOTS_PER_TURN == SLOTS_PER_TURN - 1)
            count += act_on_ids(q, action, &ids);
    }
    index_end_visit(&q->messages);
    return count + act_on_ids(q, action, &ids);
}

static bool has_state(const char *wanted, uint32_t state)
{
    static const char *const names[] = {
        [QUEUE_STATE_INCOMING] = "incoming", [QUEUE_STATE_ACTIVE] = "active",
        [QUEUE_STATE_DEFERRED] = "deferred", [QUEUE_STATE_HOLD] = "hold",
        [QUEUE_STATE_MAILDROP] = "maildrop",
    };

    return !wanted[0] || strcmp(wanted, names[state]) == 0;
}

static bool is_in_state(const struct qmgr *q, const struct message *m,
                        const struct queue_command *cmd)
{
    (void)q;
    return has_state(cmd->state, m->state);
}

static uint32_t act_on_all(struct qmgr *q, const struct action *action,
                           const struct queue_command *cmd)
{
    _cleanup_(ids_done) struct ids held = { 0 };
    uint32_t count = 0;

    if (action->on_queued)
        count += act_on_picked(q, action, is_in_state, cmd);
    if (action->on_held && has_state(cmd->state, QUEUE_STATE_HOLD))
        queue_scan(&q->dirs, QUEUE_HOLD, ids_add, &held);
    return count + act_on_ids(q, action, &held);
}

/* postqueue -f: no list of ids is needed, and none is made. */
static uint32_t flush_all(struct qmgr *q)
{
    uint32_t count = 0;

    q->scan_flushes = q->scanning != NULL;
    sched_resume_all(&q->sched);
    index_begin_visit(&q->messages);
    for (size_t i = 0; i < q->messages.n_slots; i++) {
        for (struct message *m = index_slot(&q->messages, i); m; m = m->next)
            count += flush_message(q, m);
        if (i % SLOTS_PER_TURN == SLOTS_PER_TURN - 1)
            fiber_yield();
    }
    index_end_visit(&q->messages);
    return count;
}

static bool file_waits_for(const struct qmgr *q, const struct message *m, struct span site)
{
    _cleanup_(queue_envelope_done) struct queue_envelope e = { 0 };
    _cleanup_close_ int fd = queue_open(&q->dirs, message_place(m), m->id, O_RDONLY);

    if (fd < 0 || queue_read(fd, m->id, &queue_default_limits, &e, NULL) < 0)
        return false;
    for (size_t i = 0; i < e.n_rcpts; i++)
        if (digest_is_listed(&e.rcpts[i]) &&
            span_eq_nocase(address_domain(span_of(e.rcpts[i].address)), site))
            return true;
    return false;
}

static bool waits_for_site(const struct qmgr *q, const struct message *m,
                           const struct queue_command *cmd)
{
    struct span site = span_of(cmd->site);

    if (m->state == QUEUE_STATE_ACTIVE)
        return false;
    enum digest_answer answer =
        m->digest ? digest_concerns(&q->digests, m->digest, site) : DIGEST_PERHAPS;

    return answer == DIGEST_YES || (answer == DIGEST_PERHAPS && file_waits_for(q, m, site));
}

static uint32_t perform(struct qmgr *q, const struct queue_command *cmd)
{
    const struct action *action = &actions[cmd->action];

    if (cmd->action == QUEUE_DO_FLUSH_SITE) {
        scan_wait(q);
        sched_resume_all(&q->sched);
        return act_on_picked(q, action, waits_for_site, cmd);
    }
    if (strcmp(cmd->queue_id, "ALL") == 0)
        return cmd->action == QUEUE_DO_FLUSH ? flush_all(q) : act_on_all(q, action, cmd);
    if (cmd->action == QUEUE_DO_FLUSH)
        sched_resume_all(&q->sched);
    return queue_id_valid(span_of(cmd->queue_id)) && act_on(q, action, cmd->queue_id);
}

static bool is_allowed(struct qmgr *q, const struct queue_command *cmd, uid_t uid, struct str *refusal)
{
    if (actions[cmd->action].anybody)
        return authorize(q, q->may_flush, uid, refusal);
    str_add_str(refusal, "only the superuser may do this");
    return daemon_is_superuser(q->sv, uid);
}

int control_serve(struct qmgr *q, struct ipc *c, uid_t uid)
{
    _cleanup_(str_free) struct str refusal = STR_INIT;
    struct queue_command cmd = { 0 };
    struct queue_command_done done = { .status = SUBMIT_OK };
    int r = ipc_recv(c, &queue_command_shape, &cmd);

    if (r < 0)
        return r;
    if (is_allowed(q, &cmd, uid, &refusal)) {
        done.count = perform(q, &cmd);
        clock_wake(q);
    } else {
        done.status = SUBMIT_PERMANENT;
        snprintf(done.text, sizeof done.text, "%s", str_cstr(&refusal));
    }
    ipc_send(c, &queue_command_done_shape, &done);
    /* postsuper sends many requests at once: one write answers them. */
    return stream_buffered(ipc_stream(c)) > 0 ? 0 : ipc_flush(c);
}

uint32_t control_flush_site(struct qmgr *q, struct span site)
{
    struct queue_command cmd = { .action = QUEUE_DO_FLUSH_SITE };

    snprintf(cmd.site, sizeof cmd.site, SPAN_FMT, SPAN_ARG(site));
    uint32_t count = perform(q, &cmd);

    clock_wake(q);
    return count;
}
