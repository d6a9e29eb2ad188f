/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edit.c - change main.cf and master.cf in place
 *
 * A logical line begins with a character that is not white space and goes on over the lines
 * that begin with white space. Comments and empty lines belong to nobody, also
 * within a logical line, and are kept.
 *
 * Runs in: postconf and what calls it at installation; as the administrator.
 */
#include "conf/edit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include "base/chars.h"
#include "base/mem.h"
#include "base/own.h"
#include "conf/internal.h"

enum { FILE_MAX = 16 << 20 };

/* ---- text ---- */

enum action { KEEP, COMMENT, DROP };

/* What becomes of the logical line that begins with `first`; what takes its place is added to out. */
typedef enum action decide_fn(struct span first, struct str *out, void *arg);

static void add_line(struct str *out, const char *before, struct span line)
{
    str_add_str(out, before);
    str_add(out, line);
    str_add_char(out, '\n');
}

static void walk(struct span text, decide_fn *decide, void *arg, struct str *out)
{
    enum action action = KEEP;

    while (text.len > 0) {
        struct span line = span_cut(&text, '\n');
        struct span shown = span_trim(line);
        bool comment = shown.len == 0 || shown.ptr[0] == '#';

        if (!comment && !char_is(line.ptr[0], CHAR_BLANK))
            action = decide(line, out, arg);
        if (comment || action == KEEP)
            add_line(out, "", line);
        else if (action == COMMENT)
            add_line(out, "#", line);
    }
}

static enum action action_of(enum conf_change_op op)
{
    return op == CONF_COMMENT ? COMMENT : DROP;
}

struct main_edit {
    const struct conf_change *changes;
    size_t n;
    bool *seen;
};

static void add_setting(struct str *out, const struct conf_change *c)
{
    str_add(out, c->name);
    str_add_str(out, c->value.len > 0 ? " = " : " =");
    str_add(out, c->value);
    str_add_char(out, '\n');
}

static enum action decide_main(struct span first, struct str *out, void *arg)
{
    struct main_edit *e = arg;
    struct span name = span_trim(span_cut(&first, '='));

    for (size_t i = e->n; i-- > 0;) {
        const struct conf_change *c = &e->changes[i];

        if (!span_eq(name, c->name))
            continue;
        e->seen[i] = true;
        if (c->op == CONF_SET)
            add_setting(out, c);
        return action_of(c->op);
    }
    return KEEP;
}

static int by_name(const void *a, const void *b)
{
    const struct conf_change *const *x = a, *const *y = b;

    return span_cmp((*x)->name, (*y)->name);
}

/* Is there a later change of the same name? */
static bool overruled(const struct main_edit *e, size_t i)
{
    for (size_t j = i + 1; j < e->n; j++)
        if (span_eq(e->changes[i].name, e->changes[j].name))
            return true;
    return false;
}

static void append_new(const struct main_edit *e, struct str *out)
{
    _cleanup_free_ const struct conf_change **new = mem_calloc(e->n + 1, sizeof *new);
    size_t n = 0;

    for (size_t i = 0; i < e->n; i++)
        if (e->changes[i].op == CONF_SET && !e->seen[i] && !overruled(e, i))
            new[n++] = &e->changes[i];
    qsort(new, n, sizeof *new, by_name);
    for (size_t i = 0; i < n; i++)
        add_setting(out, new[i]);
}

void conf_edit_main(struct span text, const struct conf_change *changes, size_t n, struct str *out)
{
    _cleanup_free_ bool *seen = mem_calloc(n + 1, sizeof *seen);
    struct main_edit e = { changes, n, seen };

    walk(text, decide_main, &e, out);
    append_new(&e, out);
}

struct master_edit {
    const struct master_change *changes;
    size_t n;
    bool *seen;
};

static enum action decide_master(struct span first, struct str *out, void *arg)
{
    struct master_edit *e = arg;
    struct span service, type;

