/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_tool.c - build, ask and list lookup tables from the command line
 *
 * Options and output are those of Postfix's postmap(1) and postalias(1). Started as
 * root on a source that belongs to somebody else, it works as that user, who could
 * otherwise make root write elsewhere with a symbolic link (-o: stay root).
 *
 * Runs in: postmap, postalias, newaliases; as whoever calls it.
 */
#include "cli/map_tool.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "ipc/ipc.h"
#include "table/table.h"

enum { SOURCE_MAX = 256 << 20, KEY_LINE_MAX = 64 << 10 };

static void say_warning(const char *text)
{
    log_warn("%s", text);
}

static void say_build_warning(const char *text, void *arg)
{
    (void)arg;
    log_warn("%s", text);
}

/* ---- names ---- */

/* Read main.cf once, and only when something needs it: asking "hash:file" does not. */
static const struct conf *settings(const struct map_options *o)
{
    static struct conf *conf;       /* one per run of a tool */
    struct str err = STR_INIT;

    if (!conf && conf_load(o->config_dir, &conf, &err) < 0)
        log_fatal("%s", str_cstr(&err));
    return conf;
}

static void add_parameter(const struct conf *conf, const char *name, struct str *ret)
{
    struct str err = STR_INIT;

    if (conf_get(conf, name, ret, &err) < 0)
        log_fatal("%s", str_cstr(&err));
}

/* "file" becomes "hash:file"; for proxy: tables the queue directory, where the service is, is made
 * known. */
static void complete_name(const struct map_options *o, const char *operand, struct str *ret)
{
    str_reset(ret);
    if (!strchr(operand, ':')) {
        add_parameter(settings(o), "default_database_type", ret);
        str_add_char(ret, ':');
    }
    str_add_str(ret, operand);
    if (span_starts(str_span(ret), span_of("proxy:"))) {
        static struct str directory; /* for the rest of the run */

        str_reset(&directory);
        add_parameter(settings(o), "queue_directory", &directory);
        ipc_set_directory(str_cstr(&directory));
    }
}

/* ---- building ---- */

static void become_owner(const struct stat *st)
{
    gid_t group = st->st_gid;

    if (setgroups(1, &group) < 0 || setegid(st->st_gid) < 0 || seteuid(st->st_uid) < 0)
        log_fatal("cannot become the owner of the source: %s", strerror(errno));
}

static void become_root_again(void)
{
    if (seteuid(0) < 0 || setegid(0) < 0)
        log_fatal("cannot become root again: %s", strerror(errno));
}

static void read_all(int fd, const char *name, struct str *ret)
{
    for (;;) {
        str_reserve(ret, 65536);
        ssize_t n = read(fd, ret->data + ret->len, 65536);

        if (n < 0)
            log_fatal("read %s: %s", name, strerror(errno));
        if (n == 0)
            break;
        str_advance(ret, (size_t)n);
        if (ret->len > SOURCE_MAX)
            log_fatal("%s is larger than %d bytes", name, SOURCE_MAX);
    }
}

/* The source text; *ret_st tells its owner. */
static void read_source(const struct map_options *o, const char *path, struct str *ret,
                        struct stat *ret_st)
{
    _cleanup_close_ int fd = -1;

    if (o->from_stdin) {
        read_all(STDIN_FILENO, "standard input", ret);
        return;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, ret_st) < 0)
        log_fatal("open %s: %s", path, strerror(errno));
    read_all(fd, path, ret);
}

static void build(const struct map_tool *tool, const struct map_options *o, const char *operand)
{
    _cleanup_(str_free) struct str name = STR_INIT, source = STR_INIT, err = STR_INIT;
    struct stat st = { 0 };

    complete_name(o, operand, &name);
    read_source(o, strchr(str_cstr(&name), ':') + 1, &source, &st);
    bool other_owner = geteuid() == 0 && st.st_uid != 0 && !o->keep_root;

    if (other_owner)
        become_owner(&st);
    int r = table_build(str_span(&name), str_span(&source), tool->source, o->build_flags,
                        say_build_warning, NULL, &err);
    if (other_owner)
        become_root_again();
    if (r < 0)
        log_fatal("%s", str_cstr(&err));
}

