/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command.c - the command table: what may be said, when, and who answers
 *
 * What is common to all commands is checked here from the table's columns; a
 * handler holds only what is its own. A command counts as failed in the
 * "disconnect" line when it was answered with an error.
 *
 * Runs in: smtpd (input is hostile). Logs clients that do not speak SMTP.
 */
#include "smtpd/command.h"

#include "base/chars.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/own.h"
#include "smtpd/filter.h"
#include "smtpd/reply.h"

enum command_flags {
    NO_ARGS   = 1 << 0,
    JUNK      = 1 << 1,     /* does no work: counts against smtpd_junk_command_limit */
    NO_TLS_OK = 1 << 2,     /* allowed before STARTTLS where TLS is required */
    FILTERED  = 1 << 3,     /* refused to a client that a mail filter has refused */
    HIDEABLE  = 1 << 4,     /* not there for a client whose EHLO answer did not have it */
};

static void cmd_noop(struct smtpd *s, struct span args)
{
    (void)args;
    reply(s, "250 2.0.0 Ok");
}

static void cmd_rset(struct smtpd *s, struct span args)
{
    (void)args;
    transaction_reset(s);
    reply(s, "250 2.0.0 Ok");
}

static void cmd_quit(struct smtpd *s, struct span args)
{
    (void)args;
    s->state = SMTP_CLOSED;
    reply(s, "221 2.0.0 Bye");
}

#define BEFORE_MAIL (SMTP_CONNECTED | SMTP_GREETED)

static const struct command {
    const char *name;
    const char *lower;          /* in the "disconnect" line */
    unsigned allowed;           /* states it may be given in */
    unsigned flags;
    const char *out_of_order;   /* else this is the reply */
    void (*run)(struct smtpd *s, struct span args);
} commands[] = {
    { "HELO",     "helo",     SMTP_ANY,             JUNK | NO_TLS_OK,    "",               cmd_helo     },
    { "EHLO",     "ehlo",     SMTP_ANY,             JUNK | NO_TLS_OK,    "",               cmd_ehlo     },
    { "LHLO",     "lhlo",     SMTP_ANY,             JUNK | NO_TLS_OK,    "",               cmd_lhlo     },
    { "STARTTLS", "starttls", BEFORE_MAIL,          NO_ARGS | NO_TLS_OK | FILTERED | HIDEABLE, "MAIL transaction in progress",
      cmd_starttls },
    { "AUTH",     "auth",     BEFORE_MAIL,          FILTERED | HIDEABLE,            "MAIL transaction in progress", cmd_auth },
    { "MAIL",     "mail",     BEFORE_MAIL,          0,                   "nested MAIL command", cmd_mail },
    { "RCPT",     "rcpt",     SMTP_MAIL | SMTP_RCPT, 0,                  "need MAIL command", cmd_rcpt  },
    { "DATA",     "data",     SMTP_MAIL | SMTP_RCPT, NO_ARGS,            "need RCPT command", cmd_data  },
    { "BDAT",     "bdat",     SMTP_ANY,             0,                   "",               cmd_bdat     },
    { "ETRN",     "etrn",     BEFORE_MAIL,          JUNK | FILTERED | HIDEABLE,     "MAIL transaction in progress", cmd_etrn },
    { "XCLIENT",  "xclient",  BEFORE_MAIL,          0,                   "MAIL transaction in progress", cmd_xclient },
    { "XFORWARD", "xforward", BEFORE_MAIL,          0,                   "MAIL transaction in progress", cmd_xforward },
    { "RSET",     "rset",     SMTP_ANY,             NO_ARGS | JUNK,      "",               cmd_rset     },
    { "NOOP",     "noop",     SMTP_ANY,             JUNK | NO_TLS_OK,    "",               cmd_noop     },
    { "VRFY",     "vrfy",     SMTP_ANY,             JUNK | FILTERED | HIDEABLE,     "",               cmd_vrfy     },
    { "QUIT",     "quit",     SMTP_ANY,             NO_ARGS | NO_TLS_OK, "",               cmd_quit     },
};
_Static_assert(ARRAY_LEN(commands) <= COMMANDS_MAX, "struct smtpd counts them");

