/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child.c - start a server process, hear of it, bury it
 *
 * A child gets its descriptors by number in the environment, each opened for
 * it and nothing else: its sockets, the link to master, the log, and a path
 * descriptor of each service that the caller table lets its program call. It leads
 * a process group, so that what it forks under other uids can be ended with it.
 *
 * Runs in: master. What comes over a link is from a process that may have been
 * taken over: a fixed-size note that can only change what we think of that process.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/master_link.h"
#include "io/shuffle.h"
#include "ipc/callers.h"
#include "master/master.h"

enum { NOTES_A_TURN = 16 };     /* so that a process that never stops talking is not the only one heard */

/* ---- counting ---- */

/* count - move the child's part in the sums of its service */
static void count(struct child *c, size_t by)
{
    switch (c->state) {
    case CHILD_STARTING:
    case CHILD_AVAILABLE:
        c->service->n_taking += by;
        break;
    case CHILD_FULL:
        c->service->n_full += by;
        break;
    case CHILD_RETIRING:
        if (c->aside)
            c->service->n_aside += by;
        else
            c->service->n_retiring += by;
        break;
    }
}

static void set_state(struct child *c, enum child_state state)
{
    count(c, (size_t)-1);
    c->state = state;
    count(c, 1);
}

/* ---- the new process ---- */

void child_keep_open(int fd)
{
    fcntl(fd, F_SETFD, 0);
}

/* hand_services - in the child: descriptors of the services that program may call */
static void hand_services(const struct master *m, const char *program, struct str *ret)
{
    for (size_t i = 0; i < m->n_services; i++) {
        const struct planned *p = m->services[i]->planned;
        const struct bound *b = m->services[i]->n_sockets ? m->services[i]->sockets[0] : NULL;

        if (p->type != SERVICE_UNIX || !b || b->path_fd < 0 || !caller_may_call(program, p->program))
            continue;
        child_keep_open(b->path_fd);
        str_addf(ret, "%s%s=%d", ret->len ? " " : "", p->name, b->path_fd);
    }
}

void child_set_number(const char *name, int64_t n)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    str_addf(&text, "%" PRId64, n);
    setenv(name, str_cstr(&text), 1);
}

/* What an administrator may set for all servers, beside what we set. */
static const char *const kept_variables[] = {
    "TZ", "ASAN_OPTIONS", "UBSAN_OPTIONS",
#ifdef IO_SHUFFLE
    SHUFFLE_VARIABLE,
#endif
};

void child_clean_environment(void)
{
    char *kept[ARRAY_LEN(kept_variables)];

    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        const char *value = getenv(kept_variables[i]);

        kept[i] = value ? mem_strdup(value) : NULL;
    }
    clearenv();
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        if (kept[i]) {
            setenv(kept_variables[i], kept[i], 1);
            free(kept[i]);
        }
    setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
    /* The C library, too, looks up what it calls at the start, not in each process forked for a session. */
    setenv("LD_BIND_NOW", "1", 1);
}

/* hand_over - in the child: descriptors, and their numbers in the environment */
static void hand_over(const struct master *m, const struct service_state *s, int link_fd)
{
    _cleanup_(str_free) struct str listening = STR_INIT, services = STR_INIT;

    child_clean_environment();
    for (size_t i = 0; i < s->n_sockets; i++) {
        child_keep_open(s->sockets[i]->fd);
        str_addf(&listening, "%s%d", i ? " " : "", s->sockets[i]->fd);
    }
    hand_services(m, s->planned->program, &services);
    child_keep_open(link_fd);
    setenv(ENV_LISTEN, str_cstr(&listening), 1);
    setenv(ENV_SERVICES, str_cstr(&services), 1);
    child_set_number(ENV_MASTER, link_fd);
    child_set_number(ENV_LIMIT, s->planned->limit);
    setenv("MAIL_CONFIG", m->config_directory, 1);
    if (!s->planned->is_private)
        child_set_number(ENV_PUBLIC, 1);
    child_keep_open(conf_copy_fd(m->conf));
    child_set_number(ENV_MAIN_CF, conf_copy_fd(m->conf));
    if (s->planned->limit == 1)
        child_keep_open(m->singles_fd);   /* held, not used */
    child_keep_open(m->stop_pipe[0]);
    child_set_number(ENV_STOP, m->stop_pipe[0]);
    if (program_has_secret(s->planned->program)) {
        child_keep_open(m->secret_fd);
        child_set_number(ENV_SECRET, m->secret_fd);
    }
    if (m->log_fd >= 0) {
        child_keep_open(m->log_fd);
        child_set_number(ENV_LOG, m->log_fd);
        if (m->detached)
            dup2(m->log_fd, STDERR_FILENO);     /* the last words of a library or a sanitizer */
    }
}

