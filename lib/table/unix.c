/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unix.c - unix:passwd.byname and unix:group.byname: the system's accounts as a table
 *
 * The answer is the line as passwd(5) and group(5) show it. NSS may ask a directory
 * over the network, so the call is made by a helper thread.
 *
 * Runs in: programs that may use NSS (local, proxymap); keys are hostile.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>

#include "base/mem.h"
#include "base/own.h"
#include "io/fiber.h"
#include "table/type.h"

enum {
    NSS_BUFFER_FIRST = 4096,
    NSS_BUFFER_MAX = 1 << 20,       /* a group may have many members */
};

struct account_query {
    char *name;
    struct str *value;
    char *buffer;
    size_t size;
};

static void str_add_id(struct str *s, uint64_t id)
{
    str_add_char(s, ':');
    str_add_u64(s, id);
}

static int passwd_once(struct account_query *q)
{
    struct passwd pw, *found = NULL;
    int r = getpwnam_r(q->name, &pw, q->buffer, q->size, &found);

    if (r != 0 || !found)
        return -r;
    str_addf(q->value, "%s:%s", pw.pw_name, pw.pw_passwd ? pw.pw_passwd : "");
    str_add_id(q->value, pw.pw_uid);
    str_add_id(q->value, pw.pw_gid);
    str_addf(q->value, ":%s:%s:%s", pw.pw_gecos ? pw.pw_gecos : "", pw.pw_dir ? pw.pw_dir : "",
             pw.pw_shell ? pw.pw_shell : "");
    return 1;
}

static int group_once(struct account_query *q)
{
    struct group gr, *found = NULL;
    int r = getgrnam_r(q->name, &gr, q->buffer, q->size, &found);

    if (r != 0 || !found)
        return -r;
    str_addf(q->value, "%s:%s", gr.gr_name, gr.gr_passwd ? gr.gr_passwd : "");
    str_add_id(q->value, gr.gr_gid);
    str_add_char(q->value, ':');
    for (char **member = gr.gr_mem; member && *member; member++)
        str_addf(q->value, "%s%s", member == gr.gr_mem ? "" : ",", *member);
    return 1;
}

/* Some systems answer these for "no such account", see getpwnam(3). */
static bool means_not_found(int r)
{
    return r == -ENOENT || r == -ESRCH || r == -EBADF || r == -EPERM;
}

static int with_buffer(struct account_query *q, int (*once)(struct account_query *q))
{
    for (q->size = NSS_BUFFER_FIRST; q->size <= NSS_BUFFER_MAX; q->size *= 4) {
        q->buffer = mem_realloc(q->buffer, q->size, 1);
        int r = once(q);

        if (r != -ERANGE)
            return means_not_found(r) ? 0 : r;
    }
    return -ERANGE;
}

static int passwd_query(void *arg)
{
    return with_buffer(arg, passwd_once);
}

static int group_query(void *arg)
{
    return with_buffer(arg, group_once);
}

static const struct account_table {
    struct span name;
    int (*query)(void *arg);
} account_tables[] = {
    { SPAN("passwd.byname"), passwd_query },
    { SPAN("group.byname"),  group_query  },
};

int unix_open(const struct table_opening *o, void **ret)
{
    for (size_t i = 0; i < ARRAY_LEN(account_tables); i++) {
        if (span_eq_str(account_tables[i].name, o->name)) {
            *ret = (void *)&account_tables[i];
            return 0;
        }
    }
    str_addf(o->err, "unknown table \"unix:%s\": expected unix:passwd.byname or unix:group.byname",
             o->name);
    return -EINVAL;
}

int unix_get(void *impl, struct span key, struct str *value)
{
    const struct account_table *t = impl;

    if (memchr(key.ptr, '\0', key.len))
        return 0;
    _cleanup_free_ char *name = mem_dup_span(key);
    struct account_query q = { .name = name, .value = value };
    int r = offload(t->query, &q);

    free(q.buffer);
    return r;
}

void unix_close(void *impl)
{
    (void)impl;                     /* a row of a constant table */
}