void map_tool_build_list(const struct map_tool *tool, const struct map_options *o,
                         const struct conf *conf, const char *list)
{
    struct span rest = span_of(list), word;

    while (span_word(&rest, " \t\r\n,", &word)) {
        _cleanup_(str_free) struct str name = STR_INIT;

        if (span_chr(word, ':') < 0) {
            add_parameter(conf, "default_database_type", &name);
            str_add_char(&name, ':');
        }
        str_add(&name, word);
        build(tool, o, str_cstr(&name));
    }
}

/* ---- asking ---- */

/* Each key of standard input, or the one given. Returns how many times fn said yes. */
static size_t for_each_key(const char *key, bool (*fn)(struct span key, void *arg), void *arg)
{
    _cleanup_free_ char *line = NULL;
    size_t cap = 0, yes = 0;
    ssize_t n;

    if (strcmp(key, "-") != 0)
        return fn(span_of(key), arg);
    while ((n = getline(&line, &cap, stdin)) > 0) {
        struct span text = span_trim(span_make(line, (size_t)n));

        if (n > KEY_LINE_MAX)
            log_fatal("a key is longer than %d bytes", KEY_LINE_MAX);
        if (text.len > 0)
            yes += fn(text, arg);
    }
    return yes;
}

struct query {
    const struct map_tool *tool;
    const struct map_options *o;
    struct table **tables;
    size_t len;
    struct str value;
};

static int ask(struct query *q, struct table *t, struct span key)
{
    int r = q->o->build_flags & TABLE_BUILD_NO_FOLD ? table_get_exact(t, key, &q->value)
                                                    : table_get(t, key, &q->value);

    if (r < 0)
        log_fatal("table %s: query error: %s", table_name(t), strerror(-r));
    return r;
}

/* The value, with -F the text whose Base64 it is */
static void print_value(struct query *q)
{
    _cleanup_(secret_free) struct str text = STR_INIT;

    if (!(q->o->build_flags & TABLE_BUILD_FILES))
        printf("%s\n", str_cstr(&q->value));
    else if (str_add_unbase64(&text, str_span(&q->value)) == 0)
        fwrite(text.data, 1, text.len, stdout);
    else
        log_fatal("a value is not Base64; was the table made with -F?");
}

static bool query_key(struct span key, void *arg)
{
    struct query *q = arg;

    for (size_t i = 0; i < q->len; i++) {
        if (ask(q, q->tables[i], key) == 0)
            continue;
        if (strcmp(q->o->key, "-") == 0)
            printf(SPAN_FMT "%s", SPAN_ARG(key), q->tool->separator);
        print_value(q);
        return true;
    }
    return false;
}

static int query(const struct map_tool *tool, const struct map_options *o, char **operands,
                 size_t n)
{
    _cleanup_free_ struct table **tables = mem_new_n(struct table *, n);
    struct query q = { .tool = tool, .o = o, .tables = tables, .len = n };
    _cleanup_(str_free) struct str name = STR_INIT, err = STR_INIT;

    table_on_problem(say_warning);
    for (size_t i = 0; i < n; i++) {
        complete_name(o, operands[i], &name);
        if (table_open(str_span(&name), &tables[i], &err) < 0)
            log_fatal("%s", str_cstr(&err));
    }
    size_t found = for_each_key(o->key, query_key, &q);

    for (size_t i = 0; i < n; i++)
        table_free(tables[i]);
    str_free(&q.value);
    return found > 0 ? 0 : 1;
}

/* ---- deleting and listing ---- */

struct deletion {
    const struct map_options *o;
    char **operands;
    size_t len;
};

