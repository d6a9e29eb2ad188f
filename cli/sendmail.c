/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sendmail - submit mail from programs; also mailq and newaliases
 *
 * The command that every Unix program which sends mail knows. It has no special rights. Exit status
 * as in sysexits.h, since callers such as cron and mailing-list managers look at it.
 *
 * Runs in: a terminal or a script, as any user.
 */
#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/chars.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/sendmail_content.h"
#include "cli/sendmail_options.h"
#include "cli/sendmail_smtp.h"
#include "cli/sendmail_submit.h"
#include "mail/address.h"

/* Tell the user and end. */
static _Noreturn void give_up(int status, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static _Noreturn void give_up(int status, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_vline(LOG_LV_FATAL, fmt, ap);
    va_end(ap);
    log_flush();
    exit(status);
}

/* ---- who sends ---- */

static const struct passwd *calling_user(void)
{
    const struct passwd *pw = getpwuid(getuid());

    if (!pw)
        give_up(EX_OSERR, "no login name found for user ID %lu", (unsigned long)getuid());
    return pw;
}

/* The GECOS field up to a comma; '&' stands for the login name with a capital */
static void add_gecos(struct str *s, const struct passwd *pw)
{
    for (const char *p = pw->pw_gecos; p && *p && *p != ','; p++) {
        if (*p != '&') {
            str_add_char(s, *p);
            continue;
        }
        size_t at = s->len;

        str_add_str(s, pw->pw_name);
        if (s->len > at)
            s->data[at] = char_upper(s->data[at]);
    }
}

/* Empty for a user without an account, such as in a container: then only -f is needed. */
static void full_name(const struct sendmail_options *o, struct str *ret)
{
    const char *name = o->full_name ? o->full_name : getenv("NAME");
    const struct passwd *pw = name ? NULL : getpwuid(getuid());

    if (name)
        str_add_str(ret, name);
    else if (pw)
        add_gecos(ret, pw);
}

/* ---- submitting ---- */

static void fill_envelope(const struct sendmail_options *o, struct submission *s)
{
    submission_set_sender(s, o->sender ? o->sender : calling_user()->pw_name);
    s->submit.dsn_ret = o->dsn_ret;
    str_add_str(&s->submit.dsn_envid, o->envid ? o->envid : "");
    s->submit.flags = (o->extract ? SUBMIT_EXTRACT : 0) | (o->smtputf8 ? SUBMIT_SMTPUTF8 : 0);
    for (char *const *r = o->recipients; *r; r++)
        if (submission_add_rcpts(s, *r, o->dsn_notify) == 0)
            give_up(EX_USAGE, "bad recipient address: %s", *r);
    if (s->n_rcpts == 0 && !o->extract)
        give_up(EX_USAGE,
                "Recipient addresses must be specified on the command line or via the -t option");
}

static void read_content(const struct sendmail_options *o, struct submission *s)
{
    _cleanup_(str_free) struct str name = STR_INIT;
    int r = content_read(stdin, o->ignore_dots ? CONTENT_PLAIN : CONTENT_DOT,
                         (uint64_t)s->params->message_size_limit, &s->content);

    if (r == -EMSGSIZE)
        give_up(EX_UNAVAILABLE, "uid=%lu: message file too big", (unsigned long)getuid());
    if (r < 0)
        give_up(EX_DATAERR, "error reading input: %s", strerror(-r));
    full_name(o, &name);
    content_add_from(&s->content, str_span(&name), str_span(&s->submit.sender));
    if (content_is_8bit(str_span(&s->content)))
        s->submit.flags |= SUBMIT_8BIT;
}

static int submit(const struct sendmail_options *o, struct submission *s)
{
    struct submit_result res;

    fill_envelope(o, s);
    read_content(o, s);
    submission_send(s, &res);
    if (res.status == SUBMIT_OK) {
        if (o->verbose)
            printf("queued as %s\n", res.queue_id);
        return EX_OK;
    }
    give_up(res.status == SUBMIT_TEMPORARY ? EX_TEMPFAIL : EX_UNAVAILABLE, "uid=%lu: %s %s",
            (unsigned long)getuid(), res.dsn, res.text);
}

/* ---- what other commands do ---- */

static _Noreturn void run(const struct sendmail_options *o, const struct params *p,
                          const char *program, const char *option, const char *value)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    const char *argv[6] = {program};
    size_t n = 1;

    if (o->config_dir) {
        argv[n++] = "-c";
        argv[n++] = o->config_dir;
    }
    if (option)
        argv[n++] = option;
    if (value)
        argv[n++] = value;
    str_addf(&path, "%s/%s", p->command_directory, program);
    execv(str_cstr(&path), (char *const *)argv);
    give_up(EX_OSERR, "cannot execute %s: %m", str_cstr(&path));
}

static int dispatch(const struct sendmail_options *o, struct submission *s)
{
    switch (o->mode) {
    case SENDMAIL_SUBMIT:
        return submit(o, s);
    case SENDMAIL_SMTP:
        sendmail_smtp(s, stdin, stdout);
        return EX_OK;
    case SENDMAIL_LIST:
        run(o, s->params, "postqueue", "-p", NULL);
    case SENDMAIL_FLUSH:
        if (o->flush_id)
            run(o, s->params, "postqueue", "-i", o->flush_id);
        if (o->flush_site)
            run(o, s->params, "postqueue", "-s", o->flush_site);
        run(o, s->params, "postqueue", "-f", NULL);
    case SENDMAIL_ALIASES:
        run(o, s->params, "newaliases", NULL, NULL);
    case SENDMAIL_START:
        run(o, s->params, "postern", "start", NULL);
    }
    return EX_SOFTWARE;
}

int main(int argc, char **argv)
{
    _cleanup_(conf_free_ptr_) struct conf *conf = NULL;
    _cleanup_(params_free_ptr_) struct params *params = NULL;
    _cleanup_(submission_done) struct submission s = {0};
    _cleanup_(str_free) struct str err = STR_INIT;
    struct sendmail_options o;

    log_to_stderr("sendmail");
    signal(SIGPIPE, SIG_IGN);
    if (sendmail_options_parse(argc, argv, &o, &err) < 0)
        give_up(EX_USAGE, "%s", str_cstr(&err));
    if (conf_load(o.config_dir, &conf, &err) < 0 || conf_params(conf, &params, &err) < 0)
        give_up(EX_TEMPFAIL, "%s", str_cstr(&err));
    s.params = params;
    s.config_dir = o.config_dir;
    return dispatch(&o, &s);
}
