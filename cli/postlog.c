/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postlog.c - write lines to the mail log, for scripts
 *
 *     postlog [-c DIR] [-i] [-p info|warn|error|fatal|panic] [-t TAG] [text ...]
 *
 * Without text each line of the standard input is logged. What is logged is shown
 * on the standard error output as well. -i (process id) is always on.
 *
 * Runs as whoever calls it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"

static const struct level {
    const char *name, *label;
    enum log_level level;
} levels[] = {
    { "info",    "",          LOG_LV_INFO    },
    { "warn",    "warning: ", LOG_LV_WARNING },
    { "warning", "warning: ", LOG_LV_WARNING },
    { "error",   "error: ",   LOG_LV_ERROR   },
    { "fatal",   "fatal: ",   LOG_LV_FATAL   },
    { "panic",   "panic: ",   LOG_LV_PANIC   },
};

static const struct level *find_level(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(levels); i++)
        if (strcmp(levels[i].name, name) == 0)
            return &levels[i];
    log_fatal("unknown severity level: %s", name);
}

static void open_log(const struct params *p, const char *tag)
{
    const char *path = p->maillog_file;

    if (path[0] == '\0') {
        log_to_syslog(tag);
        return;
    }
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        log_fatal("%s: %m", path);
    log_to_fd(tag, fd);
}

static void say(const struct level *level, const char *tag, const char *text)
{
    fprintf(stderr, "%s: %s%s\n", tag, level->label, text);
    log_line(level->level, "%s", text);
}

static void say_input(const struct level *level, const char *tag)
{
    _cleanup_free_ char *line = NULL;
    size_t cap = 0;
    ssize_t n;

    while ((n = getline(&line, &cap, stdin)) >= 0) {
        if (n > 0 && line[n - 1] == '\n')
            line[n - 1] = '\0';
        say(level, tag, line);
    }
}

static void say_arguments(const struct level *level, const char *tag, char *const *words)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    for (size_t i = 0; words[i]; i++)
        str_addf(&text, "%s%s", i ? " " : "", words[i]);
    say(level, tag, str_cstr(&text));
}

int main(int argc, char **argv)
{
    _cleanup_(conf_free_ptr_) struct conf *conf = NULL;
    _cleanup_(params_free_ptr_) struct params *params = NULL;
    _cleanup_(str_free) struct str err = STR_INIT, default_tag = STR_INIT;
    const char *config_directory = NULL, *tag = NULL;
    const struct level *level = &levels[0];
    int option;

    log_to_stderr("postlog");
    while ((option = getopt(argc, argv, "c:ip:t:v")) >= 0) {
        if (option == 'c')
            config_directory = optarg;
        else if (option == 'p')
            level = find_level(optarg);
        else if (option == 't')
            tag = optarg;
        else if (option == '?')
            log_fatal("usage: postlog [-i] [-c config_dir] [-p priority] [-t tag] [text...]");
    }
    if (conf_load(config_directory, &conf, &err) < 0 || conf_params(conf, &params, &err) < 0)
        log_fatal("%s", str_cstr(&err));
    str_addf(&default_tag, "%s/postlog", params->syslog_name);
    if (!tag)
        tag = str_cstr(&default_tag);
    open_log(params, tag);
    if (argv[optind])
        say_arguments(level, tag, argv + optind);
    else
        say_input(level, tag);
    log_flush();
    return 0;
}
