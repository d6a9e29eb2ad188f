/* SPDX-License-Identifier: Apache-2.0 */
/*
 * master_cf.h - master.cf: services in Postfix's eight columns, master(5)
 */
#ifndef CONF_MASTER_CF_H
#define CONF_MASTER_CF_H

#include "conf/conf.h"

enum service_type { SERVICE_INET, SERVICE_UNIX, SERVICE_FIFO, SERVICE_PASS, SERVICE_UNIX_DGRAM };

struct service {
    char *name;                 /* "smtp", "127.0.0.1:2525", "cleanup" */
    enum service_type type;
    bool is_private;            /* default y */
    bool unprivileged;          /* default y */
    bool chroot;                /* default n; y is refused with a warning at start: there is no chroot */
    int64_t wakeup;             /* seconds, 0 never */
    bool wakeup_if_used;        /* "?" */
    int64_t max_processes;      /* -1: default_process_limit; 0: no limit */
    char *program;              /* "smtpd" */
    char **argv;                /* all arguments after the program, NULL-terminated; braces removed */
    size_t argc;
    char **overrides;           /* the "name=value" of each -o, NULL-terminated */
    int line;                   /* where it starts */
};

struct master_cf {
    struct service *services;
    size_t len;
};

/* Parse the file's text (path is for messages). 0, or -EINVAL with *err naming file, line, cause. */
int master_cf_parse(struct span text, const char *path, struct master_cf *ret, struct str *err);
int master_cf_load(const char *config_directory, struct master_cf *ret, struct str *err);
void master_cf_done(struct master_cf *m);

#endif