    if (!span_word(&first, " \t\r", &service) || !span_word(&first, " \t\r", &type))
        return KEEP;
    for (size_t i = 0; i < e->n; i++) {
        const struct master_change *c = &e->changes[i];

        if (!span_eq(service, c->service) || !span_eq(type, c->type))
            continue;
        e->seen[i] = true;
        if (c->op == CONF_SET)
            str_add(out, c->entry);
        return action_of(c->op);
    }
    return KEEP;
}

void conf_edit_master(struct span text, const struct master_change *changes, size_t n,
                      struct str *out)
{
    _cleanup_free_ bool *seen = mem_calloc(n + 1, sizeof *seen);
    struct master_edit e = { changes, n, seen };

    walk(text, decide_master, &e, out);
    for (size_t i = 0; i < n; i++)
        if (changes[i].op == CONF_SET && !seen[i])
            str_add(out, changes[i].entry);
}

/* ---- files ---- */

static int fail(struct str *err, int r, const char *what, const char *path)
{
    str_reset(err);
    str_addf(err, "cannot %s %s: %s", what, path, strerror(-r));
    return r;
}

/*
 * Open and lock FILE.tmp. Another editor may have renamed the one we waited for: then there is
 * none of that name any more, or a newer one.
 */
static int lock_tmp(struct conf_edit *e)
{
    struct stat locked, current;

    for (;;) {
        _cleanup_close_ int fd = open(e->tmp, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

        if (fd < 0)
            return -errno;
        if (flock(fd, LOCK_EX) < 0 || fstat(fd, &locked) < 0)
            return -errno;
        if (stat(e->tmp, &current) == 0 && current.st_dev == locked.st_dev &&
            current.st_ino == locked.st_ino) {
            e->fd = TAKE_FD(fd);
            return 0;
        }
    }
}

int conf_edit_begin(const char *dir, const char *file, struct conf_edit *ret, struct str *err)
{
    struct str path = STR_INIT, tmp = STR_INIT;

    *ret = (struct conf_edit){ .fd = -1 };
    str_addf(&path, "%s/%s", dir, file);
    str_addf(&tmp, "%s/%s.tmp", dir, file);
    ret->path = str_take(&path);
    ret->tmp = str_take(&tmp);
    if (stat(ret->path, &ret->st) < 0)
        return fail(err, -errno, "open", ret->path);
    int r = lock_tmp(ret);
    if (r < 0)
        return fail(err, r, "open", ret->tmp);
    r = conf_read_file(ret->path, FILE_MAX, &ret->text);
    return r < 0 ? fail(err, r, "read", ret->path) : 0;
}

static int write_all(int fd, struct span text)
{
    while (text.len > 0) {
        ssize_t n = write(fd, text.ptr, text.len);

        if (n < 0)
            return -errno;
        text = span_from(text, (size_t)n);
    }
    return 0;
}

static int write_and_rename(struct conf_edit *e, struct span text)
{
    if (ftruncate(e->fd, 0) < 0)
        return -errno;
    int r = write_all(e->fd, text);
    if (r < 0)
        return r;
    /* Who is not root cannot give the file away, and need not. */
    if (fchown(e->fd, e->st.st_uid, e->st.st_gid) < 0 && errno != EPERM)
        return -errno;
    if (fchmod(e->fd, e->st.st_mode & 07777) < 0 || fsync(e->fd) < 0)
        return -errno;
    return rename(e->tmp, e->path) < 0 ? -errno : 0;
}

int conf_edit_commit(struct conf_edit *e, struct span text, struct str *err)
{
    int r = write_and_rename(e, text);

    if (r < 0)
        return fail(err, r, "write", e->path);
    e->committed = true;
    return 0;
}

void conf_edit_done(struct conf_edit *e)
{
    if (e->fd >= 0) {
        if (!e->committed)
            unlink(e->tmp);
        close(e->fd);
    }
    str_free(&e->text);
    free(e->path);
    free(e->tmp);
}