/* child_argv - smtpd -n smtp -t inet (arguments of master.cf) */
char **child_argv(const struct planned *p, bool verbose)
{
    size_t n = 0, len = 0;

    while (p->args[n])
        n++;
    char **argv = mem_new_n(char *, n + 7);
    argv[len++] = p->program;
    argv[len++] = mem_strdup("-n");
    argv[len++] = p->name;
    argv[len++] = mem_strdup("-t");
    argv[len++] = mem_strdup(service_type_name(p->type));
    if (verbose)
        argv[len++] = mem_strdup("-v");
    for (size_t i = 0; i < n; i++)
        argv[len++] = p->args[i];
    return argv;
}

static _Noreturn void become_program(const struct master *m, const struct service_state *s, int link_fd,
                                     const char *path)
{
    sigset_t none;
    char **argv = child_argv(s->planned, m->verbose > 0);

    setpgid(0, 0);
    hand_over(m, s, link_fd);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execv(path, argv);
    log_fatal("%s: %m", path);
}

/* ---- the life of a child ---- */

static void fork_failed(struct service_state *s, const char *path, int error)
{
    log_warn_errno(error, "%s: cannot start a process", path);
    backoff_failed(&s->backoff, clock_ms());
}

static void adopt(struct master *m, struct service_state *s, pid_t pid, int fd, char *path)
{
    struct child *c = mem_new(struct child);

    c->service = s;
    c->pid = pid;
    c->fd = fd;
    c->path = path;
    c->started = clock_ms();
    c->source = (struct source){ SOURCE_CHILD, c };
    list_push_back(&s->children, &c->link);
    count(c, 1);
    setpgid(pid, pid);          /* here as well, so that it holds whoever runs first */
    run_watch(m, fd, &c->source);
}

void child_start(struct master *m, struct service_state *s)
{
    static const int answers_bytes = 8 << 10;
    int pair[2];
    _cleanup_(str_free) struct str path = STR_INIT;

    str_addf(&path, "%s/%s", m->params->daemon_directory, s->planned->program);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
        fork_failed(s, str_cstr(&path), -errno);
        return;
    }
    /* Few answers are in flight to a process that does not read them, since each holds a descriptor. */
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &answers_bytes, sizeof answers_bytes);
    log_flush();
    pid_t pid = fork();
    if (pid == 0)
        become_program(m, s, pair[1], str_cstr(&path));
    int error = -errno;
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        fork_failed(s, str_cstr(&path), error);
        return;
    }
    adopt(m, s, pid, pair[0], str_take(&path));
}

/* take_note - rest: what came behind it in its packet */
static void take_note(struct child *c, const struct master_note *note, struct span rest)
{
    int r = 0;

    switch (note->kind) {
    case NOTE_READY:
        c->was_ready = true;
        if (c->state == CHILD_STARTING)
            set_state(c, CHILD_AVAILABLE);
        break;
    case NOTE_FOR_ALL:
        c->service->for_all = true;
        break;
    case NOTE_FULL:
    case NOTE_AVAILABLE:
        if (c->state != CHILD_RETIRING)
            set_state(c, note->kind == NOTE_FULL ? CHILD_FULL : CHILD_AVAILABLE);
        break;
    case NOTE_RETIRING:
        c->retires = true;
        count(c, (size_t)-1);
        c->state = CHILD_RETIRING;
        c->aside = note->number == 1;
        count(c, 1);
        break;
    case NOTE_FILES:
        r = files_register(c, rest);
        break;
    case NOTE_OPEN:
        r = files_hand_over(c, note->number);
        break;
    case NOTE_REFUSED:
        log_warn("process %s pid %d: the sandbox refused system call number %u", c->path, (int)c->pid,
                 note->number);
        break;
    default:
        r = -EINVAL;
    }
    if (r < 0)
        log_warn("process %s pid %d: meaningless note", c->path, (int)c->pid);
}

/* receive_note - 1 taken; 0 the end of the link; or -errno */
static int receive_note(struct child *c)
{
    static char packet[sizeof(struct master_note) + MASTER_FILES_MAX];
    ssize_t n = recv(c->fd, packet, sizeof packet, MSG_DONTWAIT);
    struct master_note note;

    if (n < 0)
        return -errno;
    if ((size_t)n < sizeof note)
        return 0;
    memcpy(&note, packet, sizeof note);
    take_note(c, &note, span_from(span_make(packet, (size_t)n), sizeof note));
    return 1;
}

