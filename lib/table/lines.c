/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lines.c - logical lines of table sources, and reading such files whole
 *
 * Runs in: whatever opens tables. The administrator writes these files; they are
 * checked all the same, since a wrong one must be named and not served.
 */
#include "table/lines.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "base/chars.h"
#include "base/file.h"
#include "base/own.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f';
}

static struct span trim_end(struct span s)
{
    while (s.len > 0 && is_space(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

/* Is there nothing to see in this physical line? */
static bool is_comment(struct span line)
{
    size_t i = 0;

    while (i < line.len && is_space(line.ptr[i]))
        i++;
    return i == line.len || line.ptr[i] == '#';
}

void lines_done(struct lines *l)
{
    str_free(&l->joined);
}

/* Take one physical line that holds something off the front. */
static bool next_physical(struct lines *l, struct span *ret)
{
    while (l->rest.len > 0) {
        *ret = span_cut(&l->rest, '\n');
        l->next_number++;
        if (!is_comment(*ret))
            return true;
    }
    return false;
}

/* Would the next physical line that holds something continue the one before? */
static bool continues(const struct lines *l)
{
    struct span rest = l->rest;

    while (rest.len > 0) {
        struct span line = span_cut(&rest, '\n');

        if (!is_comment(line))
            return is_space(line.ptr[0]);
    }
    return false;
}

bool lines_next(struct lines *l, struct span *ret)
{
    struct span line;

    if (!next_physical(l, &line))
        return false;
    l->number = l->next_number - 1;
    if (!continues(l)) {
        *ret = trim_end(line);
        return true;
    }
    str_set(&l->joined, line);
    while (continues(l) && next_physical(l, &line))
        str_add(&l->joined, line);
    *ret = trim_end(str_span(&l->joined));
    return true;
}

int lines_error(struct str *err, const char *path, int number, const char *fmt, ...)
{
    va_list ap;

    str_reset(err);
    str_addf(err, "%s, line %d: ", path, number);
    va_start(ap, fmt);
    str_vaddf(err, fmt, ap);
    va_end(ap);
    return -EINVAL;
}

static int read_error(struct str *err, const char *path, int r)
{
    str_reset(err);
    str_addf(err, "cannot read %s: %s", path, strerror(-r));
    return r;
}

int lines_read_file(const char *path, size_t max, struct str *ret, struct str *err)
{
    _cleanup_close_ int fd = file_open(path);
    struct stat st;

    if (fd < 0)
        return read_error(err, path, fd);
    if (fstat(fd, &st) < 0)
        return read_error(err, path, -errno);
    if (!S_ISREG(st.st_mode))
        return read_error(err, path, S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL);
    if ((uint64_t)st.st_size > max)
        return read_error(err, path, -EFBIG);

    str_reset(ret);
    while (ret->len <= max) {
        size_t room = (size_t)st.st_size > ret->len ? (size_t)st.st_size - ret->len : 4096;

        str_reserve(ret, room);
        ssize_t n = read(fd, ret->data + ret->len, room);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return read_error(err, path, -errno);
        str_advance(ret, (size_t)n);
        if (n == 0)
            return 0;
    }
    return read_error(err, path, -EFBIG);
}

bool lines_list_word(struct span *list, struct span *ret)
{
    size_t from = 0, depth = 0, i;

    while (from < list->len && (is_space(list->ptr[from]) || list->ptr[from] == ','))
        from++;
    if (from == list->len)
        return false;
    for (i = from; i < list->len; i++) {
        char c = list->ptr[i];

        if (c == '{')
            depth++;
        else if (c == '}' && depth > 0)
            depth--;
        else if (depth == 0 && (is_space(c) || c == ','))
            break;
    }
    *ret = span_make(list->ptr + from, i - from);
    *list = span_from(*list, i);
    return true;
}
