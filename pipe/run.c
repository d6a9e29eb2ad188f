/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c - a command as a child: its input, its output, its end
 *
 * Two fibers feed it and listen to it while a third waits for its end, so that a command may write before it reads,
 * or never read at all. When its time is over its whole session is killed. As the command runs as somebody
 * else, a short-lived child that has become him does that: the process itself has no right to.
 *
 * Runs in: pipe. There are no helper threads, so that fork(2) copies a process that is all of a piece.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/fiber.h"
#include "pipe/pipe.h"

#define COPY_SIZE  32768
#define OUTPUT_MAX 4096
#define READS_MAX  64   /* at once: a command may write as fast as it is read, for ever */

struct job {
    const struct pipe_request *q;
    pid_t pid;
    int end_fd;                 /* readable when it has ended */
    int in, out;                /* its standard input and output */
    uint64_t deadline;
    struct fiber *feeder, *listener;
    struct waitq ended;         /* of these two */
    struct str *output;
};

/* ---- in the child ---- */

static void reset_signals(void)
{
    sigset_t none;

    sigemptyset(&none);
    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void child_failed(const char *what, int error)
{
    dprintf(STDERR_FILENO, "cannot %s: %s\n", what, strerror(error));
    _exit(EX_TEMPFAIL); /* our configuration's fault: the mail waits until it is mended */
}

static _Noreturn void become_command(const struct pipe_request *q, char **argv, int in, int out)
{
    static const char *const environment[] = { "PATH=/usr/bin:/bin", "LANG=C", NULL };
    const struct pipe_config *c = q->config;

    setsid();
    if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0)
        _exit(EX_TEMPFAIL);
    close_range(STDERR_FILENO + 1, ~0U, 0);
    reset_signals();
    int r = daemon_become_user(q->sv, c->uid, c->gid, NULL, 0);

    if (r < 0)
        child_failed("become the user of the command", -r);
    if (chdir(c->directory ? c->directory : "/") < 0)
        child_failed("enter the directory of the command", errno);
    execvpe(argv[0], argv, (char **)environment);
    child_failed("execute the command", errno);
}

/* ---- in the parent ---- */

static int start(struct job *j, char **argv)
{
    int in[2], out[2];

    if (pipe2(in, O_CLOEXEC) < 0)
        return -errno;
    _cleanup_close_ int in_read = in[0], in_write = in[1];

    if (pipe2(out, O_CLOEXEC) < 0)
        return -errno;
    _cleanup_close_ int out_read = out[0], out_write = out[1];

    log_flush();
    j->pid = fork();
    if (j->pid < 0)
        return -errno;
    if (j->pid == 0)
        become_command(j->q, argv, in_read, out_write);
    fcntl(in_write, F_SETFL, O_NONBLOCK);
    fcntl(out_read, F_SETFL, O_NONBLOCK);
    j->in = TAKE_FD(in_write);
    j->out = TAKE_FD(out_read);
    j->end_fd = (int)syscall(SYS_pidfd_open, j->pid, 0);
    return 0;
}

static int write_all(const struct job *j, struct span bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(j->in, bytes.ptr, bytes.len);

        if (n >= 0) {
            bytes = span_from(bytes, (size_t)n);
            continue;
        }
        if (errno != EAGAIN)
            return -errno;
        int r = fiber_wait_fd(j->in, EPOLLOUT, j->deadline);

        if (r < 0)
            return r;
    }
    return 0;
}

/* The message, until the command does not read any more: it need not. */
static int feed(const struct job *j)
{
    const struct pipe_request *q = j->q;
    struct content_state state = { .flags = q->config->flags, .eol = str_span(&q->config->eol) };
    _cleanup_(str_free) struct str out = STR_INIT;
    _cleanup_free_ char *buf = mem_calloc(1, COPY_SIZE);
    uint64_t left = q->d.content_size, offset = q->d.content_offset;
    int r = 0;

    content_head(q, &out);
    while (left > 0 && r == 0) {
        ssize_t n = pread(q->fd, buf, left < COPY_SIZE ? (size_t)left : COPY_SIZE, (off_t)offset);

        if (n <= 0)
            break;
        left -= (uint64_t)n;
        offset += (uint64_t)n;
        content_convert(&state, span_make(buf, (size_t)n), &out);
        r = write_all(j, str_span(&out));
        str_reset(&out);
    }
    content_end(&state, &out);
    return r == 0 ? write_all(j, str_span(&out)) : r;
}

static void feeder(void *arg)
{
    struct job *j = arg;

    feed(j);
    close(TAKE_FD(j->in));
    j->feeder = NULL;
    waitq_wake(&j->ended, SIZE_MAX);
}

/* What it has written by now, or some of it; false: it will write no more. */
static bool listen_now(struct job *j)
{
    char buf[1024];

    for (int i = 0; i < READS_MAX; i++) {
        ssize_t n = read(j->out, buf, sizeof buf);

        if (n <= 0)
            return n < 0 && errno == EAGAIN;
        if (j->output->len < OUTPUT_MAX)
            str_add(j->output, span_make(buf, (size_t)n));
    }
    return true;
}

static void listener(void *arg)
{
    struct job *j = arg;

    while (listen_now(j) && fiber_wait_fd(j->out, EPOLLIN, j->deadline) > 0)
        continue;
    j->listener = NULL;
    waitq_wake(&j->ended, SIZE_MAX);
}

/* Where no user is changed; and a child that is told to end before it has become one would not be found by him. */
static bool kill_as_we_are(const struct job *j)
{
    return kill(-j->pid, SIGKILL) == 0 || (errno == ESRCH && kill(j->pid, SIGKILL) == 0);
}

static void kill_session(const struct job *j)
{
    pid_t killer = kill_as_we_are(j) ? -1 : fork();

    if (killer == 0) {
        if (daemon_become_user(j->q->sv, j->q->config->uid, j->q->config->gid, NULL, 0) == 0)
            kill(-j->pid, SIGKILL);
        _exit(0);
    }
    if (killer > 0)
        waitpid(killer, NULL, 0);
}

/* Something of the command may live on with its output open; that is not waited for. */
static void stop_fibers(struct job *j)
{
    if (j->feeder)
        fiber_cancel(j->feeder);
    if (j->listener)
        fiber_cancel(j->listener);
    while (j->feeder || j->listener)
        waitq_wait_through(&j->ended);
}

static void wait_for_end(struct job *j, struct command_end *ret)
{
    int r = fiber_wait_fd(j->end_fd, EPOLLIN, j->deadline);

    if (r < 0) { /* also when the suite is stopped: nothing may go on unseen, so it is tried again */
        ret->timed_out = r == -ETIMEDOUT;
        kill_session(j);
    }
    while (waitpid(j->pid, &ret->status, 0) < 0 && errno == EINTR)
        continue;
    listen_now(j);
}

int command_run(const struct pipe_request *q, char **argv, struct command_end *ret)
{
    struct job j = {
        .q = q,
        .in = -1,
        .out = -1,
        .deadline = clock_deadline_ms(q->config->time_limit * 1000),
        .output = &ret->output,
    };
    int r = start(&j, argv);

    if (r < 0)
        return r;
    waitq_init(&j.ended);
    j.feeder = fiber_start(feeder, &j);
    j.listener = fiber_start(listener, &j);
    wait_for_end(&j, ret);
    stop_fibers(&j);
    close(j.out);
    if (j.end_fd >= 0)
        close(j.end_fd);
    return 0;
}