#define UNKNOWN COMMANDS_MAX /* the place in smtpd.counts of all other commands */

static const struct command *command_find(struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (span_eq_nocase_str(name, commands[i].name))
            return &commands[i];
    return NULL;
}

/* A browser or a proxy was pointed at us (smtpd_forbidden_commands): it would read our replies as its own */
static bool is_forbidden(const struct smtpd *s, struct span name)
{
    struct span list = span_of(s->sv->params->smtpd_forbidden_commands);
    struct span word;

    while (span_word(&list, ", \t\r\n", &word))
        if (span_eq_nocase(word, name))
            return true;
    return false;
}

static void run_unknown(struct smtpd *s, struct span name, struct span line)
{
    _cleanup_(str_free) struct str shown = STR_INIT;

    s->where = "UNKNOWN";
    s->counts[UNKNOWN].total++;
    if (!is_forbidden(s, name)) {
        if (filter_unknown(s, line) == VERDICT_REFUSED)
            return;
        reply(s, name.len == 0 ? "500 5.5.2 Error: bad syntax" : "500 5.5.2 Error: command not recognized");
        return;
    }
    show(&shown, line);
    log_warn("non-SMTP command from %s: %s", s->namaddr, str_cstr(&shown));
    reply(s, "221 2.7.0 Error: I can break rules, too. Goodbye.");
    s->state = SMTP_CLOSED;
}

/* The checks that the table's columns ask for; false: answered with a refusal */
static bool may_run(struct smtpd *s, const struct command *cmd, struct span args)
{
    if (s->denied && cmd->run != cmd_quit) {
        reply(s, "503 5.7.0 Error: access denied for %s", s->namaddr);
        return false;
    }
    if (s->sv->tls_level == TLS_LEVEL_ENCRYPT && s->tls_info.len == 0 && !(cmd->flags & NO_TLS_OK)) {
        reply(s, "530 5.7.0 Must issue a STARTTLS command first");
        return false;
    }
    if ((cmd->flags & HIDEABLE) && ehlo_hides(s, cmd->name)) {
        reply(s, "502 5.5.1 Error: command not implemented");
        return false;
    }
    if (!(cmd->allowed & s->state)) {
        reply(s, "503 5.5.1 Error: %s", cmd->out_of_order);
        return false;
    }
    if ((cmd->flags & NO_ARGS) && args.len > 0) {
        reply(s, "501 5.5.4 Syntax: %s", cmd->name);
        return false;
    }
    if ((cmd->flags & FILTERED) && filter_other(s) == VERDICT_REFUSED)
        return false;
    if ((cmd->flags & JUNK) && s->junk++ >= (uint64_t)s->sv->params->smtpd_junk_command_limit)
        s->errors++;
    return true;
}

void command_run(struct smtpd *s, struct span line)
{
    struct span text = span_trim(line);
    struct span args = text;
    struct span name = span_cut_any(&args, " \t");
    const struct command *cmd = command_find(name);

    if (!cmd) {
        run_unknown(s, name, text);
        return;
    }

    size_t row = (size_t)(cmd - commands);
    uint64_t errors = s->errors;

    s->where = cmd->name;
    s->counts[row].total++;
    if (may_run(s, cmd, args)) {
        errors = s->errors;
        cmd->run(s, args);
    }
    if (s->errors <= errors) /* an accepted message has set it to 0 */
        s->counts[row].ok++;
}

static void add_count(struct str *ret, const char *name, uint64_t ok, uint64_t total)
{
    str_addf(ret, " %s=%llu", name, (unsigned long long)ok);
    if (ok != total)
        str_addf(ret, "/%llu", (unsigned long long)total);
}

void command_counts(const struct smtpd *s, struct str *ret)
{
    uint64_t ok = 0, total = 0;

    for (size_t i = 0; i <= COMMANDS_MAX; i++) {
        if (s->counts[i].total == 0)
            continue;
        add_count(ret, i == UNKNOWN ? "unknown" : commands[i].lower, s->counts[i].ok, s->counts[i].total);
        ok += s->counts[i].ok;
        total += s->counts[i].total;
    }
    add_count(ret, "commands", ok, total);
}
