/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf.c - main.cf as it is written: reading, overriding, looking up raw values
 *
 * The file belongs to the administrator but is parsed like any input: bounded,
 * and refused with file and line. Defaults come from params.def; the
 * words between @ in them are known only at run time (host name, built-in paths).
 *
 * Runs in: every program, at start. Logs nothing.
 */
#include "conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/chars.h"
#include "base/file.h"
#include "base/mem.h"
#include "conf/internal.h"
#include "config.h"

enum { FILE_MAX = 16 << 20 };

/* read_all - from its start, wherever others who share the descriptor have read to */
static int read_all(int fd, size_t max, struct str *ret)
{
    for (;;) {
        if (ret->len > max)
            return -EFBIG;
        str_reserve(ret, 8192);
        ssize_t n = pread(fd, ret->data + ret->len, 8192, (off_t)ret->len);
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0;
        str_advance(ret, (size_t)n);
    }
}

int conf_read_file(const char *path, size_t max, struct str *ret)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

    return fd < 0 ? -errno : read_all(fd, max, ret);
}

bool conf_next_line(struct conf_lines *in, struct str *line, int *number)
{
    str_reset(line);
    while (in->rest.len > 0) {
        struct span ahead = in->rest;
        struct span text = span_cut(&ahead, '\n');
        bool starts_blank = text.len > 0 && char_is(text.ptr[0], CHAR_BLANK);
        struct span trimmed = span_trim(text);
        bool is_comment = trimmed.len == 0 || trimmed.ptr[0] == '#';

        /* A comment or empty line in the middle does not end the logical line. */
        if (!is_comment && !starts_blank && line->len > 0)
            return true;
        in->rest = ahead;
        in->line++;
        if (is_comment)
            continue;
        if (line->len == 0)
            *number = in->line;
        str_add(line, text);
        if (text.len > 0 && text.ptr[text.len - 1] == '\r')
            str_truncate(line, line->len - 1);
    }
    return line->len > 0;
}

void conf_put(struct conf *c, struct span name, struct span value, int line)
{
    struct conf_entry *e = HASH_ENTRY(hash_get(&c->entries, name), struct conf_entry, node);

    if (!e) {
        e = mem_new(struct conf_entry);
        e->name = mem_dup_span(name);
        e->node.key = span_of(e->name);
        hash_put(&c->entries, &e->node);
        MEM_GROW(c->order, c->len, c->cap);
        c->order[c->len++] = e;
    }
    free(e->value);
    e->value = mem_dup_span(value);
    e->line = line;
}

/* "name = value" with blanks around both; 0 or -EINVAL */
static int split_setting(struct span text, struct span *name, struct span *value)
{
    if (span_chr(text, '=') < 0)
        return -EINVAL;
    *value = text;
    *name = span_trim(span_cut(value, '='));
    *value = span_trim(*value);
    if (name->len == 0)
        return -EINVAL;
    for (size_t i = 0; i < name->len; i++)
        if (!char_is(name->ptr[i], CHAR_ALNUM) && !strchr("_-.", name->ptr[i]))
            return -EINVAL;
    return 0;
}

static int parse_main_cf(struct conf *c, struct span text, const char *path, struct str *err)
{
    _cleanup_(str_free) struct str line = STR_INIT;
    struct conf_lines lines = { text, 0 };
    int number = 0;

    while (conf_next_line(&lines, &line, &number)) {
        struct span name, value;

        if (char_is(line.data[0], CHAR_BLANK)) {
            str_addf(err, "%s, line %d: continues no line: remove the white space at its start", path,
                     number);
            return -EINVAL;
        }
        if (split_setting(str_span(&line), &name, &value) < 0) {
            str_addf(err, "%s, line %d: \"", path, number);
            str_add_escaped(err, str_span(&line), 60, STR_ASCII);
            str_add_str(err, "\" is not of the form \"name = value\"");
            return -EINVAL;
        }
        conf_put(c, name, value, number);
    }
    return 0;
}

struct conf *conf_new(const char *dir)
{
    struct conf *c = mem_new(struct conf);

    if (!dir)
        dir = getenv("MAIL_CONFIG");
    c->dir = mem_strdup(dir && *dir ? dir : POSTERN_CONFIG_DIR);
    c->copy_fd = -1;
    return c;
}

enum load { LOAD_FILE, LOAD_KEEP, LOAD_COPY };

/* load - the text from the file, or from the copy that fd is */
static int load(const char *dir, enum load how, int fd, struct conf **ret, struct str *err)
{
    _cleanup_(conf_free_ptr_) struct conf *c = conf_new(dir);
    _cleanup_(str_free) struct str path = STR_INIT, text = STR_INIT;

    str_addf(&path, "%s/main.cf", c->dir);
    int r = how == LOAD_COPY ? read_all(fd, FILE_MAX, &text)
                             : conf_read_file(str_cstr(&path), FILE_MAX, &text);
    if (r == 0 && how == LOAD_KEEP)
        r = c->copy_fd = file_seal("main.cf", str_span(&text));
    if (r < 0) {
        str_addf(err, "cannot read %s: %s", str_cstr(&path), strerror(-r));
        return r;
    }
    r = parse_main_cf(c, str_span(&text), str_cstr(&path), err);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(c);
    return 0;
}

int conf_load(const char *dir, struct conf **ret, struct str *err)
{
    return load(dir, LOAD_FILE, -1, ret, err);
}

int conf_load_keep(const char *dir, struct conf **ret, struct str *err)
{
    return load(dir, LOAD_KEEP, -1, ret, err);
}

