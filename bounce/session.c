/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c - qmgr's requests for reports (ipc/msg_deliver.h)
 *
 * What to report stands in the journal of the queue file whose descriptor came with the request; bounce can
 * name no file itself. So that a report is sent once however often qmgr and bounce are killed, bounce notes in the journal
 * that it begins, and cleanup that it has put the report into the queue (docs/bounces.md).
 *
 * Runs in: bounce. The queue file is read with mistrust: what a stranger wrote is in it.
 */
#include "bounce/session.h"

#include <errno.h>
#include <fcntl.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "bounce/compose.h"
#include "bounce/submit.h"
#include "io/fiber.h"
#include "mail/notify.h"

#define LOCK_POLL_MS 50
#define LOCK_WAIT_MS 30000 /* a cleanup that nobody waits for any longer needs as long as the disk */

static void answer(struct report_done *done, enum submit_status status, const char *text)
{
    done->status = status;
    snprintf(done->text, sizeof done->text, "%s", text);
}

/* A notice to *n's recipient; *done says what became of it. Logs. */
static void submit(struct server *sv, const struct notice *n, int fd, struct report_done *done)
{
    static const char *const readers[] = {
        [TO_SENDER] = "sender", [TO_POSTMASTER] = "postmaster", [TO_POSTMASTER_INSTEAD] = "postmaster",
    };
    const struct bounce *b = sv->state;
    const char *reader = readers[n->audience];
    struct submit_result res = { 0 };
    int r = notice_submit(b->cleanup, n, str_span(&b->double_bounce_sender), fd, &res);

    if (r < 0) {
        answer(done, SUBMIT_TEMPORARY, strerror(-r));
        log_warn_errno(r, "%s: cannot hand a notification to %s", n->e->id,
                       sv->params->cleanup_service_name);
        return;
    }
    answer(done, res.status, res.text);
    snprintf(done->queue_id, sizeof done->queue_id, "%s", res.queue_id);
    if (res.status == SUBMIT_OK) {
        log_info("%s: %s %s notification: %s", n->e->id, reader, notice_name(n->kind), res.queue_id);
        return;
    }
    _cleanup_(str_free) struct str to = STR_INIT;

    str_add_escaped(&to, span_of(n->to), SUBMIT_ADDRESS_MAX, STR_UTF8);
    log_warn("%s: %s notification failed to <%s>: %s", n->e->id, reader, str_cstr(&to), res.text);
}

/* ---- whom to tell ---- */

/* What became of a report of ours: of interest to the postmaster, if to anybody. */
static void report_double(struct server *sv, struct notice *n, int fd, struct report_done *done)
{
    struct bounce *b = sv->state;

    if (!(b->notify & NOTIFY_2BOUNCE)) {
        log_info("%s: undeliverable mail from <> is dropped; notify_classes does not have 2bounce", n->e->id);
        return;
    }
    n->audience = TO_POSTMASTER_INSTEAD;
    n->to = str_cstr(&b->double_bounce_notice);
    if (notice_count(n) > 0)
        submit(sv, n, fd, done);
}

static void report_to_sender(struct server *sv, const struct notice *n, int fd, struct report_done *done)
{
    struct bounce *b = sv->state;
    _cleanup_(str_free) struct str header = STR_INIT;
    int r = maps_empty(b->policy.suppress) ? 0 : notice_read_header(n, fd, &header);

    if (r < 0) {
        answer(done, SUBMIT_TEMPORARY, "cannot read the message");
        log_warn_errno(r, "%s: cannot read the message to report on", n->e->id);
        return;
    }
    const char *why = policy_refuses(&b->policy, n->e, str_span(&header), n->now);

    if (!why) {
        submit(sv, n, fd, done);
        return;
    }
    _cleanup_(str_free) struct str to = STR_INIT;

    str_add_escaped(&to, span_of(n->to), SUBMIT_ADDRESS_MAX, STR_UTF8);
    log_info("%s: sender %s notification to <%s> suppressed: %s", n->e->id, notice_name(n->kind), str_cstr(&to), why);
}

/* The postmaster's copy. If it fails the report does not: he asked for a courtesy. */
static void copy_to_postmaster(struct server *sv, struct notice *n, int fd)
{
    struct bounce *b = sv->state;
    struct report_done ignored = { 0 };
    const struct {
        unsigned class;
        struct str *to;
    } copies[] = {
        [REPORT_FAILED] = { NOTIFY_BOUNCE, &b->bounce_notice },
        [REPORT_DELAYED] = { NOTIFY_DELAY, &b->delay_notice },
        [REPORT_SUCCESS] = { 0, NULL },
    };

    if (!(b->notify & copies[n->kind].class))
        return;
    n->audience = TO_POSTMASTER;
    n->number = 0;
    n->to = str_cstr(copies[n->kind].to);
    submit(sv, n, fd, &ignored);
}

