/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - pipe: delivers to commands, as master.cf says (Postfix's pipe(8))
 *
 *     maildrop unix - n n - - pipe
 *         flags=DRXhu user=vmail argv=/usr/bin/maildrop -d ${recipient}
 *
 * A command gets its arguments without a shell, the message on its standard input, a small environment, no
 * descriptor of ours, and the identity of user= for good: no-new-privileges holds for it as well, so a set-uid
 * program gains nothing.
 *
 * Sandbox: user mail_owner with CAP_SETUID and CAP_SETGID, which the child gives up before it executes the command;
 * it must execute, so system calls are only refused where no delivery needs them, and files are those of its user.
 * Parameters: command_time_limit, SERVICE_time_limit, SERVICE_destination_recipient_limit.
 */
#include "base/log.h"
#include "base/mem.h"
#include "pipe/pipe.h"

static int read_config(struct server *sv, struct pipe_config *c, struct str *err)
{
    char name[160];
    int r = pipe_config_parse(sv->args, c, err);

    if (r == 0)
        r = expand_check(c->argv, err);
    if (r == 0)
        r = pipe_config_user(c, sv, err);
    if (r < 0)
        return r;
    snprintf(name, sizeof name, "%s_time_limit", sv->service);
    return conf_get_time(sv->conf, name, sv->params->command_time_limit, &c->time_limit, err);
}

static int start(struct server *sv)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    struct pipe_config *c = mem_new(struct pipe_config);

    sv->state = c;
    int r = read_config(sv, c, &err);

    if (r < 0)
        log_error("service %s: %s", sv->service, str_cstr(&err));
    return r;
}

int main(int argc, char **argv)
{
    static const struct daemon program = {
        .name = "pipe",
        .mode = DAEMON_FIBERS,
        .sandbox = { .user = RUN_AS_QUEUE, .flags = SANDBOX_SETUID | SANDBOX_ALL_FILES | SANDBOX_EXEC },
        .start = start,
        .session = pipe_session,
    };
    return daemon_main(&program, argc, argv);
}
