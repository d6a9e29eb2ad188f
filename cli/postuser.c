/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postuser.c - mailbox users: add, passwd, list, delete
 *
 * Keeps two files in step: the credentials (auth_users, a passwd-file that only auth
 * reads) and the mailbox of each address (the first texthash of
 * virtual_mailbox_maps). A password is read from the terminal without echo, or, when
 * standard input is none, from its first line.
 *
 * Runs as: root, or the owner of a single-user instance.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sysexits.h>
#include <termios.h>

#include "base/chars.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/line_file.h"
#include "conf/conf.h"
#include "mail/address.h"
#include "sasl/password.h"
#include "table/table.h"

enum { PASSWORD_MIN = 1, PASSWORD_LINE_MAX = 512 };

struct postuser {
    struct conf *conf;
    struct params *params;
    char *users_path, *mailbox_path;
    struct line_file users, mailboxes;
};

/* ---- files ---- */

static void postuser_done(struct postuser *u)
{
    str_free(&u->users.text);
    str_free(&u->mailboxes.text);
    free(u->users_path);
    free(u->mailbox_path);
    params_free(u->params);
    conf_free(u->conf);
}

static void load(struct postuser *u, const char *config_dir)
{
    _cleanup_(str_free) struct str err = STR_INIT;

    if (conf_load(config_dir, &u->conf, &err) < 0 || conf_params(u->conf, &u->params, &err) < 0)
        log_fatal("%s", str_cstr(&err));
    u->users_path = maps_path(u->params->auth_users, "passwd-file");
    u->mailbox_path = maps_path(u->params->virtual_mailbox_maps, "texthash");
    if (!u->users_path)
        log_fatal("auth_users = %s: expected passwd-file:FILE", u->params->auth_users);
    if (!u->mailbox_path)
        log_fatal("virtual_mailbox_maps = %s: expected texthash:FILE among its tables",
                  u->params->virtual_mailbox_maps);
    u->users = (struct line_file){ u->users_path, ':', STR_INIT };
    u->mailboxes = (struct line_file){ u->mailbox_path, ' ', STR_INIT };
}

/* One change at a time: the lock goes with the process. */
static void lock(const struct postuser *u)
{
    int fd = line_file_lock(&u->users);

    if (fd < 0)
        log_fatal("cannot lock %s.lock: %s", u->users_path, strerror(-fd));
}

static void read_files(struct postuser *u)
{
    struct line_file *files[] = { &u->users, &u->mailboxes };

    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        int r = line_file_read(files[i]);
        if (r < 0)
            log_fatal("cannot read %s: %s", files[i]->path, strerror(-r));
    }
}

static void write_file(const struct line_file *f, gid_t group, mode_t mode)
{
    int r = line_file_write(f, group, mode);

    if (r < 0)
        log_fatal("cannot write %s: %s", f->path, strerror(-r));
}

static void write_users(const struct postuser *u)
{
    struct passwd *auth = getpwnam(u->params->auth_owner);

    write_file(&u->users, auth ? auth->pw_gid : (gid_t)-1, auth ? 0640 : 0600);
}

/* ---- passwords ---- */

static void read_line(struct str *ret)
{
    char c;

    str_reset(ret);
    while (ret->len < PASSWORD_LINE_MAX && read(STDIN_FILENO, &c, 1) == 1 && c != '\n')
        str_add_char(ret, c);
    if (ret->len > 0 && ret->data[ret->len - 1] == '\r')
        str_truncate(ret, ret->len - 1);
}

static void ask(const char *prompt, struct str *ret)
{
    struct termios old, quiet;
    bool terminal = tcgetattr(STDIN_FILENO, &old) == 0;

    if (terminal) {
        quiet = old;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        fprintf(stderr, "%s", prompt);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    }
    read_line(ret);
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
        fprintf(stderr, "\n");
    }
}

static void new_hash(const struct postuser *u, struct str *ret)
{
    _cleanup_(str_free) struct str password = STR_INIT, again = STR_INIT;

    ask("New password: ", &password);
    if (isatty(STDIN_FILENO)) {
        ask("Again: ", &again);
        if (!span_eq(str_span(&password), str_span(&again)))
            log_fatal("the passwords differ");
    }
    if (password.len < PASSWORD_MIN)
        log_fatal("empty password: expected one on the terminal or as the first line of standard input");
    int r = password_hash(u->params->auth_password_scheme, str_span(&password), ret);
    if (r == -ENOTSUP)
        log_fatal("bad value for parameter auth_password_scheme: \"%s\": expected " PASSWORD_SCHEMES,
                  u->params->auth_password_scheme);
    if (r < 0)
        log_fatal("password not usable: expected at most %d bytes without NUL", PASSWORD_LINE_MAX);
}

/* ---- commands ---- */

