/* SPDX-License-Identifier: Apache-2.0 */
/*
 * args.h - the command line that master gives a server: smtpd -n smtp -t inet -o name=value ... -v rest ...
 */
#ifndef DAEMON_ARGS_H
#define DAEMON_ARGS_H

#include "base/str.h"
#include "conf/conf.h"

enum { DAEMON_OVERRIDES_MAX = 200 };

struct daemon_args {
    const char *service;                            /* -n; required */
    const char *type;                               /* -t: "inet" (default), "unix", "fifo", "pass" */
    int verbose;                                    /* how many -v */
    struct span overrides[DAEMON_OVERRIDES_MAX];    /* "name=value" or "name = value" of each -o */
    size_t n_overrides;
    const char *const *rest;                        /* what follows the options, NULL-terminated */
};

/*
 * Everything points into argv. 0, or -EINVAL with one line in *err. Options end at the first
 * word that is none, or behind "--".
 */
int daemon_args_parse(char *const *argv, struct daemon_args *ret, struct str *err);

/* Set every override in c. 0 or -EINVAL with *err. */
int daemon_args_apply(const struct daemon_args *a, struct conf *c, struct str *err);

#endif
