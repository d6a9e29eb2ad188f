/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upgrade.c - weak password hashes are replaced when their users sign in
 *
 * A stolen file of MD5 hashes is a file of passwords; only at sign-in is the password there to make a better hash
 * of. auth may write no file but those below auth_upgrade_directory, which the administrator makes for this.
 * The file is changed as postuser changes it: under the same lock, whole, flushed, renamed.
 *
 * Runs in: auth; what is written is a hash, and the line of a user who was found in the file.
 */
#include <errno.h>
#include <unistd.h>

#include "auth/auth.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/line_file.h"
#include "sasl/password.h"

/* Does the path lie in that directory itself? */
static bool lies_in(const char *path, const char *directory)
{
    struct span dir = span_of(directory), rest = span_of(path);

    while (dir.len > 1 && dir.ptr[dir.len - 1] == '/')
        dir.len--;
    if (!span_starts(rest, dir))
        return false;
    rest = span_from(rest, dir.len);
    return rest.len > 1 && rest.ptr[0] == '/' && span_rchr(rest, '/') == 0;
}

int upgrade_prepare(const struct params *p, struct str *err)
{
    _cleanup_(str_free) struct str hash = STR_INIT;
    _cleanup_free_ char *path = maps_path(p->auth_users, "passwd-file");

    if (password_hash(p->auth_password_scheme, span_of("x"), &hash) < 0)
        return conf_refuse("auth_password_scheme", span_of(p->auth_password_scheme), PASSWORD_SCHEMES, err);
    if (!*p->auth_upgrade_directory || (path && lies_in(path, p->auth_upgrade_directory)))
        return 0;
    return conf_refuse("auth_upgrade_directory", span_of(p->auth_upgrade_directory),
                       "the directory of the passwd-file in auth_users", err);
}

struct upgrade {
    const struct params *params;
    struct span user, stored, password;
};

/* In the file as it is now: what is stored may have changed since it was looked up. */
static int change_line(const struct upgrade *u, struct line_file *f)
{
    _cleanup_(str_free) struct str line = STR_INIT;
    struct span rest;
    int r = line_file_read(f);

    if (r < 0)
        return r;
    if (!line_file_get(f, u->user, &rest))
        return -ENOENT;
    if (!span_eq(span_cut(&rest, ':'), u->stored))
        return -ESTALE;
    r = password_hash(u->params->auth_password_scheme, u->password, &line);
    if (r < 0)
        return r;
    str_add_char(&line, ':');
    str_add(&line, rest);
    line_file_set(f, u->user, str_span(&line));
    return line_file_write(f, (gid_t)-1, 0600);
}

static int run_upgrade(void *arg)
{
    const struct upgrade *u = arg;
    _cleanup_free_ char *path = maps_path(u->params->auth_users, "passwd-file");
    struct line_file f = { path, ':', STR_INIT };
    _cleanup_close_ int lock = line_file_lock(&f);
    int r = lock < 0 ? lock : change_line(u, &f);

    str_free(&f.text);
    return r;
}

void account_upgrade(struct auth *a, const struct account *acc, struct span password)
{
    struct upgrade u = { a->params, str_span(&acc->name), acc->stored, password };

    if (!*a->params->auth_upgrade_directory || !password_is_weak(acc->stored))
        return;
    int r = offload(run_upgrade, &u);
    if (r < 0)
        log_warn_errno(r, "%s: stored password cannot be upgraded", acc->name.data);
    else
        log_info("%s: stored password upgraded to %s", acc->name.data, a->params->auth_password_scheme);
}
