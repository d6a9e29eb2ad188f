/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - master: starts the suite, binds its sockets, forks its servers on demand
 *
 * The only process that stays root. It parses main.cf, master.cf and the fixed-size notes of
 * its children, and nothing that came from a network. Files: it makes the
 * queue's directories and sockets, holds the instance lock, opens maillog_file.
 *
 *     master [-c DIR] [-v] [-t | -w]
 *
 * -t   check the configuration and leave
 * -w   go into the background when all sockets are bound; errors until then are shown and make
 *      the exit status 1. Without it master stays in the foreground (start-fg, containers).
 *
 * Signals: TERM, INT stop; HUP reload; QUIT abort.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "config.h"
#include "daemon/master_link.h"
#include "master/master.h"

enum mode { MODE_FOREGROUND, MODE_BACKGROUND, MODE_TEST };

struct options {
    const char *config_directory;
    enum mode mode;
    int verbose;
};

static void parse_options(int argc, char **argv, struct options *o)
{
    int c;

    while ((c = getopt(argc, argv, "c:tvw")) >= 0) {
        switch (c) {
        case 'c':
            o->config_directory = optarg;
            break;
        case 't':
            o->mode = MODE_TEST;
            break;
        case 'w':
            o->mode = MODE_BACKGROUND;
            break;
        case 'v':
            o->verbose++;
            break;
        default:
            log_fatal("usage: master [-c config_directory] [-v] [-t | -w]");
        }
    }
    if (optind < argc)
        log_fatal("unexpected argument: %s", argv[optind]);
}

static void say_lines(struct span lines, const char *label)
{
    while (lines.len > 0) {
        const struct span line = span_cut(&lines, '\n');

        fprintf(stderr, "%s: %s: " SPAN_FMT "\n", log_tag(), label, SPAN_ARG(line));
    }
}

/* die - a line for each thing that is wrong, to the terminal as well as to the log, whichever is already chosen */
static _Noreturn void die(const struct str *err)
{
    struct span rest = str_span(err), line = span_cut(&rest, '\n');

    if (strcmp(log_tag(), "master") != 0)
        say_lines(str_span(err), "fatal");
    for (; rest.len > 0; line = span_cut(&rest, '\n'))
        log_line(LOG_LV_FATAL, SPAN_FMT, SPAN_ARG(line));
    log_fatal(SPAN_FMT, SPAN_ARG(line));
}

/*
 * go_to_background - returns in the child, with a descriptor to report success to the parent, which waits for it
 * and exits with the status that the start deserves.
 */
static int go_to_background(void)
{
    int fds[2];
    char ok;

    if (pipe2(fds, O_CLOEXEC) < 0)
        log_fatal("cannot make a pipe: %m");
    pid_t pid = fork();
    if (pid < 0)
        log_fatal("cannot fork: %m");
    if (pid > 0) {
        close(fds[1]);
        _exit(read(fds[0], &ok, 1) == 1 ? 0 : 1);
    }
    close(fds[0]);
    setsid();
    return fds[1];
}

/* replace_streams - standard descriptors up to `last` are /dev/null from now on */
static void replace_streams(int last)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (int fd = 0; fd <= last; fd++)
        dup2(null, fd);
    if (null > STDERR_FILENO)
        close(null);
}

/* detach - the start was good: let go of the terminal and tell the parent */
static void detach(struct master *m, int report_fd)
{
    m->detached = true;
    replace_streams(STDERR_FILENO);
    if (write(report_fd, "", 1) < 0)
        log_warn("the process that started us is gone");
    close(report_fd);
}

static void raise_limits(void)
{
    struct rlimit fds;

    if (getrlimit(RLIMIT_NOFILE, &fds) == 0) {
        fds.rlim_cur = fds.rlim_max;
        setrlimit(RLIMIT_NOFILE, &fds);
    }
}

static int test_configuration(const struct options *o)
{
    _cleanup_(settings_done) struct settings s = { 0 };
    _cleanup_(str_free) struct str notes = STR_INIT, warnings = STR_INIT, err = STR_INIT;

    if (settings_load(o->config_directory, &s, &notes, &err) < 0 ||
        settings_check(&s, geteuid() != 0, &err) < 0 || judge(&s, &warnings, &err) < 0)
        die(&err);
    fputs(str_cstr(&notes), stderr);
    say_lines(str_span(&warnings), "warning");
    return 0;
}

static void make_secret(struct master *m)
{
    unsigned char secret[MASTER_SECRET_SIZE];

    rand_bytes(secret, sizeof secret);
    m->secret_fd = file_seal("secret", span_make(secret, sizeof secret));
    if (m->secret_fd < 0)
        log_fatal("cannot make a memory file: %s", strerror(-m->secret_fd));
}

/* start - everything until the sockets are bound. What fails here is told and ends the process */
static void start(struct master *m, const struct options *o)
{
    _cleanup_(settings_done) struct settings s = { 0 };
    _cleanup_(str_free) struct str notes = STR_INIT, warnings = STR_INIT, err = STR_INIT;

    m->single_user = geteuid() != 0;
    m->verbose = o->verbose;
    if (settings_load(o->config_directory, &s, &notes, &err) < 0 || log_open(m, s.params, &err) < 0 ||
        settings_check(&s, m->single_user, &err) < 0 || judge(&s, &warnings, &err) < 0 || /* each server repeats its warnings when it starts */
        dirs_make(s.params, m->single_user, &err) < 0 || lock_instance(&m->lock_fd, &err) < 0 ||
        lock_singles(&m->singles_fd, &err) < 0)
        die(&err);
    m->config_directory = mem_strdup(conf_directory(s.conf));
    lock_write(m->lock_fd, "");
    raise_limits();
    make_secret(m);
    int prepared = orphans_prepare(m);
    if (prepared < 0)
        log_fatal("cannot prepare for children: %s", strerror(-prepared));
    if (!m->single_user)
        master_limit_capabilities();
    int r = run_prepare(m);
    if (r < 0)
        log_fatal("cannot prepare the event loop: %s", strerror(-r));
    if (apply_settings(m, &s, &err) < 0)
        die(&err);
    if (notes.len > 0)
        log_warn(SPAN_FMT, SPAN_ARG(str_span(&notes)));
}

int main(int argc, char **argv)
{
    static struct master m = { .log_fd = -1, .lock_fd = -1, .singles_fd = -1, .report_by = CLOCK_NEVER };
    struct options o = { .mode = MODE_FOREGROUND };
    int report_fd = -1;

    log_to_stderr("master");
    parse_options(argc, argv, &o);
    if (o.mode == MODE_TEST)
        return test_configuration(&o);
    if (o.mode == MODE_BACKGROUND)
        report_fd = go_to_background();
    umask(077);
    start(&m, &o);
    log_info("daemon started -- version %s, configuration %s", POSTERN_VERSION, m.config_directory);
    if (m.single_user)
        log_info("single-user mode: not started by root, privileges are not separated");
    log_flush();
    if (o.mode == MODE_BACKGROUND)
        detach(&m, report_fd);
    else
        replace_streams(STDIN_FILENO);
    run(&m);
    return 0;
}
