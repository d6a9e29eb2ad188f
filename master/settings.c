/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings.c - read main.cf and master.cf, and say what is wrong before anything is changed
 *
 * Runs in: master, on the administrator's text. Logs nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>

#include "base/log.h"
#include "master/master.h"

void settings_done(struct settings *s)
{
    plan_done(&s->plan);
    params_free(s->params);
    conf_free(s->conf);
    *s = (struct settings){ 0 };
}

static int apply_overrides(const char *config_directory, const struct service *s, struct str *err)
{
    _cleanup_(conf_free_ptr_) struct conf *conf = NULL;
    _cleanup_(params_free_ptr_) struct params *params = NULL;
    int r = conf_load(config_directory, &conf, err);

    for (char **o = s->overrides; r == 0 && *o; o++)
        r = conf_override(conf, span_of(*o), err);
    return r == 0 ? conf_params(conf, &params, err) : r;
}

/* The settings of services (-o): a slip there is found now, and not when the first client comes. */
static int check_overrides(const char *config_directory, const struct master_cf *cf, const char *path, struct str *err)
{
    for (size_t i = 0; i < cf->len; i++) {
        const struct service *s = &cf->services[i];
        _cleanup_(str_free) struct str why = STR_INIT;
        int r = s->overrides[0] ? apply_overrides(config_directory, s, &why) : 0;

        if (r < 0) {
            str_addf(err, "%s, line %d: service %s: %s", path, s->line, s->name, str_cstr(&why));
            return r;
        }
    }
    return 0;
}

int settings_load(const char *config_directory, struct settings *ret, struct str *notes, struct str *err)
{
    _cleanup_(settings_done) struct settings s = { 0 };
    _cleanup_(master_cf_done) struct master_cf cf = { 0 };
    _cleanup_(str_free) struct str path = STR_INIT;

    int r = conf_load_keep(config_directory, &s.conf, err);
    if (r == 0)
        r = conf_params(s.conf, &s.params, err);
    if (r == 0)
        r = master_cf_load(conf_directory(s.conf), &cf, err);
    if (r < 0)
        return r;
    str_addf(&path, "%s/master.cf", conf_directory(s.conf));
    r = check_overrides(config_directory, &cf, str_cstr(&path), err);
    if (r < 0)
        return r;
    r = plan_make(&cf, s.params, str_cstr(&path), &s.plan, notes, err);
    if (r < 0)
        return r;
    *ret = TAKE(s, (struct settings){ 0 });
    return 0;
}

static int check_account(const struct conf *c, const char *parameter, const char *name, struct str *err)
{
    const struct passwd *pw = getpwnam(name);

    if (pw && pw->pw_uid != 0)
        return 0;
    conf_add_place(c, parameter, err);
    str_addf(err, "parameter %s: %s account \"%s\"", parameter,
             pw ? "the superuser cannot be the" : "unknown", name);
    return -EINVAL;
}

static int check_accounts(const struct conf *c, const struct params *p, struct str *err)
{
    if (check_account(c, "mail_owner", p->mail_owner, err) < 0 ||
        check_account(c, "net_owner", p->net_owner, err) < 0 ||
        check_account(c, "auth_owner", p->auth_owner, err) < 0)
        return -EINVAL;
    if (!getgrnam(p->setgid_group)) {
        conf_add_place(c, "setgid_group", err);
        str_addf(err, "parameter setgid_group: unknown group \"%s\"", p->setgid_group);
        return -EINVAL;
    }
    return 0;
}

int settings_check(const struct settings *s, bool single_user, struct str *err)
{
    _cleanup_(str_free) struct str path = STR_INIT;

    for (size_t i = 0; i < s->plan.len; i++) {
        const struct planned *p = &s->plan.services[i];

        str_reset(&path);
        str_addf(&path, "%s/%s", s->params->daemon_directory, p->program);
        if (access(str_cstr(&path), X_OK) < 0) {
            int error = errno;

            str_addf(err, "%s/master.cf, line %d: service %s: %s: %s", conf_directory(s->conf), p->line,
                     p->name, str_cstr(&path), strerror(error));
            return -error;
        }
    }
    return single_user ? 0 : check_accounts(s->conf, s->params, err);
}

/* open_log_file - the standard streams by descriptor, as one that is a socket cannot be opened */
static int open_log_file(const char *path)
{
    int fd;

    if (strcmp(path, "/dev/stdout") == 0)
        fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    else if (strcmp(path, "/dev/stderr") == 0)
        fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    else
        fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    return fd < 0 ? -errno : fd;
}

int log_open(struct master *m, const struct params *params, struct str *err)
{
    _cleanup_(str_free) struct str tag = STR_INIT;
    int fd = -1;

    str_addf(&tag, "%s/master", params->syslog_name);
    if (params->maillog_file[0] != '\0') {
        fd = open_log_file(params->maillog_file);
        if (fd < 0) {
            str_addf(err, "parameter maillog_file: %s: %s", params->maillog_file, strerror(-fd));
            return fd;
        }
        log_to_fd(str_cstr(&tag), fd);
    } else {
        log_to_syslog(str_cstr(&tag));
    }
    if (m->log_fd >= 0)
        close(m->log_fd);
    m->log_fd = fd;
    return 0;
}