/* close_link - taken off epoll by hand, as a process just forked may hold a copy of it yet */
static void close_link(struct master *m, struct child *c)
{
    if (c->fd < 0)
        return;
    epoll_ctl(m->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
    close(c->fd);
    c->fd = -1;
}

void child_heard(struct master *m, struct child *c)
{
    int r = 1;

    for (int i = 0; i < NOTES_A_TURN && r > 0; i++)
        r = receive_note(c);
    if (r == 0 || (r < 0 && r != -EAGAIN && r != -EINTR))
        close_link(m, c);       /* it is ending; its exit status is still to come */
    service_update(m, c->service);
}

void child_tell(struct child *c, unsigned note_kind)
{
    const struct master_note note = { (uint8_t)note_kind, 0, 0 };

    /* It may have ended a moment ago; then we hear of it. */
    if (c->fd >= 0 && send(c->fd, &note, sizeof note, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return;
}

/* report - in Postfix's words */
static void report(const struct child *c, int status)
{
    if (WIFSIGNALED(status))
        log_warn("process %s pid %d killed by signal %d", c->path, (int)c->pid, WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0)
        log_warn("process %s pid %d exit status %d", c->path, (int)c->pid, WEXITSTATUS(status));
}

static void bury(struct master *m, struct child *c, int status)
{
    struct service_state *s = c->service;
    const uint64_t now = clock_ms();
    const struct ending ending = {
        .was_ready = c->was_ready,
        .normal = WIFEXITED(status) && WEXITSTATUS(status) == 0,
        .killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
        .lived_ms = (int64_t)(now - c->started),
    };

    report(c, status);
    if (!s->stopping && c->state != CHILD_RETIRING && ending_is_bad_start(&ending)) {
        log_warn("%s: bad command startup -- throttling", c->path);
        backoff_failed(&s->backoff, now);
    } else if (c->was_ready) {
        backoff_succeeded(&s->backoff);
    }
    /* Such a service has work of its own, not only connections: do not wait for the next one. */
    if (s->planned && s->planned->wakeup_s > 0)
        s->wake_due = true;
    if (s->for_all)
        orphans_adopt(m, c->pid, c->path);
    count(c, (size_t)-1);
    list_remove(&c->link);
    close_link(m, c);
    free(c->path);
    str_free(&c->files);
    free(c);
    service_update(m, s);
}

/* ---- all children ---- */

static struct service_state *nth_service(const struct master *m, size_t i)
{
    return i < m->n_services ? m->services[i] : m->dropped[i - m->n_services];
}

static struct child *find_pid(const struct master *m, pid_t pid)
{
    struct child *c;

    for (size_t i = 0; i < m->n_services + m->n_dropped; i++)
        LIST_FOREACH(c, &nth_service(m, i)->children, struct child, link)
            if (c->pid == pid)
                return c;
    return NULL;
}

void child_reap(struct master *m)
{
    int status;
    pid_t pid;

    orphans_reap(m);
    /* We also get orphans that are not ours: what commands of pipe(8) leave behind. */
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct child *c = find_pid(m, pid);

        if (!c)
            continue;
        while (c->fd >= 0 && !c->was_ready && receive_note(c) > 0)
            continue;                           /* its last words may have come just now */
        bury(m, c, status);
    }
}

void child_retire(struct service_state *s, unsigned note_kind)
{
    struct child *c;

    LIST_FOREACH(c, &s->children, struct child, link) {
        child_tell(c, note_kind);
        set_state(c, CHILD_RETIRING);
    }
}

void child_retire_all(struct master *m, unsigned note_kind)
{
    for (size_t i = 0; i < m->n_services + m->n_dropped; i++)
        child_retire(nth_service(m, i), note_kind);
}

bool child_any_to_retire(const struct master *m)
{
    const struct child *c;

    for (size_t i = 0; i < m->n_services + m->n_dropped; i++)
        LIST_FOREACH(c, &nth_service(m, i)->children, struct child, link)
            if (c->state == CHILD_RETIRING && !c->retires && c->fd >= 0)
                return true;
    return false;
}

void child_kill_all(struct master *m)
{
    struct child *c;

    for (size_t i = 0; i < m->n_services + m->n_dropped; i++)
        LIST_FOREACH(c, &nth_service(m, i)->children, struct child, link)
            kill(-c->pid, SIGKILL);
    orphans_kill(m);
}

size_t child_count(const struct master *m)
{
    size_t n = 0;

    for (size_t i = 0; i < m->n_services + m->n_dropped; i++) {
        const struct service_state *s = nth_service(m, i);

        n += s->n_taking + s->n_full + s->n_retiring + s->n_aside;
    }
    return n;
}
