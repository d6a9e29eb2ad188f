/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judge.c - ask each server whether it could start with these settings
 *
 * Lists of words, restrictions, tables and certificates are understood by the programs that use them, and by nobody else. So the
 * programs judge them: each is run once with each set of its own settings (-o), goes as far as it would at its start, says on stderr
 * what it cannot use, and leaves (ENV_CHECK). It is handed nothing but the settings.
 *
 * What several say is said once, with the line of the file it stands in.
 *
 * Runs in: master, before it starts or in a process of its own (-t), never while it serves: the answers are waited for.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/chars.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/master_link.h"
#include "master/master.h"

enum {
    AT_ONCE = 8,                /* programs */
    ANSWER_LIMIT_S = 60,        /* then the kernel ends the program */
    ANSWER_MAX = 64 << 10,      /* bytes of what one says */
};

struct question {
    const struct planned *service;
    pid_t pid;
    int fd;                     /* its standard error; -1: it could not be run */
};

/* ---- asking ---- */

/* An argument that no program looks at before it is ready: the tag of its log lines */
static bool is_for_the_log(const char *arg)
{
    return strncmp(arg, "syslog_name=", strlen("syslog_name=")) == 0;
}

static bool same_arguments(const struct planned *a, const struct planned *b)
{
    char **x = a->args, **y = b->args;

    for (;; x++, y++) {
        while (x[0] && x[1] && is_for_the_log(x[1]))
            x += 2;
        while (y[0] && y[1] && is_for_the_log(y[1]))
            y += 2;
        if (!*x || !*y)
            return !*x && !*y;
        if (strcmp(*x, *y) != 0)
            return false;
    }
}

static bool is_asked_already(const struct plan *plan, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (strcmp(plan->services[k].program, plan->services[i].program) == 0 &&
            same_arguments(&plan->services[k], &plan->services[i]))
            return true;
    return false;
}

static _Noreturn void become_program(const struct settings *s, const struct planned *p, int answer_fd)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    char **argv = child_argv(p, false);

    str_addf(&path, "%s/%s", s->params->daemon_directory, p->program);
    dup2(answer_fd, STDERR_FILENO);
    log_to_stderr(p->program);
    child_clean_environment();
    child_keep_open(conf_copy_fd(s->conf));
    child_set_number(ENV_MAIN_CF, conf_copy_fd(s->conf));
    child_set_number(ENV_CHECK, 1);
    setenv("MAIL_CONFIG", conf_directory(s->conf), 1);
    /* Where servers work; before the first start it is not there. */
    if (chdir(s->params->queue_directory) < 0 && chdir("/") < 0)
        log_fatal("cannot change to /: %m");
    alarm(ANSWER_LIMIT_S);
    execv(str_cstr(&path), argv);
    log_fatal("%s: %m", str_cstr(&path));
}

static void ask(const struct settings *s, struct question *q)
{
    int fds[2];

    q->fd = -1;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return;
    log_flush();
    q->pid = fork();
    if (q->pid == 0)
        become_program(s, q->service, fds[1]);
    close(fds[1]);
    if (q->pid > 0)
        q->fd = fds[0];
    else
        close(fds[0]);
}

/* ---- the answers ---- */

/* "parameter NAME: " somewhere in it; an empty span: it is about something else */
static struct span parameter_of(struct span text)
{
    static const struct span before = SPAN("parameter ");
    const ptrdiff_t at = span_find(text, before);
    size_t n = 0;

    if (at < 0)
        return span_first(text, 0);
    struct span name = span_from(text, (size_t)at + before.len);
    while (n < name.len && (char_is(name.ptr[n], CHAR_ALNUM) || name.ptr[n] == '_'))
        n++;
    return span_first(name, n < name.len && name.ptr[n] == ':' ? n : 0);
}

