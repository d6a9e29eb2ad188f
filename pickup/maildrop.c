/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maildrop.c - submit what postdrop left in maildrop/ while the suite was down
 *
 * The user is the owner of the file, whatever the file says. A file is removed only after cleanup
 * has answered for its message, or its sender has a notice in the queue; for a temporary failure it
 * stays until the next scan. What is no queue file goes to corrupt/.
 *
 * Runs in: pickup, at start and at master's wakeups. Files are hostile: any user of the machine can
 * make one.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "pickup/pickup.h"

#define CONTENT_PIECE 65536
#define STALE_SECONDS 86400

/* A file on its way. */
struct drop {
    struct pickup *pickup;
    const char *id; /* its name in maildrop/ */
    int fd;
    struct queue_envelope env;
    struct submit submit;
    struct submit_result result;
};

static void drop_done(struct drop *d)
{
    if (d->fd >= 0)
        close(d->fd);
    queue_envelope_done(&d->env);
    submit_msg_done(&d->submit);
}

static void move_to_corrupt(struct drop *d, const char *why)
{
    int r = queue_move(&d->pickup->dirs, QUEUE_MAILDROP, QUEUE_CORRUPT, d->id);

    if (r < 0)
        log_warn_errno(r, "maildrop/%s: %s; cannot be moved to corrupt/", d->id, why);
    else
        log_warn("maildrop/%s: %s; moved to corrupt/", d->id, why);
}

/* ---- reading ---- */

/* A file that was in the queue keeps the owner and the mode it had there; postdrop makes others. */
static bool was_requeued(const struct stat *st)
{
    return st->st_uid == geteuid() && (st->st_mode & 0777) == 0600;
}

/* A message that was requeued (postsuper -r) has its journal with it. */
static bool is_open(const struct queue_rcpt *r)
{
    return r->state != RCPT_SENT && r->state != RCPT_REPORTED;
}

/* 0; 1: not to be submitted, and dealt with */
static int open_drop(struct drop *d)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    struct stat st;
    int r = queue_open(&d->pickup->dirs, QUEUE_MAILDROP, d->id, O_RDONLY);

    if (r == -ENOENT)
        return 1;
    if (r < 0) {
        move_to_corrupt(d, strerror(-r));
        return 1;
    }
    d->fd = r;
    if (fstat(d->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        move_to_corrupt(d, "not a regular file");
        return 1;
    }
    r = queue_read(d->fd, d->id, &queue_default_limits, &d->env, &err);
    if (r == -EBADMSG) {
        move_to_corrupt(d, str_cstr(&err));
        return 1;
    }
    if (r < 0) {
        log_warn_errno(r, "maildrop/%s: cannot be read; trying again later", d->id);
        return 1;
    }
    d->submit.flags = d->env.flags;
    for (size_t i = 0; i < d->env.n_rcpts; i++)
        d->submit.n_rcpt += is_open(&d->env.rcpts[i]);
    d->submit.dsn_ret = d->env.dsn_ret;
    d->submit.size_hint = d->env.content_size;
    str_add_str(&d->submit.sender, d->env.sender);
    str_add_str(&d->submit.dsn_envid, d->env.dsn_envid ? d->env.dsn_envid : "");
    submit_sanitize(&d->submit, st.st_uid);
    if (was_requeued(&st))
        d->submit.flags &= ~(unsigned)SUBMIT_FILTER; /* filters have seen it, and may have signed it */
    return 0;
}

/* ---- submitting ---- */

static void send_rcpts(struct ipc *cleanup, const struct queue_envelope *e)
{
    for (size_t i = 0; i < e->n_rcpts; i++) {
        const struct queue_rcpt *q = &e->rcpts[i];

        if (!is_open(q))
            continue;
        _cleanup_(submit_rcpt_msg_done) struct submit_rcpt rcpt = {.dsn_notify = q->dsn_notify};

        str_add_str(&rcpt.address, q->address);
        str_add_str(&rcpt.orig, q->orig ? q->orig : "");
        str_add_str(&rcpt.dsn_orcpt, q->dsn_orcpt ? q->dsn_orcpt : "");
        ipc_send(cleanup, &submit_rcpt_shape, &rcpt);
    }
}

static int send_content(struct ipc *cleanup, int fd, const struct queue_envelope *e)
{
    _cleanup_free_ char *buf = mem_realloc(NULL, CONTENT_PIECE, 1);
    uint64_t at = e->content_offset, end = at + e->content_size;

    while (at < end) {
        size_t want = end - at < CONTENT_PIECE ? (size_t)(end - at) : CONTENT_PIECE;
        ssize_t n = pread(fd, buf, want, (off_t)at);

        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        ipc_send_chunk(cleanup, span_make(buf, (size_t)n));
        at += (uint64_t)n;
    }
    ipc_send_chunk(cleanup, SPAN_NULL);
    return 0;
}

