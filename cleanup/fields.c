/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fields.c - a header section as a list of fields that filters may change
 *
 * Runs in: cleanup. The section is hostile; changes come from filters that have read it, so a value is never
 * let out of its field.
 */
#include "cleanup/fields.h"

#include <errno.h>

#include "base/mem.h"
#include "mail/header.h"

#define FIELDS_MAX 20000
#define BYTES_MAX  (4 * 1024 * 1024)

void fields_done(struct fields *f)
{
    for (size_t i = 0; i < f->len; i++)
        str_free(&f->items[i].raw);
    free(f->items);
    *f = (struct fields){ 0 };
}

static void put(struct fields *f, size_t at, struct field field)
{
    MEM_GROW(f->items, f->len, f->cap);
    memmove(&f->items[at + 1], &f->items[at], (f->len - at) * sizeof(*f->items));
    f->items[at] = field;
    f->len++;
    f->bytes += field.raw.len;
}

void fields_parse(struct span section, size_t own_at, struct fields *ret)
{
    struct span rest = section;
    struct header_field h;

    *ret = (struct fields){ 0 };
    while (rest.len > 0) {
        size_t at = section.len - rest.len;
        struct field field = { .ours = at == own_at };

        if (header_next(&rest, SIZE_MAX, &h) == 0)
            break;
        str_add(&field.raw, h.raw);
        field.name_len = h.name.len;
        put(ret, ret->len, field);
    }
}

void fields_join(const struct fields *f, struct str *ret)
{
    for (size_t i = 0; i < f->len; i++)
        str_add(ret, str_span(&f->items[i].raw));
}

static struct span name_of(const struct field *f)
{
    return span_first(str_span(&f->raw), f->name_len);
}

bool fields_get(const struct fields *f, size_t i, struct span *ret_name, struct span *ret_value)
{
    for (size_t at = 0; at < f->len; at++) {
        struct span raw = str_span(&f->items[at].raw);

        if (f->items[at].ours || i-- > 0)
            continue;
        *ret_name = name_of(&f->items[at]);
        *ret_value = span_from(raw, (size_t)span_chr(raw, ':') + 1);
        while (ret_value->len > 0 && (ret_value->ptr[ret_value->len - 1] == '\n' ||
                                      ret_value->ptr[ret_value->len - 1] == '\r'))
            ret_value->len--;
        return true;
    }
    return false;
}

/* ---- changes ---- */

/* field-name; RFC 5322 section 2.2 */
static bool is_name(struct span name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] <= ' ' || name.ptr[i] >= 127 || name.ptr[i] == ':')
            return false;
    return name.len > 0;
}

/* "a\n b" to "a\r\n b\r\n"; a line that does not begin with a blank gets one */
static void add_lines(struct span value, struct str *ret)
{
    bool first = true;

    while (first || value.len > 0) {
        struct span line = span_cut(&value, '\n');

        while (line.len > 0 && line.ptr[line.len - 1] == '\r')
            line.len--;
        if (!first && (line.len == 0 || (line.ptr[0] != ' ' && line.ptr[0] != '\t')))
            str_add_char(ret, '\t');
        for (size_t i = 0; i < line.len; i++)
            if (line.ptr[i] != '\r' && line.ptr[i] != '\0')
                str_add_char(ret, line.ptr[i]);
        str_add_str(ret, "\r\n");
        first = false;
    }
}

static int compose(struct span name, struct span value, enum fields_blank blank, struct field *ret)
{
    struct field f = { .name_len = name.len };

    if (!is_name(name))
        return -EINVAL;
    str_add(&f.raw, name);
    str_add_str(&f.raw, blank == FIELDS_VERBATIM ? ":" : ": ");
    add_lines(value, &f.raw);
    *ret = f;
    return 0;
}

int fields_insert(struct fields *f, size_t at, struct span name, struct span value, enum fields_blank blank)
{
    struct field field;
    int r = compose(name, value, blank, &field);

    if (r < 0)
        return r;
    if (f->len >= FIELDS_MAX || f->bytes + field.raw.len > BYTES_MAX) {
        str_free(&field.raw);
        return -E2BIG;
    }
    put(f, at < f->len ? at : f->len, field);
    return 0;
}

int fields_add(struct fields *f, struct span name, struct span value, enum fields_blank blank)
{
    return fields_insert(f, f->len, name, value, blank);
}

static struct field *find(const struct fields *f, uint32_t number, struct span name)
{
    uint32_t left = number > 0 ? number : 1;

    for (size_t i = 0; i < f->len; i++)
        if (!f->items[i].ours && span_eq_nocase(name_of(&f->items[i]), name) && --left == 0)
            return &f->items[i];
    return NULL;
}

int fields_change(struct fields *f, uint32_t number, struct span name, struct span value, enum fields_blank blank)
{
    struct field *old = find(f, number, name), field;

    if (!old)
        return fields_add(f, name, value, blank);
    int r = compose(name, value, blank, &field);

    if (r < 0)
        return r;
    f->bytes += field.raw.len - old->raw.len;
    str_free(&old->raw);
    *old = field;
    return f->bytes > BYTES_MAX ? -E2BIG : 0;
}

void fields_delete(struct fields *f, uint32_t number, struct span name)
{
    struct field *old = find(f, number, name);

    if (!old)
        return;
    size_t at = (size_t)(old - f->items);

    f->bytes -= old->raw.len;
    str_free(&old->raw);
    memmove(old, old + 1, (f->len - at - 1) * sizeof(*old));
    f->len--;
}
