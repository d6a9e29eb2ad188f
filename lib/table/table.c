/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.c - open, look up, and read again when the file changes
 *
 * A process opens each "type:name" once, however many parameters name it. The file
 * behind a table is looked at when a look-up finds that the last look is a second
 * ago: device, inode, size and time of change. A new version is opened beside the
 * old one, and replaces it only when it is whole; else the old one goes on to be
 * used, and this is reported once for each version of the file.
 *
 * Runs in: every program that reads tables; keys are hostile.
 */
#include "table/table.h"

#include <errno.h>
#include <sys/stat.h>
#include <time.h>

#include "base/chars.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "table/type.h"

enum { CHECK_INTERVAL_MS = 1000 };

struct file_version {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime;
};

struct table {
    const struct table_type *type;
    char *type_name;  /* "type:name" */
    const char *name; /* within type_name */
    char *path;       /* NULL: no file */
    void *impl;
    bool pattern;
    struct file_version seen; /* what was tried last */
    bool unsettled;           /* it was changed so recently that a change could look the same */
    bool behind;              /* the version in use is not the one of the file */
    char *complaint;          /* what was reported of the version in `seen` */
    uint64_t checked_ms;
    uint64_t openings, answered; /* numbers of the last one begun, and of the last one that came to an end */
    struct list link; /* in open_tables */
    size_t references;
};

/* One list a process: tables are opened before sessions begin, and belong to no session. */
static struct list open_tables = LIST_INIT(open_tables);
static void (*problem_fn)(const char *text);

void table_on_problem(void (*fn)(const char *text))
{
    problem_fn = fn;
}

static void report(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void report(const char *fmt, ...)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    va_list ap;

    if (!problem_fn)
        return;
    va_start(ap, fmt);
    str_vaddf(&text, fmt, ap);
    va_end(ap);
    problem_fn(str_cstr(&text));
}

static int look(const char *path, struct file_version *ret)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return -errno;
    *ret = (struct file_version){st.st_dev, st.st_ino, st.st_size, st.st_mtim};
    return 0;
}

static bool same_version(const struct file_version *a, const struct file_version *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec;
}

/* A file written within the last two seconds may be written again within one tick of its clock. */
static bool is_fresh(const struct file_version *v)
{
    return v->mtime.tv_sec + 2 > clock_real();
}

static int open_version(struct table *t, void **ret, struct str *err)
{
    _cleanup_(str_free) struct str warn = STR_INIT;
    struct table_opening o = {.name = t->name, .path = t->path, .err = err, .warn = &warn};

    str_reset(err);
    int r = t->type->open(&o, ret);
    if (r == 0 && warn.len > 0)
        report("%s", str_cstr(&warn));
    return r;
}

static struct table *find_open(struct span type_name)
{
    struct table *t;

    LIST_FOREACH (t, &open_tables, struct table, link)
        if (span_eq_str(type_name, t->type_name))
            return t;
    return NULL;
}

static void table_destroy(struct table *t)
{
    if (t->impl)
        t->type->close(t->impl);
    list_remove(&t->link);
    free(t->type_name);
    free(t->path);
    free(t->complaint);
    free(t);
}

void table_free(struct table *t)
{
    if (t && --t->references == 0)
        table_destroy(t);
}

/* regexp and its like, also behind proxy: */
static bool names_pattern(struct span type_name)
{
    struct span type = span_cut(&type_name, ':');

    while (span_eq_str(type, "proxy"))
        type = span_cut(&type_name, ':');
    const struct table_type *row = table_type_find(type);

    return row && (row->flags & TABLE_PATTERN);
}

static struct table *table_new(const struct table_type *type, struct span type_name, size_t name_at)
{
    struct table *t = mem_new(struct table);

    t->type = type;
    t->type_name = mem_dup_span(type_name);
    t->name = t->type_name + name_at;
    t->pattern = names_pattern(type_name);
    t->references = 1;
    t->checked_ms = clock_ms();
    list_init(&t->link);
    if (type->suffix) {
        struct str path = STR_INIT;

        str_addf(&path, "%s%s", t->name, type->suffix);
        t->path = str_take(&path);
    }
    return t;
}

static int no_such_file(const struct table *t, int r, struct str *err)
{
    str_reset(err);
    str_addf(err, "cannot open table %s: %s: %s", t->type_name, t->path, strerror(-r));
    if (r == -ENOENT && t->type->write)
        str_addf(err, "; make it with \"postmap %s\"", t->type_name);
    return r;
}

