/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build.c - making table files: postmap, postalias
 *
 * All pairs are collected first, then a new file is written under a temporary name,
 * flushed and renamed: a reader sees the old table or the new one, also after a
 * crash. Adding and deleting do the same, under a lock on the file that is replaced.
 * The new file gets the mode, and where possible the owner, of the source, since it
 * holds the same secrets.
 *
 * Runs in: postmap, postalias, newaliases; as the administrator.
 */
#include "table/build.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/own.h"
#include "base/secret.h"
#include "table/lines.h"
#include "table/source.h"
#include "table/type.h"

enum { LMDB_KEY_MAX = 510 }; /* 511 with the NUL, in every version of LMDB */

struct builder {
    const struct table_type *type;
    char *name; /* the source */
    char *path; /* the database */
    char *tmp;
    int lock_fd;
    struct dict pairs;
    unsigned flags;
    void (*warn)(const char *text, void *arg);
    void *arg;
    struct str *err;
};

static void builder_done(struct builder *b)
{
    if (b->lock_fd >= 0)
        close(b->lock_fd);
    dict_done(&b->pairs);
    free(b->name);
    free(b->path);
    free(b->tmp);
}

static int fail(struct builder *b, int r, const char *what, const char *path)
{
    str_reset(b->err);
    str_addf(b->err, "cannot %s %s: %s", what, path, strerror(-r));
    return r;
}

static int builder_init(struct builder *b, struct span type_name, struct str *err)
{
    struct span name;
    struct str path = STR_INIT, tmp = STR_INIT;

    b->lock_fd = -1;
    b->err = err;
    b->type = table_type_cut(type_name, &name, err);
    if (!b->type)
        return -EINVAL;
    if (!b->type->write) {
        str_addf(err, "table type \"%s\" is not made by this program: it is read as it is",
                 b->type->name);
        return -EOPNOTSUPP;
    }
    b->name = mem_dup_span(name);
    str_addf(&path, "%s%s", b->name, b->type->suffix);
    str_addf(&tmp, "%s.%ld.tmp", path.data, (long)getpid());
    b->path = str_take(&path);
    b->tmp = str_take(&tmp);
    return 0;
}

/* ---- collecting ---- */

static void warn(struct builder *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void warn(struct builder *b, const char *fmt, ...)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    va_list ap;

    if (!b->warn)
        return;
    va_start(ap, fmt);
    str_vaddf(&text, fmt, ap);
    va_end(ap);
    b->warn(str_cstr(&text), b->arg);
}

static void collect(struct builder *b, int line, struct span key, struct span value)
{
    _cleanup_(str_free) struct str folded = STR_INIT;

    if (b->flags & TABLE_BUILD_NO_FOLD)
        str_add(&folded, key);
    else
        str_add_lower(&folded, key);
    if (b->type->write == lmdb_write && folded.len > LMDB_KEY_MAX) {
        warn(b, "%s, line %d: key longer than %d bytes -- ignoring this line", b->name, line,
             LMDB_KEY_MAX);
        return;
    }
    if (b->flags & TABLE_BUILD_REPLACE)
        dict_set(&b->pairs, str_span(&folded), value);
    else if (!dict_add(&b->pairs, str_span(&folded), value) && !(b->flags & TABLE_BUILD_QUIET))
        warn(b, "%s: duplicate entry: \"%s\"", b->path, str_cstr(&folded));
}

/* read_files - the contents of all files that a value names, as Base64 */
static int read_files(struct builder *b, int line, struct span list, struct str *ret)
{
    _cleanup_(secret_free) struct str all = STR_INIT, text = STR_INIT;
    _cleanup_(str_free) struct str why = STR_INIT;
    struct span file;

    while (span_word(&list, " \t\r\n,", &file)) {
        _cleanup_free_ char *path = mem_dup_span(file);
        int r = lines_read_file(path, TABLE_VALUE_MAX / 2, &text, &why);

        if (r < 0) {
            str_reset(b->err);
            str_addf(b->err, "%s, line %d: %s", b->name, line, str_cstr(&why));
            return r;
        }
        str_add(&all, str_span(&text));
    }
    str_reset(ret);
    str_add_base64(ret, str_span(&all));
    return 0;
}

static int collect_source(struct builder *b, struct span source, enum table_source kind)
{
    _cleanup_(lines_done) struct lines lines = LINES_INIT(source);
    _cleanup_(secret_free) struct str values = STR_INIT;
    _cleanup_(str_free) struct str name = STR_INIT;
    struct span line, key, value;

    while (lines_next(&lines, &line)) {
        const char *wrong;

        if (kind == TABLE_SOURCE_MAP) {
            wrong = source_map_line(line, &key, &value);
        } else {
            wrong = source_alias_line(line, &name, &values);
            key = str_span(&name);
            value = str_span(&values);
        }
        if (wrong) {
            warn(b, "%s, line %d: %s -- ignoring this line", b->name, lines.number, wrong);
            continue;
        }
        if (kind == TABLE_SOURCE_MAP && key.ptr[key.len - 1] == ':')
            warn(b, "%s, line %d: record is in \"key: value\" format; is this an alias file?",
                 b->name, lines.number);
        if (b->flags & TABLE_BUILD_FILES) {
            int r = read_files(b, lines.number, value, &values);

            if (r < 0)
                return r;
            value = str_span(&values);
        }
        collect(b, lines.number, key, value);
    }
    return 0;
}

