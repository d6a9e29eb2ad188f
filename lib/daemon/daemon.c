/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon.c - the start of every server, in the order that daemon.h promises
 *
 * Runs in: every daemon, up to the sandbox as root.
 */
#include "daemon/daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "daemon/internal.h"
#include "table/table.h"

static const struct {
    const char *name;
    enum listen_kind kind;
} kinds[] = {
    { "inet", LISTEN_INET }, { "unix", LISTEN_UNIX }, { "fifo", LISTEN_FIFO }, { "pass", LISTEN_PASS },
};

/* handed_number - from the environment; -1 when it is not there */
static int64_t handed_number(const char *name)
{
    const char *text = getenv(name);
    uint32_t n;

    return text && span_u32(span_of(text), INT32_MAX, &n) == 0 ? (int64_t)n : -1;
}

static void handed_take(struct running *rd)
{
    const char *text = getenv(ENV_LISTEN);
    struct span list = span_of(text), word;
    uint32_t fd;

    unsetenv("LD_BIND_NOW");            /* it was meant for us */
    rd->master_fd = (int)handed_number(ENV_MASTER);
    if (!text || rd->master_fd < 0)
        log_fatal("no descriptors in the environment: this program is started by master(8)");
    while (span_word(&list, " ", &word) && rd->n_listeners < LISTEN_MAX) {
        if (span_u32(word, INT32_MAX, &fd) < 0)
            log_fatal("%s=%s: malformed", ENV_LISTEN, text);
        rd->listeners[rd->n_listeners++] = (struct listener){ rd, (int)fd };
    }
    rd->process_limit = handed_number(ENV_LIMIT);
    rd->is_public = handed_number(ENV_PUBLIC) == 1;
    rd->stop_fd = (int)handed_number(ENV_STOP);
}

static void parse_arguments(struct running *rd, char **argv)
{
    _cleanup_(str_free) struct str err = STR_INIT;

    if (daemon_args_parse(argv, &rd->args, &err) < 0)
        log_fatal("%s", str_cstr(&err));
    rd->sv.service = rd->args.service;
    rd->sv.args = rd->args.rest;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strcmp(kinds[i].name, rd->args.type) == 0) {
            rd->kind = kinds[i].kind;
            return;
        }
    log_fatal("unknown service type: %s", rd->args.type);
}

static void load_settings(struct running *rd)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    _cleanup_close_ int main_cf = (int)handed_number(ENV_MAIN_CF);
    struct conf *conf;
    struct params *params;

    if (main_cf < 0)
        log_fatal("no settings in the environment: this program is started by master(8)");
    if (conf_load_copy(NULL, main_cf, &conf, &err) < 0 || daemon_args_apply(&rd->args, conf, &err) < 0 ||
        conf_params_for(conf, rd->sv.daemon->client, &params, &err) < 0)
        log_fatal("%s", str_cstr(&err));
    rd->sv.conf = conf;
    rd->sv.params = params;
}

static bool asked_to_check(void)
{
    return handed_number(ENV_CHECK) == 1;
}

/* log_to - where master says */
static void log_to(const char *tag)
{
    int fd = (int)handed_number(ENV_LOG);

    if (asked_to_check())
        log_to_stderr(tag);
    else if (fd >= 0)
        log_to_fd(tag, fd);
    else
        log_to_syslog(tag);
}

/* log_as_set - with the tag of the settings */
static void log_as_set(const struct params *p, const char *program)
{
    _cleanup_(str_free) struct str tag = STR_INIT;

    if (*p->syslog_tag)
        str_add_str(&tag, p->syslog_tag);
    else
        str_addf(&tag, "%s/%s", p->syslog_name, program);
    log_to(str_cstr(&tag));
}

bool daemon_checking(const struct server *sv)
{
    return RUNNING(sv)->checking;
}

void daemon_allow(const struct server *sv, unsigned sandbox_flags)
{
    RUNNING(sv)->sandbox_flags |= sandbox_flags;
}

int daemon_secret(const struct server *sv, unsigned char ret[static MASTER_SECRET_SIZE])
{
    _cleanup_close_ int fd = (int)handed_number(ENV_SECRET);

    (void)sv;
    if (fd < 0)
        return -ENOENT;
    return pread(fd, ret, MASTER_SECRET_SIZE, 0) == MASTER_SECRET_SIZE ? 0 : -EIO;
}

void daemon_keep_waiting(const struct server *sv, size_t processes)
{
    struct running *rd = RUNNING(sv);

    rd->keep_waiting = rd->n_listeners == 1 ? processes : 0;    /* each waits at one socket */
}

static void enter_sandbox(struct running *rd)
{
    int ruleset = landlock_prepare(rd);

    watch_start(rd);
    reopen_register(rd);
    privilege_drop(rd);
    landlock_apply(ruleset);
    seccomp_apply(rd);
    reopen_start(rd);
}

static void warn_of_table(const char *text)
{
    log_warn("%s", text);
}

/* leave - not with exit(): there is nothing to write any more, and the sandbox is no place for a leak check */
static _Noreturn void leave(int status)
{
    log_flush();
    _exit(status);
}

int daemon_main(const struct daemon *d, int argc, char **argv)
{
    static struct running rd;

    (void)argc;
    rd.sv.daemon = d;
    rd.sandbox_flags = d->sandbox.flags;
    rd.sv.single_user = geteuid() != 0;
    rd.sigchld_fd = -1;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    log_to("postern");
    parse_arguments(&rd, argv);
    load_settings(&rd);
    log_as_set(rd.sv.params, d->name);
    log_set_verbose(rd.args.verbose);
    rd.checking = asked_to_check();
    if (!rd.checking)
        handed_take(&rd);
    accounts_find(&rd);
    table_on_problem(warn_of_table);
    const bool good = !d->start || d->start(&rd.sv) >= 0;
    if (rd.checking)
        leave(good ? 0 : 1);
    if (!good)
        log_fatal("service %s: cannot start", rd.sv.service);
    enter_sandbox(&rd);
    serve_run(&rd);
    leave(0);
}