int table_open(struct span type_name, struct table **ret, struct str *err)
{
    struct span name;
    struct table *old = find_open(type_name);

    if (old) {
        old->references++;
        *ret = old;
        return 0;
    }
    const struct table_type *type = table_type_cut(type_name, &name, err);
    if (!type)
        return -EINVAL;

    _cleanup_(table_free_ptr_) struct table *t =
        table_new(type, type_name, (size_t)(name.ptr - type_name.ptr));
    int r = t->path ? look(t->path, &t->seen) : 0;
    if (r < 0)
        return no_such_file(t, r, err);
    r = open_version(t, &t->impl, err);
    if (r < 0)
        return r;
    t->unsettled = t->path && is_fresh(&t->seen);
    list_push_back(&open_tables, &t->link);
    *ret = TAKE_PTR(t);
    return 0;
}

const char *table_name(const struct table *t)
{
    return t->type_name;
}

bool table_is_pattern(const struct table *t)
{
    return t->pattern;
}

/* complain - once of each version, however often it is tried */
static void complain(struct table *t, const char *text)
{
    if (t->complaint && strcmp(t->complaint, text) == 0)
        return;
    free(t->complaint);
    t->complaint = mem_strdup(text);
    report("table %s has changed but cannot be read, using the old one: %s", t->type_name, text);
}

/* Opening may wait for master, and others may use the old version meanwhile. */
MAY_WAIT static void reopen(struct table *t)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    const uint64_t number = ++t->openings;
    void *impl = NULL;
    int r = open_version(t, &impl, &err);

    if (number < t->answered) {         /* another one has waited less, and seen what is newer */
        if (r == 0)
            t->type->close(impl);
        return;
    }
    t->answered = number;
    t->behind = r < 0;
    if (r == -ETIMEDOUT || r == -ECANCELED) {
        t->unsettled = true; /* nobody has looked at it yet */
    } else if (r < 0) {
        complain(t, err.len > 0 ? str_cstr(&err) : strerror(-r));
    } else {
        t->type->close(t->impl);
        t->impl = impl;
    }
}

/* Read the file again if it has changed; look-ups in types with a file do not wait, so nobody is within. */
MAY_WAIT static void refresh(struct table *t)
{
    struct file_version version = {0};

    t->checked_ms = clock_ms();
    int r = look(t->path, &version);
    if (r == 0 && same_version(&version, &t->seen) && !t->unsettled)
        return;
    if (r == -EACCES || (r < 0 && same_version(&version, &t->seen)))
        return; /* not for us to see; or gone, and said so */
    t->unsettled = r == 0 && is_fresh(&version);
    if (!same_version(&version, &t->seen)) {
        free(t->complaint);
        t->complaint = NULL;
    }
    t->seen = version;
    t->behind = true;
    if (r < 0)
        report("table %s: %s: %s; using the old one", t->type_name, t->path, strerror(-r));
    else
        reopen(t);
}

static bool has_upper(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (char_is(s.ptr[i], CHAR_UPPER))
            return true;
    return false;
}

int table_get_exact(struct table *t, struct span key, struct str *value)
{
    if (t->path && clock_ms() - t->checked_ms >= CHECK_INTERVAL_MS)
        refresh(t);
    str_reset(value);
    if (key.len > TABLE_KEY_MAX || (key.len == 0 && !(t->type->flags & TABLE_ANY_KEY)))
        return 0;
    return t->type->get(t->impl, key, value);
}

int table_get(struct table *t, struct span key, struct str *value)
{
    if (!(t->type->flags & TABLE_FOLD) || key.len > TABLE_KEY_MAX || !has_upper(key))
        return table_get_exact(t, key, value);

    _cleanup_(str_free) struct str lower = STR_INIT;

    str_add_lower(&lower, key);
    return table_get_exact(t, str_span(&lower), value);
}

bool table_all_current(void)
{
    struct table *t;
    bool all = true;

    LIST_FOREACH (t, &open_tables, struct table, link) {
        if (t->path)
            refresh(t);
        all = all && !t->behind;
    }
    return all;
}

void table_foreach_path(void (*fn)(const char *path, void *arg), void *arg)
{
    struct table *t;

    LIST_FOREACH (t, &open_tables, struct table, link)
        if (t->path)
            fn(t->path, arg);
}
