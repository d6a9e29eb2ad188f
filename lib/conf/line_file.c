/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line_file.c - change a file of "key rest" lines as a whole
 *
 * Runs in: postuser and auth, on the administrator's files. Logs nothing.
 */
#include "conf/line_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/mem.h"

enum { FILE_MAX = 256 << 20 };

int line_file_lock(const struct line_file *f)
{
    _cleanup_(str_free) struct str path = STR_INIT;

    str_addf(&path, "%s.lock", f->path);
    _cleanup_close_ int fd = open(str_cstr(&path), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX) < 0)
        return -errno;
    return TAKE_FD(fd);
}

int line_file_read(struct line_file *f)
{
    _cleanup_close_ int fd = open(f->path, O_RDONLY | O_CLOEXEC);

    str_reset(&f->text);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    for (;;) {
        str_reserve(&f->text, 65536);
        ssize_t n = read(fd, f->text.data + f->text.len, 65536);
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0;
        str_advance(&f->text, (size_t)n);
        if (f->text.len > FILE_MAX)
            return -EFBIG;
    }
}

/* Split a line into key and rest; false for comments and empty lines. */
static bool split(const struct line_file *f, struct span line, struct span *key, struct span *rest)
{
    if (line.len == 0 || line.ptr[0] == '#' || span_trim(line).len == 0)
        return false;
    *rest = line;
    *key = f->separator == ' ' ? span_cut_any(rest, " \t") : span_cut(rest, f->separator);
    if (f->separator == ' ')
        *rest = span_trim(*rest);
    return true;
}

/* The key's whole line, with its end; false if none. */
static bool find_line(const struct line_file *f, struct span key, struct span *ret)
{
    struct span left = str_span(&f->text);

    while (left.len > 0) {
        struct span whole = left, line = span_cut(&left, '\n'), k, rest;
        if (split(f, line, &k, &rest) && span_eq_nocase(k, key)) {
            *ret = span_first(whole, whole.len - left.len);
            return true;
        }
    }
    return false;
}

bool line_file_get(const struct line_file *f, struct span key, struct span *ret)
{
    struct span line, k;

    if (!find_line(f, key, &line))
        return false;
    return split(f, span_cut(&line, '\n'), &k, ret);
}

static void replace_part(struct line_file *f, size_t at, size_t removed, struct span added)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    str_add(&text, span_first(str_span(&f->text), at));
    str_add(&text, added);
    str_add(&text, span_from(str_span(&f->text), at + removed));
    str_set(&f->text, str_span(&text));
}

void line_file_set(struct line_file *f, struct span key, struct span rest)
{
    _cleanup_(str_free) struct str line = STR_INIT;
    struct span old;

    str_add(&line, key);
    str_add_char(&line, f->separator);
    str_add(&line, rest);
    str_add_char(&line, '\n');
    if (find_line(f, key, &old)) {
        replace_part(f, (size_t)(old.ptr - f->text.data), old.len, str_span(&line));
        return;
    }
    if (f->text.len > 0 && f->text.data[f->text.len - 1] != '\n')
        str_add_char(&f->text, '\n');
    str_add(&f->text, str_span(&line));
}

bool line_file_remove(struct line_file *f, struct span key)
{
    struct span old;

    if (!find_line(f, key, &old))
        return false;
    replace_part(f, (size_t)(old.ptr - f->text.data), old.len, SPAN_NULL);
    return true;
}

void line_file_keys(const struct line_file *f, void (*fn)(struct span key, void *arg), void *arg)
{
    struct span left = str_span(&f->text), key, rest;

    while (left.len > 0)
        if (split(f, span_cut(&left, '\n'), &key, &rest))
            fn(key, arg);
}

static int fill(int fd, const struct line_file *f, gid_t new_group, mode_t new_mode)
{
    struct stat old;
    struct span rest = str_span(&f->text);

    if (stat(f->path, &old) == 0) {
        if (fchown(fd, old.st_uid, old.st_gid) < 0 && geteuid() == 0)
            return -errno;
        new_mode = old.st_mode & 07777;
    } else if (new_group != (gid_t)-1 && geteuid() == 0 && fchown(fd, (uid_t)-1, new_group) < 0) {
        return -errno;
    }
    if (fchmod(fd, new_mode) < 0)
        return -errno;
    while (rest.len > 0) {
        ssize_t n = write(fd, rest.ptr, rest.len);
        if (n < 0)
            return -errno;
        rest = span_from(rest, (size_t)n);
    }
    return fsync(fd) < 0 ? -errno : 0;
}

int line_file_write(const struct line_file *f, gid_t new_group, mode_t new_mode)
{
    _cleanup_(str_free) struct str tmp = STR_INIT;

    str_addf(&tmp, "%s.tmp", f->path);
    unlink(str_cstr(&tmp));
    _cleanup_close_ int fd = open(str_cstr(&tmp), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int r = fill(fd, f, new_group, new_mode);
    if (r == 0 && rename(str_cstr(&tmp), f->path) < 0)
        r = -errno;
    if (r < 0)
        unlink(str_cstr(&tmp));
    return r;
}
