/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.c - what a program can do from inside its sandbox
 *
 * A program's main.c is compiled with daemon_main renamed to probe_main, and linked
 * with this file: its real start, tables and sandbox, but a session that tries
 * what it is told and reports how it went. Tests put it in the place of
 * the program. Not installed.
 *
 *     open PATH | create PATH | mkdir PATH | list PATH | connect PATH | service NAME |
 *     socket inet | fork | execve PATH | ptrace | uids | register PATH | reopen NUMBER
 *                                                              ->  "ok", or the name of the error
 *
 * What is deadly ends the connection.
 *
 * Runs in: tests only.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/mem.h"
#include "daemon/daemon.h"
#include "daemon/master_link.h"
#include "ipc/ipc.h"

int probe_main(const struct daemon *d, int argc, char **argv);

static int result_of(int fd)
{
    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

static int try_open(const char *path)
{
    return result_of(open(path, O_RDONLY | O_CLOEXEC));
}

static int try_create(const char *path)
{
    return result_of(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static int try_mkdir(const char *path)
{
    return mkdir(path, 0700) < 0 ? -errno : 0;
}

static int try_list(const char *path)
{
    DIR *dir = opendir(path);

    if (!dir)
        return -errno;
    closedir(dir);
    return 0;
}

static int try_connect(const char *path)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof to.sun_path)
        return -ENAMETOOLONG;
    memcpy(to.sun_path, path, strlen(path));
    return fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0 ? -errno : 0;
}

static int try_service(const char *name)
{
    struct ipc *c;
    int r = ipc_connect(name, clock_deadline_ms(2000), &c);

    if (r == 0)
        ipc_free(c);
    return r;
}

static int try_socket(const char *kind)
{
    (void)kind;
    return result_of(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int try_fork(const char *arg)
{
    (void)arg;
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return pid < 0 ? -errno : 0;
}

static int try_execve(const char *path)
{
    char *argv[] = { mem_strdup(path), NULL }, *env[] = { NULL };

    execve(path, argv, env);
    return -errno;
}

static int try_ptrace(const char *arg)
{
    (void)arg;
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 ? -errno : 0;
}

/* tell_master - a note of our own making */
static int tell_master(enum master_note_kind kind, uint32_t number, const char *path)
{
    const struct master_note note = { kind, 0, (uint16_t)number };
    _cleanup_(str_free) struct str packet = STR_INIT;
    uint32_t fd;

    if (span_u32(span_of(getenv(ENV_MASTER)), INT32_MAX, &fd) < 0)
        return -EBADF;
    str_add(&packet, span_make(&note, sizeof note));
    if (path)
        str_add(&packet, span_make(path, strlen(path) + 1));
    return send((int)fd, packet.data, packet.len, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int try_register(const char *path)
{
    return tell_master(NOTE_FILES, 0, path);
}

static int try_reopen(const char *number)
{
    uint32_t n;
    int r = span_u32(span_of(number), UINT16_MAX, &n);

    return r < 0 ? r : tell_master(NOTE_OPEN, n, NULL);
}

static const struct attempt {
    const char *name;
    int (*run)(const char *arg);
} attempts[] = {
    { "open", try_open },       { "create", try_create },   { "mkdir", try_mkdir },
    { "list", try_list },       { "connect", try_connect }, { "service", try_service },
    { "socket", try_socket },   { "fork", try_fork },       { "execve", try_execve },
    { "ptrace", try_ptrace },   { "register", try_register }, { "reopen", try_reopen },
};

static void run_attempt(struct stream *client, struct span line)
{
    struct span name = span_cut(&line, ' ');
    _cleanup_free_ char *arg = mem_dup_span(line);

    for (size_t i = 0; i < ARRAY_LEN(attempts); i++)
        if (span_eq_str(name, attempts[i].name)) {
            int r = attempts[i].run(arg);

            stream_printf(client, "%s\n", r < 0 ? strerrorname_np(-r) : "ok");
            return;
        }
    if (span_eq_str(name, "uids"))
        stream_printf(client, "%u %u\n", getuid(), geteuid());
    else
        stream_puts(client, "unknown attempt\n");
}

static void probe_session(struct server *sv, struct stream *client, const struct peer *peer)
{
    _cleanup_(stream_free_ptr_) struct stream *owned = client;
    struct span line;

    (void)sv;
    (void)peer;
    while (stream_getline(owned, 4096, &line) == 0)
        run_attempt(client, line);
    stream_flush(client);
}

int probe_main(const struct daemon *d, int argc, char **argv)
{
    static struct daemon probe;

    probe = *d;
    probe.session = probe_session;
    return daemon_main(&probe, argc, argv);
}