/* user@domain in lower case, fit for a path and a colon-separated line */
static void check_address(struct postuser *u, const char *arg, struct str *ret)
{
    str_add_lower(ret, span_of(arg));
    struct span local = address_local(str_span(ret)), domain = address_domain(str_span(ret));
    bool good = local.len > 0 && local.ptr[0] != '.' && address_domain_valid(domain);

    for (size_t i = 0; i < local.len; i++)
        good = good && (char_is(local.ptr[i], CHAR_ALNUM) || strchr("._-+=", local.ptr[i]));
    if (!good)
        log_fatal("\"%s\": expected user@domain with letters, digits and . _ - + = in user", arg);
    _cleanup_(match_list_free_ptr_) struct match_list *domains = NULL;
    _cleanup_(str_free) struct str err = STR_INIT;
    if (match_list_open(u->params->virtual_mailbox_domains, MATCH_DOMAIN, &domains, &err) < 0)
        log_fatal("%s", str_cstr(&err));
    if (match_list_has(domains, domain) <= 0)
        log_fatal("domain " SPAN_FMT " is not hosted here: add it to virtual_mailbox_domains", SPAN_ARG(domain));
}

static int cmd_add(struct postuser *u, const char *arg)
{
    _cleanup_(str_free) struct str address = STR_INIT, hash = STR_INIT, path = STR_INIT;
    struct span old;

    check_address(u, arg, &address);
    lock(u);
    read_files(u);
    if (line_file_get(&u->users, str_span(&address), &old))
        log_fatal("user %s exists already", str_cstr(&address));
    new_hash(u, &hash);
    str_add_str(&hash, "::::::");
    struct span domain = address_domain(str_span(&address)), local = address_local(str_span(&address));
    str_addf(&path, SPAN_FMT "/" SPAN_FMT "/", SPAN_ARG(domain), SPAN_ARG(local));
    /* The mailbox first: an address without credentials is harmless, the reverse is not. */
    if (!line_file_get(&u->mailboxes, str_span(&address), &old)) {
        line_file_set(&u->mailboxes, str_span(&address), str_span(&path));
        write_file(&u->mailboxes, (gid_t)-1, 0644);
    }
    line_file_set(&u->users, str_span(&address), str_span(&hash));
    write_users(u);
    return EX_OK;
}

static int cmd_passwd(struct postuser *u, const char *arg)
{
    _cleanup_(str_free) struct str address = STR_INIT, line = STR_INIT;
    struct span rest;

    str_add_lower(&address, span_of(arg));
    lock(u);
    read_files(u);
    if (!line_file_get(&u->users, str_span(&address), &rest))
        log_fatal("no user %s", str_cstr(&address));
    new_hash(u, &line);
    span_cut(&rest, ':');
    str_add_char(&line, ':');
    str_add(&line, rest);
    line_file_set(&u->users, str_span(&address), str_span(&line));
    write_users(u);
    return EX_OK;
}

static int cmd_delete(struct postuser *u, const char *arg)
{
    _cleanup_(str_free) struct str address = STR_INIT;

    str_add_lower(&address, span_of(arg));
    lock(u);
    read_files(u);
    if (!line_file_remove(&u->users, str_span(&address)))
        log_fatal("no user %s", str_cstr(&address));
    write_users(u);
    if (line_file_remove(&u->mailboxes, str_span(&address)))
        write_file(&u->mailboxes, (gid_t)-1, 0644);
    fprintf(stderr, "postuser: %s deleted; its mail stays below %s\n", str_cstr(&address),
            u->params->virtual_mailbox_base);
    return EX_OK;
}

static void print_key(struct span key, void *arg)
{
    (void)arg;
    printf(SPAN_FMT "\n", SPAN_ARG(key));
}

static int cmd_list(struct postuser *u, const char *arg)
{
    (void)arg;
    read_files(u);
    line_file_keys(&u->users, print_key, NULL);
    return EX_OK;
}

static const struct {
    const char *name;
    bool takes_user;
    int (*run)(struct postuser *u, const char *arg);
} commands[] = {
    { "add", true, cmd_add },
    { "passwd", true, cmd_passwd },
    { "delete", true, cmd_delete },
    { "list", false, cmd_list },
};

static int usage(void)
{
    fprintf(stderr, "usage: postuser [-c config_dir] add|passwd|delete user@domain\n"
                    "       postuser [-c config_dir] list\n");
    return EX_USAGE;
}

int main(int argc, char **argv)
{
    _cleanup_(postuser_done) struct postuser u = { 0 };
    const char *config_dir = NULL;
    int opt;

    log_to_stderr("postuser");
    while ((opt = getopt(argc, argv, "c:")) != -1) {
        if (opt != 'c')
            return usage();
        config_dir = optarg;
    }
    for (size_t i = 0; optind < argc && i < ARRAY_LEN(commands); i++) {
        if (strcmp(argv[optind], commands[i].name) != 0)
            continue;
        if (argc - optind != (commands[i].takes_user ? 2 : 1))
            return usage();
        load(&u, config_dir);
        return commands[i].run(&u, argv[optind + 1]);
    }
    return usage();
}
