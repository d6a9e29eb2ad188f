/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postern.c - control the mail system: start, stop, reload, look
 *
 *     postern [-c DIR] [-v] start|start-fg|stop|abort|reload|flush|status|check|set-permissions
 *
 * Commands, messages and exit status are those of Postfix's postfix(1), as
 * scripts know them. What is said goes to the terminal and to the log.
 * Whether the suite runs is told by the lock on pid/master.pid, never by the number in it.
 *
 * Runs as the administrator, on his own text.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"

enum {
    POLL_MS = 20,
    STOP_PATIENCE_MS = 5000,    /* then say that we wait */
    STOP_LIMIT_MS = 15000,      /* then use force */
    ABORT_LIMIT_MS = 5000,
    RELOAD_LIMIT_MS = 20000,
};

struct control {
    struct conf *conf;
    struct params *params;
    char tag[64];
    bool verbose;
};

/* ---- telling ---- */

static const struct {
    enum log_level level;
    const char *label;
} labels[] = {
    { LOG_LV_INFO, "" }, { LOG_LV_WARNING, "warning: " }, { LOG_LV_ERROR, "error: " },
    { LOG_LV_FATAL, "fatal: " },
};

__attribute__((format(printf, 3, 4))) static void tell(const struct control *c, enum log_level level,
                                                       const char *fmt, ...)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    va_list ap;

    va_start(ap, fmt);
    str_vaddf(&text, fmt, ap);
    va_end(ap);
    for (size_t i = 0; i < ARRAY_LEN(labels); i++)
        if (labels[i].level == level)
            fprintf(stderr, "%s: %s%s\n", c->tag, labels[i].label, str_cstr(&text));
    log_line(level, "%s", str_cstr(&text));
    log_flush();
}

/* open_log - a log file that we may not write is no reason to do nothing */
static void open_log(const struct control *c)
{
    const char *path = c->params->maillog_file;

    if (path[0] == '\0') {
        log_to_syslog(c->tag);
        return;
    }
    int fd = open(strncmp(path, "/dev/", 5) == 0 ? "/dev/null" : path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0)
        fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    log_to_fd(c->tag, fd);
}

/* ---- the running master ---- */

struct running_master {
    pid_t pid;
    char outcome[64];           /* of the last reload: "reload 3 taken", or empty */
};

/* find_master - false: the suite is down */
static bool find_master(const struct control *c, struct running_master *ret)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    char text[128] = "";

    str_addf(&path, "%s/pid/master.pid", c->params->queue_directory);
    _cleanup_close_ int fd = open(str_cstr(&path), O_RDONLY | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) == 0)
        return false;
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    struct span rest = span_make(text, n > 0 ? (size_t)n : 0), first = span_cut(&rest, '\n');
    uint32_t pid = 0;
    if (span_u32(span_trim(first), INT32_MAX, &pid) < 0)
        return false;
    rest = span_cut(&rest, '\n');
    *ret = (struct running_master){ .pid = (pid_t)pid };
    memcpy(ret->outcome, rest.ptr, rest.len < sizeof ret->outcome ? rest.len : 0);
    return true;
}

static void pause_ms(int ms)
{
    const struct timespec t = { ms / 1000, ms % 1000 * 1000000L };

    nanosleep(&t, NULL);
}

/* wait_gone - false: it still runs after limit_ms */
static bool wait_gone(const struct control *c, int limit_ms)
{
    struct running_master m;

    for (int waited = 0; find_master(c, &m); waited += POLL_MS) {
        if (waited >= limit_ms)
            return false;
        pause_ms(POLL_MS);
    }
    return true;
}

static int send_signal(const struct control *c, pid_t pid, int signo)
{
    if (kill(pid, signo) == 0)
        return 0;
    tell(c, LOG_LV_FATAL, "cannot signal process %d: %s", (int)pid, strerror(errno));
    return -1;
}

static int not_running(const struct control *c)
{
    tell(c, LOG_LV_FATAL, "the Postern mail system is not running");
    return 1;
}

/* ---- running other programs ---- */

static _Noreturn void exec_master(const struct control *c, const char *mode)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    char *argv[6], **a = argv;

    str_addf(&path, "%s/master", c->params->daemon_directory);
    *a++ = mem_strdup("master");
    *a++ = mem_strdup("-c");
    *a++ = mem_strdup(conf_directory(c->conf));
    if (c->verbose)
        *a++ = mem_strdup("-v");
    if (mode)
        *a++ = mem_strdup(mode);
    *a = NULL;
    execv(str_cstr(&path), argv);
    tell(c, LOG_LV_FATAL, "%s: %s", str_cstr(&path), strerror(errno));
    _exit(1);
}

