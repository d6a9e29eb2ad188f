/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postconf.h - what the files of postconf share
 */
#ifndef CLI_POSTCONF_H
#define CLI_POSTCONF_H

#include <stdbool.h>

#include "conf/conf.h"

enum postconf_subject {
    ABOUT_MAIN,             /* -p, the default */
    ABOUT_ENTRIES,          /* -M */
    ABOUT_FIELDS,           /* -F */
    ABOUT_OPTIONS,          /* -P */
    ABOUT_TABLE_TYPES,      /* -m */
    ABOUT_LOCKS,            /* -l */
    ABOUT_RESTRICTIONS,     /* -R */
    ABOUT_SASL_SERVER,      /* -a */
    ABOUT_SASL_CLIENT,      /* -A */
    ABOUT_NOTICES,          /* -b */
    ABOUT_TEMPLATES,        /* -t */
};

enum postconf_action { SHOW, SHOW_SET, SHOW_DEFAULTS, EDIT_SET, EDIT_COMMENT, EDIT_REMOVE };

struct postconf {
    enum postconf_subject subject;
    enum postconf_action action;
    bool fold;              /* -f */
    bool hide_names;        /* -h */
    bool hide_values;       /* -H */
    bool expand;            /* -x */
    bool json;              /* -j */
    bool quiet;             /* -q */
    const char *config_dir; /* NULL: $MAIL_CONFIG or the built-in one */
    const char **overrides; /* -o */
    size_t n_overrides;
    char **operands;
    size_t n_operands;
    struct conf *conf;      /* set by postconf_load() */
};

static inline bool postconf_is_edit(const struct postconf *p)
{
    return p->action == EDIT_SET || p->action == EDIT_COMMENT || p->action == EDIT_REMOVE;
}

/* Read main.cf and apply -o; fatal on failure. */
void postconf_load(struct postconf *p);

/* ---- main.cf (postconf_main.c), master.cf (postconf_master.c) ---- */
int postconf_main_show(struct postconf *p);
int postconf_main_edit(struct postconf *p);
int postconf_master_show(struct postconf *p);
int postconf_master_edit(struct postconf *p);

/* ---- texts of notifications (postconf_templates.c) ---- */
int postconf_templates_show(struct postconf *p);

/* ---- printing (postconf_print.c) ---- */

/* "name = value" as the options say: white space in value becomes one blank. */
void postconf_print(const struct postconf *p, const char *name, struct span value);
/* A value with its $names expanded if -x asks for it, else as it is. */
void postconf_value(const struct postconf *p, const char *raw, struct str *ret);

/* ---- warnings (postconf_check.c) ---- */

/* Is this a name that the suite knows, or that belongs to a service of master.cf
 * ("relay_..._limit"), or that the configuration itself refers to? */
struct postconf_names;
struct postconf_names *postconf_names_new(struct postconf *p);
void postconf_names_free(struct postconf_names *n);
DEFINE_CLEANUP(struct postconf_names, postconf_names_free);
bool postconf_is_known(const struct postconf_names *n, const char *name);

/* Say on stderr which settings nobody reads and which $names have no value. */
void postconf_warn_unused(struct postconf *p, const struct postconf_names *n);

#endif
