/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status.c - what the exit status of a command means (sysexits.h)
 *
 * A command that says more begins its output with a status code of RFC 3463, "4.2.2 over quota", whose first digit
 * then decides.
 *
 * Runs in: pipe. The command's output may hold anything.
 */
#include <sys/wait.h>
#include <sysexits.h>

#include "mail/status.h"
#include "pipe/pipe.h"

#define OUTPUT_SHOWN 700

static const struct exit_row {
    int code;
    const char *dsn, *text;
} exits[] = {
    { EX_USAGE, "5.3.0", "command line usage error" },
    { EX_DATAERR, "5.6.0", "data format error" },
    { EX_NOINPUT, "5.3.0", "cannot open input" },
    { EX_NOUSER, "5.1.1", "user unknown" },
    { EX_NOHOST, "5.1.2", "host name unknown" },
    { EX_UNAVAILABLE, "5.3.0", "service unavailable" },
    { EX_SOFTWARE, "5.3.0", "internal software error" },
    { EX_OSERR, "4.3.0", "system resource problem" },
    { EX_OSFILE, "5.3.0", "critical OS file missing" },
    { EX_CANTCREAT, "5.2.0", "can't create user output file" },
    { EX_IOERR, "5.3.0", "input/output error" },
    { EX_TEMPFAIL, "4.3.0", "temporary failure" },
    { EX_PROTOCOL, "5.5.0", "remote error in protocol" },
    { EX_NOPERM, "5.7.0", "permission denied" },
    { EX_CONFIG, "5.3.5", "local configuration error" },
};

static const struct exit_row *find(int code)
{
    for (size_t i = 0; i < ARRAY_LEN(exits); i++)
        if (exits[i].code == code)
            return &exits[i];
    return NULL;
}

static void set(struct outcome *o, const char *dsn, const char *text, const char *output)
{
    o->status = dsn[0] == '2' ? OUTCOME_SENT : dsn[0] == '4' ? OUTCOME_DEFERRED : OUTCOME_BOUNCED;
    snprintf(o->dsn, sizeof o->dsn, "%s", dsn);
    str_reset(&o->text);
    str_add_str(&o->text, text);
    if (*output)
        str_addf(&o->text, dsn[0] == '2' ? " (%s)" : ". Command output: %s", output);
}

/* The command named the status itself? */
static bool set_from_output(struct outcome *o, const char *output)
{
    char dsn[16];
    size_t n = status_dsn_parse(span_of(output), dsn);
    struct span text = span_skip_ws(span_from(span_of(output), n));

    if (n == 0 || dsn[0] == '2' || text.len == 0)
        return false;
    set(o, dsn, text.ptr, "");
    return true;
}

void status_judge(const struct command_end *end, const char *service, const char *command, struct outcome *ret)
{
    _cleanup_(str_free) struct str shown = STR_INIT, text = STR_INIT;
    const struct exit_row *row;

    str_add_escaped(&shown, span_trim(str_span(&end->output)), OUTPUT_SHOWN, STR_UTF8);
    const char *output = str_cstr(&shown);

    if (end->timed_out) {
        str_addf(&text, "Command time limit exceeded: \"%s\"", command);
        set(ret, "5.3.0", str_cstr(&text), output);
    } else if (WIFSIGNALED(end->status)) {
        str_addf(&text, "Command died with signal %d: \"%s\"", WTERMSIG(end->status), command);
        set(ret, "4.3.0", str_cstr(&text), output);
    } else if (WEXITSTATUS(end->status) == EX_OK) {
        str_addf(&text, "delivered via %s service", service);
        set(ret, "2.0.0", str_cstr(&text), output);
    } else if (set_from_output(ret, output)) {
        return;
    } else if ((row = find(WEXITSTATUS(end->status)))) {
        set(ret, row->dsn, row->text, output);
    } else {
        str_addf(&text, "Command died with status %d: \"%s\"", WEXITSTATUS(end->status), command);
        set(ret, "5.3.0", str_cstr(&text), output);
    }
}
