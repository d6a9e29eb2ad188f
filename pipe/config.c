/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.c - the arguments of a pipe service in master.cf
 *
 * What is not understood stops the service, which then defers: a command run with half of its settings could lose
 * mail. chroot= is refused, since this process has no right to do it.
 *
 * Runs in: pipe, at start, privileged, on the administrator's text.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>

#include "base/mem.h"
#include "pipe/pipe.h"

static const struct {
    char letter;
    unsigned flag;
} flags[] = {
    { 'B', PIPE_BLANK_LINE }, { 'D', PIPE_DELIVERED_TO }, { 'F', PIPE_FROM_LINE }, { 'O', PIPE_ORIGINAL_TO },
    { 'R', PIPE_RETURN_PATH }, { 'X', PIPE_FINAL }, { 'h', PIPE_FOLD_DOMAIN }, { 'u', PIPE_FOLD_USER },
    { 'q', PIPE_QUOTE }, { '.', PIPE_DOTS }, { '>', PIPE_FROM_QUOTE },
};

static int set_flags(struct pipe_config *c, const char *value, struct str *err)
{
    for (; *value; value++) {
        unsigned flag = 0;

        for (size_t i = 0; i < ARRAY_LEN(flags); i++)
            if (flags[i].letter == *value)
                flag = flags[i].flag;
        if (!flag) {
            str_addf(err, "flags=: unknown flag '%c': expected some of BDFORXhuq.>", *value);
            return -EINVAL;
        }
        c->flags |= flag;
    }
    return 0;
}

static int set_user(struct pipe_config *c, const char *value, struct str *err)
{
    (void)err;
    c->user = value;
    return 0;
}

static int set_directory(struct pipe_config *c, const char *value, struct str *err)
{
    (void)err;
    c->directory = value;
    return 0;
}

static int set_null_sender(struct pipe_config *c, const char *value, struct str *err)
{
    (void)err;
    c->null_sender = value;
    return 0;
}

static int set_size(struct pipe_config *c, const char *value, struct str *err)
{
    if (span_u64(span_of(value), INT64_MAX, &c->size) == 0)
        return 0;
    str_addf(err, "size=%s: expected a number of bytes", value);
    return -EINVAL;
}

/* "\r\n" as it is written: a backslash and a letter */
static int set_eol(struct pipe_config *c, const char *value, struct str *err)
{
    str_reset(&c->eol);
    for (; *value; value++) {
        if (*value != '\\') {
            str_add_char(&c->eol, *value);
            continue;
        }
        value++;
        if (*value != 'n' && *value != 'r') {
            str_add_str(err, "eol=: only \\n and \\r can follow a backslash");
            return -EINVAL;
        }
        str_add_char(&c->eol, *value == 'n' ? '\n' : '\r');
    }
    return 0;
}

static int refuse_chroot(struct pipe_config *c, const char *value, struct str *err)
{
    (void)c, (void)value;
    str_add_str(err, "chroot= is not supported: use directory=, or a command that confines itself");
    return -EINVAL;
}

static const struct {
    struct span name;
    int (*set)(struct pipe_config *c, const char *value, struct str *err);
} settings[] = {
    { SPAN("flags="), set_flags }, { SPAN("user="), set_user }, { SPAN("directory="), set_directory },
    { SPAN("null_sender="), set_null_sender }, { SPAN("size="), set_size }, { SPAN("eol="), set_eol },
    { SPAN("chroot="), refuse_chroot },
};

static int set(struct pipe_config *c, const char *arg, struct str *err)
{
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        if (span_starts(span_of(arg), settings[i].name))
            return settings[i].set(c, arg + settings[i].name.len, err);
    str_addf(err, "unknown attribute \"%s\": expected flags=, user=, directory=, null_sender=, size=, eol= or argv=",
             arg);
    return -EINVAL;
}

/* argv= begins the command; all that follows is its. */
static void take_command(struct pipe_config *c, const char *const *args)
{
    static const size_t skip = sizeof "argv=" - 1;
    size_t n = 0;

    while (args[n])
        n++;
    const char **argv = c->words = mem_calloc(n + 1, sizeof *argv);

    memcpy(argv, args, n * sizeof *argv);
    argv[0] += skip;
    c->argv = argv[0][0] ? argv : argv + 1;
}

void pipe_config_done(struct pipe_config *c)
{
    free(c->words);
    str_free(&c->eol);
    *c = (struct pipe_config){ 0 };
}

int pipe_config_parse(const char *const *args, struct pipe_config *ret, struct str *err)
{
    struct pipe_config c = { .null_sender = "MAILER-DAEMON" };

    str_add_str(&c.eol, "\n");
    for (; *args && !c.argv; args++) {
        int r = 0;

        if (span_starts(span_of(*args), span_of("argv=")))
            take_command(&c, args);
        else
            r = set(&c, *args, err);
        if (r < 0) {
            pipe_config_done(&c);
            return r;
        }
    }
    if (!c.user || !c.argv || !c.argv[0]) {
        str_add_str(err, "both user= and argv= are needed");
        pipe_config_done(&c);
        return -EINVAL;
    }
    *ret = c;
    return 0;
}

int pipe_config_user(struct pipe_config *c, const struct server *sv, struct str *err)
{
    struct span group = span_of(c->user), user = span_cut(&group, ':');
    _cleanup_free_ char *user_name = mem_dup_span(user), *group_name = mem_dup_span(group);
    const struct passwd *pw = getpwnam(user_name);

    if (!pw) {
        str_addf(err, "user=%s: unknown account", c->user);
        return -EINVAL;
    }
    c->uid = pw->pw_uid;
    c->gid = pw->pw_gid;
    if (group.len > 0) {
        const struct group *gr = getgrnam(group_name);

        if (!gr) {
            str_addf(err, "user=%s: unknown group", c->user);
            return -EINVAL;
        }
        c->gid = gr->gr_gid;
    }
    if (sv->single_user)
        return 0;
    if (c->uid == 0 || c->gid == 0 || strcmp(user_name, sv->params->mail_owner) == 0) {
        str_addf(err, "user=%s: commands are not run as root, nor as mail_owner", c->user);
        return -EINVAL;
    }
    return 0;
}
