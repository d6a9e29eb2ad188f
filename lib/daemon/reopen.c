/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reopen.c - read a table or certificate again that the sandbox, or its mode, keeps out of reach
 *
 * Before it gives up its privileges the process tells master, once, which files it
 * has read. From then on it can have any of these opened anew, by its number: master
 * opens the name of then and hands back a read-only descriptor. So a file that was replaced
 * is read without a new process, and nothing else can be reached this way.
 *
 * Runs in: every daemon; the wait is in the fiber that wants the file.
 */
#include "daemon/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

enum { ANSWER_MS = 1000 };

/* A fiber that waits for master's answer. */
struct request {
    struct list link;
    unsigned number;
    struct waitq done;
    int result;                 /* descriptor or -errno */
};

static struct running *process;     /* for file_open(), which has no argument of ours */

/* ---- at start ---- */

void reopen_register(struct running *rd)
{
    _cleanup_(str_free) struct str packet = STR_INIT;
    const struct master_note note = { NOTE_FILES, 0, 0 };
    size_t n = 0;

    str_add(&packet, span_make(&note, sizeof note));
    for (; n < rd->n_watched; n++) {
        struct span path = span_of(rd->watched[n].path);

        if (packet.len + path.len + 1 > MASTER_FILES_MAX)
            break;
        str_add(&packet, path);
        str_add_char(&packet, '\0');
    }
    if (n < rd->n_watched)
        log_warn("%zu files of tables are too many to follow: a change of %s is seen after a reload",
                 rd->n_watched, rd->watched[n].path);
    rd->n_registered = n;
    if (send(rd->master_fd, packet.data, packet.len, MSG_NOSIGNAL) >= 0)
        return;
    if (errno != EPIPE && errno != ECONNRESET)
        log_fatal("cannot speak to master: %m");
    log_info("master has ended: service %s is not started", rd->sv.service);
    log_flush();
    _exit(0);
}

/* ---- while serving ---- */

/* ask - fiber only */
static int ask(struct running *rd, unsigned number)
{
    struct request q = { .number = number, .result = -ETIMEDOUT };

    waitq_init(&q.done);
    list_push_back(&rd->requests, &q.link);
    note_send(rd, NOTE_OPEN, number);
    int r = waitq_wait(&q.done, clock_deadline_ms(ANSWER_MS));
    list_remove(&q.link);
    return r < 0 && q.result < 0 ? r : q.result;
}

/* number_of - -1: not one of the files of the start */
static int number_of(const struct running *rd, const char *path)
{
    for (size_t i = 0; i < rd->n_registered; i++)
        if (strcmp(rd->watched[i].path, path) == 0)
            return (int)i;
    return -1;
}

static int open_or_ask(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd >= 0)
        return fd;
    int error = -errno, number = number_of(process, path);
    if (error != -EACCES || number < 0)
        return error;
    return process->linked ? ask(process, (unsigned)number) : -ETIMEDOUT;
}

void reopen_start(struct running *rd)
{
    list_init(&rd->requests);
    process = rd;
    file_open_with(open_or_ask);
}

void reopen_answered(struct running *rd, const struct master_note *note, int fd)
{
    struct request *q;

    LIST_FOREACH(q, &rd->requests, struct request, link)
        if (q->number == note->number && q->result == -ETIMEDOUT) {
            q->result = fd >= 0 ? fd : note->error ? -note->error : -EIO;
            waitq_wake(&q->done, 1);
            return;
        }
    if (fd >= 0)
        close(fd);              /* it came too late */
}
