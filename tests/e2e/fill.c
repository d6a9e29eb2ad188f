/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fill.c - fill a queue with deferred messages, for tests and benchmarks of what a large queue costs
 *
 *     fill QUEUE_DIRECTORY COUNT DOMAINS DUE_SECONDS [PLACE]
 *
 * Makes COUNT messages of a KiB in PLACE (default cur), each for one recipient in one of DOMAINS domains ("d7.test"),
 * arrived at intervals over the last day, tried once and due DUE_SECONDS from now. The suite is down meanwhile, and
 * the files get the owner of the directory. They are not flushed: no crash is survived here.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/mem.h"
#include "queue/queue.h"

#define PROCESSES 2
#define DAY_S     86400

/* Takes the place of libc's, for queue_commit(). */
int fdatasync(int fd)
{
    (void)fd;
    return 0;
}

struct job {
    struct queue_dirs dirs;
    enum queue_place place;
    struct stat owner;
    unsigned long count, domains;
    int64_t due;
};

static void fail(const char *what, int r)
{
    fprintf(stderr, "fill: %s: %s\n", what, strerror(-r));
    exit(1);
}

static void write_file(const struct job *job, const struct queue_envelope *e)
{
    static char line[] = "The quick brown fox jumps over the lazy dog and is deferred for it.\r\n";
    struct queue_writer *w;
    int r = queue_create(&job->dirs, job->place, e, &w);

    if (r < 0)
        fail(e->id, r);
    queue_write(w, span_of("From: list@a.test\r\nSubject: one of many\r\n\r\n"));
    for (int i = 0; i < 14; i++)
        queue_write(w, span_of(line));
    r = queue_commit(w);
    if (r == 0)
        r = queue_publish(w, &job->dirs, job->place);
    if (r < 0)
        fail(e->id, r);
}

static void write_journal(const struct job *job, const struct queue_envelope *e, const char *domain)
{
    struct outcome o = { .status = OUTCOME_DEFERRED, .dsn = "4.4.1" };
    int fd = queue_open(&job->dirs, job->place, e->id, O_RDWR);

    if (fd < 0)
        fail(e->id, fd);
    str_addf(&o.text, "connect to mx.%s[192.0.2.1]:25: Connection timed out", domain);
    str_add_str(&o.relay, "none");
    journal_outcome(fd, &o, e->arrival_us + 1000000);
    journal_retry(fd, job->due, 1);
    if (fchown(fd, job->owner.st_uid, job->owner.st_gid) < 0)
        fail("chown", -errno);
    close(fd);
    outcome_msg_done(&o);
}

static void make_one(const struct job *job, unsigned long i)
{
    char domain[32], address[64], sender[] = "bounces@list.a.test";
    struct queue_rcpt rcpt = { .address = address };
    struct queue_envelope e = { .sender = sender, .rcpts = &rcpt, .n_rcpts = 1 };

    snprintf(domain, sizeof domain, "d%lu.test", i % job->domains);
    snprintf(address, sizeof address, "user%lu@%s", i, domain);
    e.arrival_us = clock_real_us() - (int64_t)(i % DAY_S) * 1000000;
    queue_id_new(e.id);
    write_file(job, &e);
    write_journal(job, &e, domain);
}

static enum queue_place find_place(const char *name)
{
    for (int p = 0; p < QUEUE_PLACES; p++)
        if (strcmp(queue_place_name((enum queue_place)p), name) == 0)
            return (enum queue_place)p;
    fail(name, -ENOENT);
    return QUEUE_CUR;
}

int main(int argc, char **argv)
{
    struct job job = { 0 };
    int status, bad = 0;

    if (argc < 5 || argc > 6) {
        fprintf(stderr, "usage: fill queue_directory count domains due_seconds [place]\n");
        return 2;
    }
    job.place = find_place(argc > 5 ? argv[5] : "cur");
    job.count = strtoul(argv[2], NULL, 10);
    job.domains = strtoul(argv[3], NULL, 10);
    job.due = clock_real() + strtol(argv[4], NULL, 10);
    int r = queue_dirs_open(argv[1], 1u << job.place, &job.dirs);

    if (r < 0 || fstat(job.dirs.fd[job.place], &job.owner) < 0)
        fail(argv[1], r < 0 ? r : -errno);
    for (unsigned long p = 0; p < PROCESSES; p++)
        if (fork() == 0) {
            for (unsigned long i = p; i < job.count; i += PROCESSES)
                make_one(&job, i);
            _exit(0);
        }
    while (wait(&status) > 0)
        bad |= status;
    return bad != 0;
}