static void collect_old(struct span key, struct span value, void *arg)
{
    struct builder *b = arg;

    dict_add(&b->pairs, key, value);
}

/* ---- the old file ---- */

/* Lock what stands under the name now; another postmap may have replaced it while we waited. */
static int lock_current(struct builder *b)
{
    struct stat locked, current;

    for (;;) {
        _cleanup_close_ int fd = open(b->path, O_RDONLY | O_CLOEXEC);

        if (fd < 0)
            return -errno;
        if (flock(fd, LOCK_EX) < 0 || fstat(fd, &locked) < 0)
            return -errno;
        if (stat(b->path, &current) < 0)
            return -errno;
        if (locked.st_dev == current.st_dev && locked.st_ino == current.st_ino) {
            b->lock_fd = TAKE_FD(fd);
            return 0;
        }
    }
}

static int each_pair(const struct table_type *type, const char *name, const char *path,
                     table_pair_fn *fn, void *arg, struct str *err)
{
    _cleanup_(str_free) struct str odd = STR_INIT;
    struct table_opening o = {.name = name, .path = path, .err = err, .warn = &odd};
    void *impl;
    int r = type->open(&o, &impl);

    if (r < 0)
        return r;
    r = type->each(impl, fn, arg);
    type->close(impl);
    if (r < 0) {
        str_reset(err);
        str_addf(err, "cannot read %s:%s: %s", type->name, name, strerror(-r));
    }
    return r;
}

static int read_old(struct builder *b)
{
    int r = lock_current(b);

    if (r < 0)
        return r == -ENOENT ? r : fail(b, r, "open", b->path);
    return each_pair(b->type, b->name, b->path, collect_old, b, b->err);
}

/* ---- the new file ---- */

/* Mode and owner of the source; without one, of the database that is replaced. */
static int copy_owner(const struct builder *b, int fd)
{
    struct stat st;

    if ((b->flags & TABLE_BUILD_PLAIN_MODE) || (stat(b->name, &st) < 0 && stat(b->path, &st) < 0))
        return fchmod(fd, 0644) < 0 ? -errno : 0;
    /* Not root: it stays ours. The mode comes last, since a change of owner may clear bits. */
    if (fchown(fd, st.st_uid, st.st_gid) < 0 && errno != EPERM)
        return -errno;
    return fchmod(fd, st.st_mode & 0666) < 0 ? -errno : 0;
}

static int publish(struct builder *b)
{
    _cleanup_close_ int fd = open(b->tmp, O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    int r = copy_owner(b, fd);
    if (r < 0)
        return r;
    if (fsync(fd) < 0)
        return -errno;
    return rename(b->tmp, b->path) < 0 ? -errno : 0;
}

static int write_new(struct builder *b)
{
    unlink(b->tmp); /* of a process of the same number that was killed */
    int r = b->type->write(b->tmp, &b->pairs);

    if (r == 0)
        r = publish(b);
    if (r < 0) {
        unlink(b->tmp);
        return fail(b, r, "write", b->path);
    }
    return 0;
}

int table_build(struct span type_name, struct span source, enum table_source kind, unsigned flags,
                void (*warn_fn)(const char *text, void *arg), void *arg, struct str *err)
{
    _cleanup_(builder_done) struct builder b = {.flags = flags, .warn = warn_fn, .arg = arg};
    int r = builder_init(&b, type_name, err);

    if (r < 0)
        return r;
    if (flags & TABLE_BUILD_UPDATE) {
        r = read_old(&b);
        if (r < 0 && r != -ENOENT)
            return r;
    }
    r = collect_source(&b, source, kind);
    return r < 0 ? r : write_new(&b);
}

int table_delete(struct span type_name, struct span key, struct str *err)
{
    _cleanup_(builder_done) struct builder b = {0};
    int r = builder_init(&b, type_name, err);

    if (r < 0)
        return r;
    r = read_old(&b);
    if (r == -ENOENT)
        return fail(&b, r, "open", b.path);
    if (r < 0)
        return r;
    if (!dict_remove(&b.pairs, key))
        return 0;
    r = write_new(&b);
    return r < 0 ? r : 1;
}

int table_dump(struct span type_name, void (*fn)(struct span key, struct span value, void *arg),
               void *arg, struct str *err)
{
    struct span name;
    const struct table_type *type = table_type_cut(type_name, &name, err);

    if (!type)
        return -EINVAL;
    if (!type->each) {
        str_addf(err, "table type \"%s\" cannot be listed", type->name);
        return -EOPNOTSUPP;
    }
    _cleanup_free_ char *file = mem_dup_span(name);
    _cleanup_(str_free) struct str path = STR_INIT;

    str_addf(&path, "%s%s", file, type->suffix ? type->suffix : "");
    return each_pair(type, file, str_cstr(&path), fn, arg, err);
}