/* run_master - its exit status, -1 when it could not be run */
static int run_master(const struct control *c, const char *mode)
{
    int status;

    log_flush();
    pid_t pid = fork();
    if (pid == 0)
        exec_master(c, mode);
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

/* ---- commands ---- */

static int refuse_second(const struct control *c)
{
    struct running_master m;

    if (!find_master(c, &m))
        return 0;
    tell(c, LOG_LV_FATAL, "the Postern mail system is already running");
    return -1;
}

static int cmd_start(const struct control *c)
{
    if (refuse_second(c) < 0)
        return 1;
    tell(c, LOG_LV_INFO, "starting the Postern mail system");
    if (run_master(c, "-w") == 0)
        return 0;
    tell(c, LOG_LV_FATAL, "mail system startup failed");
    return 1;
}

static int cmd_start_fg(const struct control *c)
{
    if (refuse_second(c) < 0)
        return 1;
    tell(c, LOG_LV_INFO, "starting the Postern mail system");
    exec_master(c, NULL);
}

static int cmd_stop(const struct control *c)
{
    struct running_master m;

    if (!find_master(c, &m))
        return not_running(c);
    tell(c, LOG_LV_INFO, "stopping the Postern mail system");
    if (send_signal(c, m.pid, SIGTERM) < 0)
        return 1;
    if (wait_gone(c, STOP_PATIENCE_MS))
        return 0;
    tell(c, LOG_LV_INFO, "waiting for the Postern mail system to terminate");
    if (wait_gone(c, STOP_LIMIT_MS - STOP_PATIENCE_MS))
        return 0;
    tell(c, LOG_LV_WARNING, "stopping the Postern mail system with force");
    return send_signal(c, m.pid, SIGQUIT) == 0 && wait_gone(c, ABORT_LIMIT_MS) ? 0 : 1;
}

static int cmd_abort(const struct control *c)
{
    struct running_master m;

    if (!find_master(c, &m))
        return not_running(c);
    tell(c, LOG_LV_INFO, "aborting the Postern mail system");
    return send_signal(c, m.pid, SIGQUIT) == 0 && wait_gone(c, ABORT_LIMIT_MS) ? 0 : 1;
}

/* cmd_reload - returns when the new settings are in use, or were refused */
static int cmd_reload(const struct control *c)
{
    struct running_master before, now;

    if (!find_master(c, &before))
        return not_running(c);
    if (run_master(c, "-t") != 0) {
        tell(c, LOG_LV_FATAL, "the configuration is not usable; the old one stays in use");
        return 1;
    }
    tell(c, LOG_LV_INFO, "refreshing the Postern mail system");
    if (send_signal(c, before.pid, SIGHUP) < 0)
        return 1;
    for (int waited = 0; waited < RELOAD_LIMIT_MS && find_master(c, &now); waited += POLL_MS) {
        if (strcmp(now.outcome, before.outcome) != 0) {
            if (!strstr(now.outcome, "refused"))
                return 0;
            tell(c, LOG_LV_FATAL, "the new configuration was refused; the log says why");
            return 1;
        }
        pause_ms(POLL_MS);
    }
    tell(c, LOG_LV_FATAL, "no answer from process %d", (int)before.pid);
    return 1;
}

static int cmd_flush(const struct control *c)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    struct running_master m;

    if (!find_master(c, &m))
        return not_running(c);
    str_addf(&path, "%s/postqueue", c->params->command_directory);
    execl(str_cstr(&path), "postqueue", "-c", conf_directory(c->conf), "-f", (char *)NULL);
    tell(c, LOG_LV_FATAL, "%s: %s", str_cstr(&path), strerror(errno));
    return 1;
}

static int cmd_status(const struct control *c)
{
    struct running_master m;

    if (find_master(c, &m)) {
        tell(c, LOG_LV_INFO, "the Postern mail system is running: PID: %d", (int)m.pid);
        return 0;
    }
    tell(c, LOG_LV_INFO, "the Postern mail system is not running");
    return 1;
}

