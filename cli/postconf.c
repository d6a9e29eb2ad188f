/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postconf.c - show and change main.cf and master.cf
 *
 * Options and output formats are those of Postfix's postconf(1), which installers,
 * configuration management and monitoring parse. Options come before operands.
 *
 * Runs in: a terminal or a script; needs no rights but those of the files.
 */
#include "cli/postconf.h"

#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "smtpd/restrict_list.h"
#include "table/table.h"

static const char usage[] =
    "usage: postconf [-a (server SASL types)] [-A (client SASL types)] [-b (texts of notifications)] [-c config_dir] "
    "[-d (parameter defaults)] [-e (edit configuration)] [-f (fold lines)] [-F (master.cf fields)] "
    "[-h (no names)] [-H (no values)] [-j (JSON)] [-l (lock types)] [-m (map types)] "
    "[-M (master.cf)] [-n (non-default parameters)] [-o name=value (override parameter value)] "
    "[-p (main.cf, default)] "
    "[-P (master.cf parameters)] [-q (no warnings)] [-R (access restrictions)] [-t (templates)] [-v (verbose)] [-x (expand parameter values)] "
    "[-X (exclude)] [-# (comment-out)] [name...]";

static const struct subject_option {
    char letter;
    enum postconf_subject subject;
} subject_options[] = {
    { 'p', ABOUT_MAIN        },
    { 'M', ABOUT_ENTRIES     },
    { 'F', ABOUT_FIELDS      },
    { 'P', ABOUT_OPTIONS     },
    { 'm', ABOUT_TABLE_TYPES },
    { 'l', ABOUT_LOCKS       },
    { 'R', ABOUT_RESTRICTIONS },
    { 'a', ABOUT_SASL_SERVER },
    { 'A', ABOUT_SASL_CLIENT },
    { 'b', ABOUT_NOTICES     },
    { 't', ABOUT_TEMPLATES   },
};

static const struct action_option {
    char letter;
    enum postconf_action action;
} action_options[] = {
    { 'n', SHOW_SET      },
    { 'd', SHOW_DEFAULTS },
    { 'e', EDIT_SET      },
    { '#', EDIT_COMMENT  },
    { 'X', EDIT_REMOVE   },
};

void postconf_load(struct postconf *p)
{
    _cleanup_(str_free) struct str err = STR_INIT;

    /* The defaults can be shown before there is a main.cf. */
    if (p->action == SHOW_DEFAULTS)
        p->conf = conf_new(p->config_dir);
    else if (conf_load(p->config_dir, &p->conf, &err) < 0)
        log_fatal("%s", str_cstr(&err));
    for (size_t i = 0; i < p->n_overrides; i++)
        if (conf_override(p->conf, span_of(p->overrides[i]), &err) < 0)
            log_fatal("%s", str_cstr(&err));
}

/* ---- options ---- */

static bool set_subject(struct postconf *p, int letter)
{
    for (size_t i = 0; i < ARRAY_LEN(subject_options); i++) {
        if (subject_options[i].letter != letter)
            continue;
        if (p->subject != ABOUT_MAIN && p->subject != subject_options[i].subject)
            log_fatal("specify one of -a, -A, -b, -F, -l, -m, -M, -p, -P, -R and -t");
        p->subject = subject_options[i].subject;
        return true;
    }
    return false;
}

static bool set_action(struct postconf *p, int letter)
{
    for (size_t i = 0; i < ARRAY_LEN(action_options); i++) {
        if (action_options[i].letter != letter)
            continue;
        if (p->action != SHOW && p->action != action_options[i].action)
            log_fatal("specify one of -d, -e, -n, -X and -#");
        p->action = action_options[i].action;
        return true;
    }
    return false;
}

static void add_override(struct postconf *p, const char *setting)
{
    p->overrides = mem_realloc(p->overrides, p->n_overrides + 1, sizeof *p->overrides);
    p->overrides[p->n_overrides++] = setting;
}

static void parse_options(struct postconf *p, int argc, char **argv)
{
    int c;

    while ((c = getopt(argc, argv, "+aAbc:deFfhHjlmMno:pPqRtvxX#")) != -1) {
        if (set_subject(p, c) || set_action(p, c))
            continue;
        switch (c) {
        case 'c': p->config_dir = optarg; break;
        case 'f': p->fold = true; break;
        case 'h': p->hide_names = true; break;
        case 'H': p->hide_values = true; break;
        case 'j': p->json = true; break;
        case 'o': add_override(p, optarg); break;
        case 'q': p->quiet = true; break;
        case 'x': p->expand = true; break;
        case 'v': log_set_verbose(1); break;
        default: log_fatal("%s", usage);
        }
    }
    p->operands = argv + optind;
    p->n_operands = (size_t)(argc - optind);
}

/* An operand "name=value" asks for a change, with or without -e. */
static void imply_edit(struct postconf *p)
{
    if (p->subject > ABOUT_OPTIONS || p->action != SHOW)
        return;
    for (size_t i = 0; i < p->n_operands; i++)
        if (strchr(p->operands[i], '='))
            p->action = EDIT_SET;
}

/* ---- dispatch ---- */

static int print_names(const char *const *names)
{
    for (; *names; names++)
        puts(*names);
    return 0;
}

/* What smtpd_*_restrictions may hold, each with the argument it wants */
static int print_restrictions(void)
{
    for (size_t i = 0; i < ARRAY_LEN(restriction_rows); i++)
        printf("%s%s%s\n", restriction_rows[i].name, *restriction_rows[i].argument ? " " : "",
               restriction_rows[i].argument);
    return 0;
}

static int run(struct postconf *p)
{
    static const char *const locks[] = { "flock", NULL };
    static const char *const sasl_servers[] = { "postern", NULL };
    static const char *const none[] = { NULL };

    switch (p->subject) {
    case ABOUT_MAIN:
        return postconf_is_edit(p) ? postconf_main_edit(p) : postconf_main_show(p);
    case ABOUT_ENTRIES:
    case ABOUT_FIELDS:
    case ABOUT_OPTIONS:
        return postconf_is_edit(p) ? postconf_master_edit(p) : postconf_master_show(p);
    case ABOUT_TABLE_TYPES:
        return print_names(table_types());
    case ABOUT_RESTRICTIONS:
        return print_restrictions();
    case ABOUT_LOCKS:
        return print_names(locks);
    case ABOUT_SASL_SERVER:
        return print_names(sasl_servers);
    case ABOUT_SASL_CLIENT:
        return print_names(none);
    case ABOUT_NOTICES:
    case ABOUT_TEMPLATES:
        return postconf_templates_show(p);
    }
    return 1;
}

int main(int argc, char **argv)
{
    struct postconf p = { .subject = ABOUT_MAIN, .action = SHOW };

    log_to_stderr("postconf");
    parse_options(&p, argc, argv);
    imply_edit(&p);
    if (p.config_dir)
        setenv("MAIL_CONFIG", p.config_dir, 1);
    int status = run(&p);

    conf_free(p.conf);
    free(p.overrides);
    if (fflush(stdout) != 0)
        log_fatal("cannot write to standard output: %m");
    return status;
}