static void report_on(struct server *sv, struct notice *n, int fd, struct report_done *done)
{
    const struct bounce *b = sv->state;
    struct span sender = span_of(n->e->sender);

    if (span_eq_nocase(sender, str_span(&b->double_bounce_sender))) {
        if (n->kind == REPORT_FAILED)
            log_warn("%s: undeliverable postmaster notification discarded", n->e->id);
    } else if (sender.len == 0) {
        if (n->kind == REPORT_FAILED)
            report_double(sv, n, fd, done);
    } else if (notice_count(n) == 0) {
        answer(done, SUBMIT_TEMPORARY, "the journal names no recipient to report on");
    } else {
        report_to_sender(sv, n, fd, done);
        if (done->status == SUBMIT_OK)
            copy_to_postmaster(sv, n, fd);
    }
}

/* ---- once ---- */

/*
 * Wait until nobody else has a report on this message under way: a bounce whose qmgr was killed, or a cleanup whose bounce was. The
 * lock is that of the descriptor, and so lasts until the last process that has been handed it has closed it.
 */
static int lock(int fd)
{
    uint64_t end = clock_deadline_ms(LOCK_WAIT_MS);

    for (;;) {
        struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

        if (fcntl(fd, F_OFD_SETLK, &whole) == 0)
            return 0;
        if (errno != EAGAIN && errno != EACCES)
            return -errno;
        if (clock_ms() >= end)
            return -EBUSY;
        int r = fiber_sleep_until(clock_ms() + LOCK_POLL_MS);
        if (r < 0)
            return r;
    }
}

/* Note in the journal that a report begins, and read all that it is about: what has come into the journal since is for the next. */
static int begin(const struct report *request, int fd, struct queue_envelope *e, uint64_t *ret_number, struct str *why)
{
    uint64_t number = 1 + rand_below(UINT64_MAX - 1);
    int r = lock(fd);

    if (r == 0)
        r = journal_report_begun(fd, number, request->kind);
    if (r == 0)
        r = queue_read(fd, request->queue_id, &queue_default_limits, e, why);
    if (r < 0)
        return r;
    for (size_t i = 0; i < e->n_rcpts; i++) {
        struct queue_rcpt *rcpt = &e->rcpts[i];

        if (request->kind != REPORT_DELAYED && rcpt->report != number && rcpt->state != RCPT_REPORTED)
            rcpt->state = RCPT_PENDING;
    }
    *ret_number = number;
    return 0;
}

/* Then qmgr, or bounce, was killed before it was told. */
static bool is_reported(const struct queue_envelope *e, enum report_kind kind, uint64_t number)
{
    bool reported = false;

    if (kind == REPORT_DELAYED)
        return e->delay_reported;
    for (size_t i = 0; i < e->n_rcpts; i++) {
        if (e->rcpts[i].report == number)
            return false;
        reported |= e->rcpts[i].state == RCPT_REPORTED;
    }
    return reported;
}

static void report(struct server *sv, const struct report *request, int fd,
                   struct report_done *done)
{
    const struct bounce *b = sv->state;
    _cleanup_(queue_envelope_done) struct queue_envelope e = { 0 };
    _cleanup_(str_free) struct str why = STR_INIT;
    struct notice n;
    uint64_t number;
    int r = begin(request, fd, &e, &number, &why);

    if (r < 0) {
        answer(done, SUBMIT_TEMPORARY, r == -EBUSY ? "another report on the message takes too long" : "cannot use the queue file");
        log_warn_errno(r, "%s: cannot use the queue file to report on %s", request->queue_id,
                       str_cstr(&why));
        return;
    }
    if (is_reported(&e, request->kind, number))
        return;
    notice_init(&n, sv->params, &b->templates, &e, request->kind, clock_real());
    n.number = number;
    report_on(sv, &n, fd, done);
}

/* ---- the conversation ---- */

static int serve(struct server *sv, struct ipc *c)
{
    struct report request = { 0 };
    struct report_done done = { 0 };
    _cleanup_close_ int fd = -1;
    int r = ipc_recv(c, &report_shape, &request);

    if (r < 0)
        return r;
    if (ipc_recv_fd(c, &fd) < 0 || !queue_id_valid(span_of(request.queue_id)))
        return -EPROTO;
    report(sv, &request, fd, &done);
    ipc_send(c, &report_done_shape, &done);
    return 0;
}

void bounce_session(struct server *sv, struct stream *client, const struct peer *peer)
{
    struct ipc *c = ipc_new(client);
    struct span type;
    int r = 0;

    while (r == 0 && ipc_wait_request(c, &type) == 0)
        r = serve(sv, c);
    if (r == -EPROTO)
        log_warn("malformed request from uid %u", (unsigned)peer->uid);
    ipc_free(c);
}