static int exchange(struct drop *d, struct ipc *cleanup)
{
    stream_set_timeout(ipc_stream(cleanup), d->pickup->params->ipc_timeout * 1000);
    ipc_send(cleanup, &submit_shape, &d->submit);
    send_rcpts(cleanup, &d->env);
    int r = send_content(cleanup, d->fd, &d->env);

    return r < 0 ? r : ipc_recv(cleanup, &submit_result_shape, &d->result);
}

static void submit_drop(struct drop *d)
{
    struct pickup *p = d->pickup;
    _cleanup_(ipc_free_ptr_) struct ipc *cleanup = NULL;
    int r = ipc_pool_get(p->cleanup, clock_deadline_ms(p->params->ipc_timeout * 1000), &cleanup);

    if (r == 0)
        r = exchange(d, cleanup);
    if (r < 0) {
        log_warn_errno(r, "maildrop/%s: cannot submit to cleanup; trying again later", d->id);
        submit_result_temporary(&d->result, "mail system is not ready");
        return;
    }
    ipc_pool_put(p->cleanup, TAKE_PTR(cleanup));
}

static void check_user(struct drop *d)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    int ok = authorize(d->pickup, (uid_t)d->submit.uid, &text);

    if (ok < 0)
        submit_result_temporary(&d->result, "cannot look up the user");
    if (ok != 0)
        return;
    d->result = (struct submit_result){.status = SUBMIT_PERMANENT, .dsn = "5.7.1"};
    snprintf(d->result.text, sizeof d->result.text, "%s", str_cstr(&text));
}

/* ---- what becomes of the file ---- */

static void remove_drop(struct drop *d)
{
    int r = queue_unlink(&d->pickup->dirs, QUEUE_MAILDROP, d->id);

    if (r < 0)
        log_warn_errno(
            r, "maildrop/%s: submitted, but cannot be removed; it will be submitted again", d->id);
}

static void give_back(struct drop *d)
{
    char why[640];
    int r = d->env.sender[0] ? notice_send(d->pickup, &d->env, d->fd, &d->result) : -ENODEV;

    snprintf(why, sizeof why, "refused: %s %s", d->result.dsn, d->result.text);
    if (r == 0) {
        log_warn("maildrop/%s: %s; its sender is told", d->id, why);
        remove_drop(d);
    } else {
        move_to_corrupt(d, why);
    }
}

static int handle_file(const char *id, void *arg)
{
    _cleanup_(drop_done) struct drop d = {.pickup = arg, .id = id, .fd = -1};

    if (open_drop(&d) != 0)
        return 0;
    check_user(&d);
    if (d.result.status == SUBMIT_OK)
        submit_drop(&d);
    switch ((enum submit_status)d.result.status) {
    case SUBMIT_OK:
        submit_log(&d.submit, &d.result);
        remove_drop(&d);
        break;
    case SUBMIT_TEMPORARY:
        log_info("maildrop/%s: %s; trying again later", id, d.result.text);
        break;
    case SUBMIT_PERMANENT:
        give_back(&d);
        break;
    }
    return fiber_cancelled() ? -ECANCELED : 0;
}

/* ---- what a killed postdrop left ---- */

static void close_dir(DIR **d)
{
    if (*d)
        closedir(*d);
}

static void remove_stale(int dirfd)
{
    _cleanup_close_ int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_(close_dir) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;
    struct stat st;

    if (!dir)
        return;
    (void)TAKE_FD(fd);
    while ((e = readdir(dir)))
        if (e->d_name[0] == '.' && queue_id_valid(span_of(e->d_name + 1)) &&
            fstatat(dirfd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            st.st_mtime < clock_real() - STALE_SECONDS)
            unlinkat(dirfd, e->d_name, 0);
}

void maildrop_scan(struct pickup *p)
{
    p->scan_wanted = true;
    if (p->scanning)
        return;
    p->scanning = true;
    remove_stale(p->dirs.fd[QUEUE_MAILDROP]);
    while (p->scan_wanted && !fiber_cancelled()) {
        p->scan_wanted = false;
        int r = queue_scan(&p->dirs, QUEUE_MAILDROP, handle_file, p);

        if (r < 0 && r != -ECANCELED)
            log_warn_errno(r, "cannot read maildrop/");
    }
    p->scanning = false;
}