int conf_load_copy(const char *dir, int fd, struct conf **ret, struct str *err)
{
    return load(dir, LOAD_COPY, fd, ret, err);
}

int conf_copy_fd(const struct conf *c)
{
    return c->copy_fd;
}

static void free_entries(struct hash *h)
{
    struct hash_node *n = hash_next(h, NULL);

    while (n) {
        struct conf_entry *e = CONTAINER_OF(n, struct conf_entry, node);
        n = hash_next(h, n);
        free(e->name);
        free(e->value);
        free(e);
    }
    hash_done(h);
}

void conf_free(struct conf *c)
{
    if (!c)
        return;
    free_entries(&c->entries);
    free_entries(&c->defaults);
    free(c->order);
    free(c->dir);
    if (c->copy_fd >= 0)
        close(c->copy_fd);
    free(c);
}

const char *conf_directory(const struct conf *c)
{
    return c->dir;
}

int conf_override(struct conf *c, struct span setting, struct str *err)
{
    struct span name, value;

    if (split_setting(setting, &name, &value) < 0) {
        str_add_str(err, "-o ");
        str_add_escaped(err, setting, 60, STR_ASCII);
        str_add_str(err, ": not of the form name=value");
        return -EINVAL;
    }
    conf_put(c, name, value, 0);
    return 0;
}

/* ---- defaults ---- */

static void host_name(struct str *ret)
{
    char host[256] = "";

    if (gethostname(host, sizeof host - 1) < 0 || !*host)
        memcpy(host, "localhost", sizeof "localhost");
    str_add_str(ret, host);
    if (!strchr(host, '.'))
        str_add_str(ret, ".localdomain");
}

/* mydomain: myhostname, as configured, without its first label */
static void domain_name(const struct conf *c, struct str *ret)
{
    _cleanup_(str_free) struct str host = STR_INIT, err = STR_INIT;

    if (conf_get(c, "myhostname", &host, &err) < 0)
        host_name(&host);
    struct span domain = str_span(&host);
    span_cut(&domain, '.');
    str_add(ret, domain.len ? domain : span_of("localdomain"));
}

static void default_words(const struct conf *c, struct span word, struct str *ret)
{
    static const struct {
        const char *word, *text;
    } paths[] = {
        { "CONFIG_DIR", POSTERN_CONFIG_DIR }, { "DAEMON_DIR", POSTERN_DAEMON_DIR },
        { "COMMAND_DIR", POSTERN_COMMAND_DIR }, { "QUEUE_DIR", POSTERN_QUEUE_DIR },
        { "DATA_DIR", POSTERN_DATA_DIR }, { "VERSION", POSTERN_VERSION },
#ifdef DB_LIBRARY
        { "DB_TYPE", "hash" },
#else
        { "DB_TYPE", "lmdb" },
#endif
    };

    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        if (span_eq_str(word, paths[i].word))
            str_add_str(ret, paths[i].text);
    if (span_eq_str(word, "MYHOSTNAME"))
        host_name(ret);
    if (span_eq_str(word, "MYDOMAIN"))
        domain_name(c, ret);
}

/* One '@' alone is a character like others ("HIGH:@STRENGTH"). */
static bool has_word(const char *def)
{
    const char *at = strchr(def, '@');

    return at && strchr(at + 1, '@');
}

/* The default of a row that holds @WORD@, made once and kept in c. */
static const char *worded_default(const struct conf *c, const struct param_row *row)
{
    struct hash *h = &((struct conf *)c)->defaults;     /* a cache: c looks unchanged from outside */
    struct conf_entry *e = HASH_ENTRY(hash_get(h, span_of(row->name)), struct conf_entry, node);

    if (!e) {
        _cleanup_(str_free) struct str text = STR_INIT;
        struct span rest = span_of(row->def);

        /* In the table before it is known: mydomain asks for myhostname, which may ask for mydomain. */
        e = mem_new(struct conf_entry);
        e->name = mem_strdup(row->name);
        e->value = mem_strdup("");
        e->node.key = span_of(e->name);
        hash_put(h, &e->node);
        str_add(&text, span_cut(&rest, '@'));
        default_words(c, span_cut(&rest, '@'), &text);
        str_add(&text, rest);
        free(e->value);
        e->value = str_take(&text);
    }
    return e->value;
}

const char *conf_raw(const struct conf *c, const char *name)
{
    struct conf_entry *e = HASH_ENTRY(hash_get(&c->entries, span_of(name)), struct conf_entry, node);

    if (strcmp(name, "config_directory") == 0)
        return c->dir;
    if (e)
        return e->value;
    const struct param_row *row = param_find(name);
    if (!row)
        return NULL;
    return has_word(row->def) ? worded_default(c, row) : row->def;
}

void conf_add_place(const struct conf *c, const char *name, struct str *ret)
{
    const struct conf_entry *e = HASH_ENTRY(hash_get(&c->entries, span_of(name)), struct conf_entry, node);

    if (e && e->line > 0)
        str_addf(ret, "%s/main.cf, line %d: ", c->dir, e->line);
}

bool conf_is_set(const struct conf *c, const char *name)
{
    return hash_get(&c->entries, span_of(name)) != NULL;
}

void conf_foreach_set(const struct conf *c, void (*fn)(const char *name, const char *raw, void *arg), void *arg)
{
    for (size_t i = 0; i < c->len; i++)
        fn(c->order[i]->name, c->order[i]->value, arg);
}