/* check_path - nobody but its owner may change what the suite believes or executes */
static void check_path(const struct control *c, const char *directory, const char *file)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    struct stat st;

    str_addf(&path, "%s%s%s", directory, file[0] ? "/" : "", file);
    if (stat(str_cstr(&path), &st) < 0) {
        tell(c, LOG_LV_WARNING, "%s: %s", str_cstr(&path), strerror(errno));
        return;
    }
    if (st.st_uid != 0 && geteuid() == 0)
        tell(c, LOG_LV_WARNING, "not owned by root: %s", str_cstr(&path));
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        tell(c, LOG_LV_WARNING, "group or other writable: %s", str_cstr(&path));
}

static void tell_without_effect(const char *name, const char *raw, void *arg)
{
    const struct param_row *row = param_find(name);

    (void)raw;
    if (row && !param_has_effect(row))
        tell(arg, LOG_LV_INFO, "%s: %s", name, row->text);
}

/* Settings that do nothing: names without effect here, names that nothing knows (which postconf tells). */
static void check_settings(const struct control *c)
{
    _cleanup_(str_free) struct str path = STR_INIT;

    conf_foreach_set(c->conf, tell_without_effect, (void *)c);
    str_addf(&path, "%s/postconf", c->params->command_directory);
    log_flush();
    pid_t pid = fork();
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stdout))
            _exit(1);
        execl(str_cstr(&path), "postconf", "-c", conf_directory(c->conf), "-n", (char *)NULL);
        tell(c, LOG_LV_WARNING, "%s: %s", str_cstr(&path), strerror(errno));
        _exit(1);
    }
    if (pid < 0 || waitpid(pid, NULL, 0) < 0)
        tell(c, LOG_LV_WARNING, "cannot run %s: %s", str_cstr(&path), strerror(errno));
}

static int cmd_check(const struct control *c)
{
    const char *config = conf_directory(c->conf);

    if (run_master(c, "-t") != 0) {
        tell(c, LOG_LV_FATAL, "Postern integrity check failed!");
        return 1;
    }
    check_path(c, config, "");
    check_path(c, config, "main.cf");
    check_path(c, config, "master.cf");
    check_path(c, c->params->daemon_directory, "");
    check_path(c, c->params->command_directory, "");
    check_settings(c);
    return 0;
}

/* After installing: postdrop, the only set-gid program, gets its group, and the bit that chown takes away. */
static int cmd_set_permissions(const struct control *c)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    const struct group *group = getgrnam(c->params->setgid_group);

    str_addf(&path, "%s/postdrop", c->params->command_directory);
    if (!group)
        tell(c, LOG_LV_FATAL, "parameter setgid_group: unknown group \"%s\"", c->params->setgid_group);
    else if (chown(str_cstr(&path), 0, group->gr_gid) < 0 || chmod(str_cstr(&path), 02755) < 0)
        tell(c, LOG_LV_FATAL, "%s: %s", str_cstr(&path), strerror(errno));
    else
        return 0;
    return 1;
}

static const struct command {
    const char *name;
    int (*run)(const struct control *c);
} commands[] = {
    { "start",    cmd_start    },
    { "start-fg", cmd_start_fg },
    { "stop",     cmd_stop     },
    { "abort",    cmd_abort    },
    { "reload",   cmd_reload   },
    { "flush",    cmd_flush    },
    { "status",   cmd_status   },
    { "check",    cmd_check    },
    { "set-permissions", cmd_set_permissions },
};

static _Noreturn void usage(void)
{
    log_fatal("usage: postern [-c config_dir] [-v] start|start-fg|stop|abort|reload|flush|status|check|"
              "set-permissions");
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; name && i < ARRAY_LEN(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    usage();
}

static void load(struct control *c, const char *config_directory)
{
    _cleanup_(str_free) struct str err = STR_INIT;

    if (conf_load(config_directory, &c->conf, &err) < 0 ||
        conf_params(c->conf, &c->params, &err) < 0)
        log_fatal("%s", str_cstr(&err));
    snprintf(c->tag, sizeof c->tag, "%s/postern-script", c->params->syslog_name);
    open_log(c);
}

int main(int argc, char **argv)
{
    static struct control c;
    const char *config_directory = NULL;
    int option;

    log_to_stderr("postern");
    while ((option = getopt(argc, argv, "c:v")) >= 0) {
        if (option == 'c')
            config_directory = optarg;
        else if (option == 'v')
            c.verbose = true;
        else
            usage();
    }
    if (argc - optind != 1)
        usage();
    const struct command *cmd = find_command(argv[optind]);
    load(&c, config_directory);
    return cmd->run(&c);
}
