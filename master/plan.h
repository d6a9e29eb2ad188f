/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h - master.cf made concrete: which services, on which sockets, with which programs
 *
 * Pure: nothing is opened. A reload makes a second plan, and what both have in
 * common is found by endpoint key ("inet 127.0.0.1 2525", "unix private/cleanup") and
 * by service name and type.
 */
#ifndef MASTER_PLAN_H
#define MASTER_PLAN_H

#include "conf/conf.h"
#include "conf/master_cf.h"
#include "io/socket.h"

struct endpoint {
    char *key;
    enum service_type type;
    union sockaddr_any addr;    /* inet */
    char *path;                 /* others: relative to queue_directory */
    bool optional;              /* the IPv6 wildcard: a host without IPv6 does without */
};

enum { ENDPOINTS_MAX = 32 };

struct planned {
    char *name;
    enum service_type type;
    bool is_private;
    char *program;
    char **args;                /* of master.cf, NULL-terminated */
    int64_t wakeup_s;           /* 0: never */
    bool wakeup_if_used;
    int64_t limit;              /* processes; 0: none */
    int line;                   /* in master.cf */
    struct endpoint *endpoints;
    size_t n_endpoints, cap_endpoints;
};

struct plan {
    struct planned *services;
    size_t len;
};

/*
 * Make the plan. notes gets a line for each thing that is accepted but means nothing here (chroot,
 * programs of Postfix that have no counterpart). 0, or -EINVAL with *err.
 */
int plan_make(const struct master_cf *cf, const struct params *params, const char *master_cf_path,
              struct plan *ret, struct str *notes, struct str *err);
void plan_done(struct plan *p);

/* The service of this name and type, or NULL. */
struct planned *plan_find(const struct plan *p, const char *name, enum service_type type);
/* Does any service of p have this endpoint? */
bool plan_has_endpoint(const struct plan *p, const char *key);

/* "inet", "unix", "fifo", "pass" */
const char *service_type_name(enum service_type type);

#endif
