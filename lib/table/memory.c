/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c - the types that are read whole: texthash, inline, passwd-file
 *
 * A line that is wrong refuses the whole file, with its name and line: serving the
 * rest would hide a typing error until its victim complains.
 *
 * Runs in: every program that reads tables; the files are the administrator's.
 */
#include <errno.h>

#include "base/mem.h"
#include "base/own.h"
#include "table/lines.h"
#include "table/source.h"
#include "table/type.h"

static void dict_drop(struct dict **d)
{
    if (*d) {
        dict_done(*d);
        free(*d);
    }
}

int memory_get(void *impl, struct span key, struct str *value)
{
    const struct dict_entry *e = dict_get(impl, key);

    if (!e)
        return 0;
    str_add(value, e->value);
    return 1;
}

void memory_close(void *impl)
{
    struct dict *d = impl;

    dict_drop(&d);
}

int memory_each(void *impl, table_pair_fn *fn, void *arg)
{
    const struct dict *d = impl;

    for (size_t i = 0; i < d->len; i++)
        fn(d->entries[i]->node.key, d->entries[i]->value, arg);
    return 0;
}

/* The first of two equal keys counts; the first such pair is reported. */
static void add_folded(struct dict *d, const struct table_opening *o, int line, struct span key,
                       struct span value)
{
    _cleanup_(str_free) struct str lower = STR_INIT;

    str_add_lower(&lower, key);
    if (!dict_add(d, str_span(&lower), value) && o->warn->len == 0)
        str_addf(o->warn, "%s, line %d: duplicate entry: \"%s\"", o->path, line, str_cstr(&lower));
}

typedef int load_fn(const struct table_opening *o, struct span text, struct dict *d);

static int open_file(const struct table_opening *o, load_fn *load, void **ret)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    _cleanup_(dict_drop) struct dict *d = mem_new(struct dict);
    int r = lines_read_file(o->path, TABLE_FILE_MAX, &text, o->err);

    if (r < 0)
        return r;
    r = load(o, str_span(&text), d);
    if (text.len > 0)
        explicit_bzero(text.data, text.len); /* it may hold credentials */
    if (r < 0)
        return r;
    *ret = TAKE_PTR(d);
    return 0;
}

static int load_texthash(const struct table_opening *o, struct span text, struct dict *d)
{
    _cleanup_(lines_done) struct lines lines = LINES_INIT(text);
    struct span line, key, value;

    while (lines_next(&lines, &line)) {
        const char *wrong = source_map_line(line, &key, &value);

        if (wrong)
            return lines_error(o->err, o->path, lines.number, "%s", wrong);
        add_folded(d, o, lines.number, key, value);
    }
    return 0;
}

int texthash_open(const struct table_opening *o, void **ret)
{
    return open_file(o, load_texthash, ret);
}

/* user:{SCHEME}hash:uid:gid:gecos:home:shell:extra; all behind the user is the value */
static bool passwd_line(struct span line, struct span *ret_key, struct span *ret_value)
{
    struct span user = span_cut(&line, ':');

    if (user.len == 0 || user.len > TABLE_KEY_MAX || line.len == 0 || line.len > TABLE_VALUE_MAX ||
        memchr(line.ptr, '\0', line.len))
        return false;
    *ret_key = user;
    *ret_value = line;
    return true;
}

/* Lines of this format are not continued: each physical line stands for itself. */
static int load_passwd(const struct table_opening *o, struct span text, struct dict *d)
{
    for (int number = 1; text.len > 0; number++) {
        struct span line = span_trim(span_cut(&text, '\n')), user, rest;

        if (line.len == 0 || line.ptr[0] == '#')
            continue;
        if (!passwd_line(line, &user, &rest))
            return lines_error(o->err, o->path, number,
                               "expected format: user:{SCHEME}hash:uid:gid::home::");
        add_folded(d, o, number, user, rest);
    }
    return 0;
}

int passwd_file_open(const struct table_opening *o, void **ret)
{
    return open_file(o, load_passwd, ret);
}

/* "key=value", or "{ key = value with blanks }" */
static bool inline_pair(struct span item, struct span *ret_key, struct span *ret_value)
{
    if (item.len >= 2 && item.ptr[0] == '{' && item.ptr[item.len - 1] == '}')
        item = span_make(item.ptr + 1, item.len - 2);
    struct span value = item;
    struct span key = span_cut(&value, '=');

    if (key.len == item.len)
        return false;
    *ret_key = span_trim(key);
    *ret_value = span_trim(value);
    return ret_key->len > 0 && ret_key->len <= TABLE_KEY_MAX && ret_value->len > 0;
}

int inline_open(const struct table_opening *o, void **ret)
{
    _cleanup_(dict_drop) struct dict *d = mem_new(struct dict);
    struct span rest = span_trim(span_of(o->name)), item, key, value;

    if (rest.len < 2 || rest.ptr[0] != '{' || rest.ptr[rest.len - 1] != '}') {
        str_addf(o->err, "bad inline table \"inline:%s\": expected inline:{name=value, name=value}",
                 o->name);
        return -EINVAL;
    }
    rest = span_make(rest.ptr + 1, rest.len - 2);
    while (lines_list_word(&rest, &item)) {
        if (!inline_pair(item, &key, &value)) {
            str_addf(o->err,
                     "bad entry \"" SPAN_FMT
                     "\" in \"inline:%s\": expected name=value or { name = value }",
                     SPAN_ARG(item), o->name);
            return -EINVAL;
        }
        _cleanup_(str_free) struct str lower = STR_INIT;

        str_add_lower(&lower, key);
        if (!dict_add(d, str_span(&lower), value))
            str_addf(o->warn, "inline:%s: duplicate entry: \"%s\"", o->name, str_cstr(&lower));
    }
    *ret = TAKE_PTR(d);
    return 0;
}