static bool delete_key(struct span key, void *arg)
{
    struct deletion *d = arg;
    _cleanup_(str_free) struct str name = STR_INIT, folded = STR_INIT, err = STR_INIT;
    bool deleted = false;

    if (d->o->build_flags & TABLE_BUILD_NO_FOLD)
        str_add(&folded, key);
    else
        str_add_lower(&folded, key);
    for (size_t i = 0; i < d->len; i++) {
        complete_name(d->o, d->operands[i], &name);
        int r = table_delete(str_span(&name), str_span(&folded), &err);

        if (r < 0)
            log_fatal("%s", str_cstr(&err));
        deleted |= r > 0;
    }
    return deleted;
}

static void print_pair(struct span key, struct span value, void *arg)
{
    const struct map_tool *tool = arg;

    fwrite(key.ptr, 1, key.len, stdout);
    fputs(tool->separator, stdout);
    fwrite(value.ptr, 1, value.len, stdout);
    putchar('\n');
}

static void list(const struct map_tool *tool, const struct map_options *o, const char *operand)
{
    _cleanup_(str_free) struct str name = STR_INIT, err = STR_INIT;

    complete_name(o, operand, &name);
    if (table_dump(str_span(&name), print_pair, (void *)tool, &err) < 0)
        log_fatal("%s", str_cstr(&err));
}

/* ---- the command line ---- */

static void set_action(struct map_options *o, const struct map_tool *tool, enum map_action action,
                       const char *key)
{
    if (o->action != MAP_BUILD)
        log_fatal("%s", tool->usage);
    o->action = action;
    o->key = key;
}

static void parse_options(const struct map_tool *tool, int argc, char **argv, struct map_options *o)
{
    int c;

    while ((c = getopt(argc, argv, "c:d:fFiNopq:rsuUvw")) != -1) {
        switch (c) {
        case 'c': o->config_dir = optarg; break;
        case 'd': set_action(o, tool, MAP_DELETE, optarg); break;
        case 'q': set_action(o, tool, MAP_QUERY, optarg); break;
        case 's': set_action(o, tool, MAP_LIST, NULL); break;
        case 'f': o->build_flags |= TABLE_BUILD_NO_FOLD; break;
        case 'F': o->build_flags |= TABLE_BUILD_FILES; break;
        case 'i': o->build_flags |= TABLE_BUILD_UPDATE; o->from_stdin = true; break;
        case 'o': o->keep_root = true; break;
        case 'p': o->build_flags |= TABLE_BUILD_PLAIN_MODE; break;
        case 'r': o->build_flags |= TABLE_BUILD_REPLACE; break;
        case 'w': o->build_flags |= TABLE_BUILD_QUIET; break;
        case 'v': log_set_verbose(1); break;
        case 'N':                   /* the NUL behind keys and values is always stored */
        case 'u':
        case 'U': break;            /* folding is of ASCII letters, in UTF-8 text too */
        default: log_fatal("%s", tool->usage);
        }
    }
}

int map_tool_main(const struct map_tool *tool, int argc, char **argv)
{
    struct map_options o = { .action = MAP_BUILD };

    log_to_stderr(tool->program);
    opterr = 0;
    parse_options(tool, argc, argv, &o);
    char **operands = argv + optind;
    size_t n = (size_t)(argc - optind);

    if (n == 0)
        log_fatal("%s", tool->usage);
    if (o.config_dir)
        setenv("MAIL_CONFIG", o.config_dir, 1);
    struct deletion deletion = { &o, operands, n };

    switch (o.action) {
    case MAP_QUERY:
        return query(tool, &o, operands, n);
    case MAP_DELETE:
        return for_each_key(o.key, delete_key, &deletion) > 0 ? 0 : 1;
    case MAP_LIST:
        for (size_t i = 0; i < n; i++)
            list(tool, &o, operands[i]);
        return 0;
    case MAP_BUILD:
        for (size_t i = 0; i < n; i++)
            build(tool, &o, operands[i]);
        return 0;
    }
    return 1;
}
