/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sendmail_options.h - the command line of sendmail(1)
 */
#ifndef CLI_SENDMAIL_OPTIONS_H
#define CLI_SENDMAIL_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum sendmail_mode {
    SENDMAIL_SUBMIT,  /* -bm, the default: a message from standard input */
    SENDMAIL_SMTP,    /* -bs */
    SENDMAIL_LIST,    /* -bp, mailq */
    SENDMAIL_FLUSH,   /* -q, -qIid, -qRsite */
    SENDMAIL_ALIASES, /* -bi, -I, newaliases */
    SENDMAIL_START,   /* -bd, -bl */
};

struct sendmail_options {
    enum sendmail_mode mode;
    const char *config_dir; /* -C; NULL: as for every tool */
    const char *sender;     /* -f, -r; NULL: the user */
    const char *full_name;  /* -F; NULL: from the environment or the password file */
    const char *envid;      /* -V */
    const char *flush_id, *flush_site;
    uint32_t dsn_notify;     /* -N: enum dsn_notify */
    uint32_t dsn_ret;        /* -R: enum dsn_ret */
    bool extract;            /* -t */
    bool ignore_dots;        /* -i, -oi */
    bool smtputf8;           /* -O smtputf8=yes */
    bool verbose;            /* -v */
    char *const *recipients; /* what follows the options, NULL-terminated */
};

/* Parse the arguments; argv[0] decides about mailq and newaliases. 0, or -EINVAL with *err for the
 * user. */
int sendmail_options_parse(int argc, char **argv, struct sendmail_options *ret, struct str *err);

#endif