/* Does the service's line of master.cf set it? */
static bool is_overridden(const struct planned *p, struct span name)
{
    for (char **arg = p->args; arg[0] && arg[1]; arg++) {
        struct span value = span_of(arg[1]);

        if (strcmp(arg[0], "-o") == 0 && span_eq(span_trim(span_cut(&value, '=')), name))
            return true;
    }
    return false;
}

static bool has_line(const struct str *lines, struct span line)
{
    struct span rest = str_span(lines);

    while (rest.len > 0)
        if (span_eq(span_cut(&rest, '\n'), line))
            return true;
    return false;
}

/* add_line - with the place it is about, unless it has been said */
static void add_line(const struct settings *s, const struct planned *p, struct span text, struct str *ret)
{
    _cleanup_(str_free) struct str line = STR_INIT;
    const struct span name = parameter_of(text);

    if (span_find(text, span_of("main.cf, line ")) < 0) {
        if (name.len == 0 || is_overridden(p, name)) {
            str_addf(&line, "%s/master.cf, line %d: service %s: ", conf_directory(s->conf), p->line, p->name);
        } else {
            _cleanup_free_ char *parameter = mem_dup_span(name);

            conf_add_place(s->conf, parameter, &line);
        }
    }
    str_add(&line, text);
    if (has_line(ret, str_span(&line)))
        return;
    if (ret->len > 0)
        str_add_char(ret, '\n');
    str_add(ret, str_span(&line));
}

/* Each line is "program: warning: text", with error or fatal in the place of warning; else a library speaks. */
static void sort_lines(const struct settings *s, const struct planned *p, struct span text, struct str *warnings,
                       struct str *err)
{
    while (text.len > 0) {
        struct span line = span_cut(&text, '\n'), rest = line;

        span_cut(&rest, ':');
        rest = span_trim(rest);
        if (span_take_nocase(&rest, "warning: "))
            add_line(s, p, rest, warnings);
        else if (span_take_nocase(&rest, "error: ") || span_take_nocase(&rest, "fatal: "))
            add_line(s, p, rest, err);
        else
            add_line(s, p, line, err);
    }
}

static void read_all(int fd, struct str *ret)
{
    ssize_t n;

    do {
        str_reserve(ret, 4096);
        n = read(fd, ret->data + ret->len, 4096);
        if (n > 0 && ret->len < ANSWER_MAX)
            str_advance(ret, (size_t)n);
    } while (n > 0 || (n < 0 && errno == EINTR));
}

/* 0, or -EINVAL: the program could not start */
static int hear(const struct settings *s, const struct question *q, struct str *warnings, struct str *err)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    _cleanup_close_ int fd = q->fd;
    int status = -1;

    if (fd >= 0) {
        read_all(fd, &text);
        while (waitpid(q->pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    const bool good = fd >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (fd < 0)
        str_addf(&text, "%s: error: cannot be run\n", q->service->program);
    else if (WIFSIGNALED(status))
        str_addf(&text, "%s: error: %s: %s\n", q->service->program, q->service->program, strsignal(WTERMSIG(status)));
    else if (!good && text.len == 0)
        str_addf(&text, "%s: error: %s cannot start\n", q->service->program, q->service->program);
    sort_lines(s, q->service, str_span(&text), warnings, good ? warnings : err);
    return good ? 0 : -EINVAL;
}

int judge(const struct settings *s, struct str *warnings, struct str *err)
{
    _cleanup_free_ struct question *questions = mem_new_n(struct question, s->plan.len);
    size_t n = 0;
    int r = 0;

    for (size_t i = 0; i < s->plan.len; i++)
        if (!is_asked_already(&s->plan, i))
            questions[n++].service = &s->plan.services[i];
    for (size_t i = 0, asked = 0; i < n; i++) {
        while (asked < n && asked < i + AT_ONCE)
            ask(s, &questions[asked++]);
        if (hear(s, &questions[i], warnings, err) < 0)
            r = -EINVAL;
    }
    return r;
}
