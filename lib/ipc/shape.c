/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shape.c - a message as bytes, by the shape that both ends share
 *
 * The reader mistrusts the writer although "it is only us": a process that was
 * taken over must not take over its neighbours. Each field must come once, in
 * range, and nothing else may come. Fields usually arrive in the shape's order, so
 * the search for a name starts behind the field found last.
 *
 * Runs in: every program (input is hostile). Logs nothing.
 */
#include "ipc/shape.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { SHAPE_FIELDS_MAX = 64 }; /* bits of `seen` */

static void add_u32(struct str *out, size_t n)
{
    uint32_t net = htonl((uint32_t)n);

    str_add(out, span_make(&net, sizeof net));
}

static void add_name(struct str *out, const char *name)
{
    str_add(out, span_make(name, strlen(name) + 1));
}

static void add_value(struct str *out, struct span value)
{
    add_u32(out, value.len);
    str_add(out, value);
}

/* add_number - decimal text; -EMSGSIZE above the shape's limit */
static int add_number(struct str *out, uint64_t n, uint64_t max)
{
    char text[24], *first = text + sizeof text;
    uint64_t rest = n;

    if (n > max)
        return -EMSGSIZE;
    do /* not printf: a listing of the queue has millions of them */
        *--first = (char)('0' + rest % 10);
    while (rest /= 10);
    add_value(out, span_make(first, (size_t)(text + sizeof text - first)));
    return 0;
}

static int encode_field(const struct ipc_field *f, const char *msg, struct str *out)
{
    const char *member = msg + f->offset;

    add_name(out, f->name);
    switch (f->kind) {
    case IPC_KIND_U32:
        return add_number(out, *(const uint32_t *)(const void *)member, f->max);
    case IPC_KIND_U64:
        return add_number(out, *(const uint64_t *)(const void *)member, f->max);
    case IPC_KIND_STR: {
        size_t len = strnlen(member, f->max + 1);

        if (len > f->max)
            return -EMSGSIZE;
        add_value(out, span_make(member, len));
        return 0;
    }
    case IPC_KIND_DYN: {
        const struct str *s = (const void *)member;

        if (s->len > f->max)
            return -EMSGSIZE;
        add_value(out, str_span(s));
        return 0;
    }
    case IPC_KIND_END:
        break;
    }
    return -EMSGSIZE;
}

int ipc_encode(const struct ipc_shape *shape, const void *msg, struct str *out)
{
    size_t start = out->len;

    add_name(out, shape->type);
    for (const struct ipc_field *f = shape->fields; f->kind != IPC_KIND_END; f++) {
        int r = encode_field(f, msg, out);

        if (r < 0) {
            str_truncate(out, start);
            return r;
        }
    }
    return 0;
}

/* take_name - the bytes before the next NUL, which must come soon */
static int take_name(struct span *in, struct span *ret)
{
    ptrdiff_t end = span_chr(span_first(*in, IPC_NAME_MAX + 1), '\0');

    if (end <= 0)
        return -EPROTO;
    *ret = span_first(*in, (size_t)end);
    *in = span_from(*in, (size_t)end + 1);
    return 0;
}

static int take_value(struct span *in, struct span *ret)
{
    uint32_t net;

    if (in->len < sizeof net)
        return -EPROTO;
    memcpy(&net, in->ptr, sizeof net);
    *in = span_from(*in, sizeof net);
    size_t len = ntohl(net);
    if (in->len < len)
        return -EPROTO;
    *ret = span_first(*in, len);
    *in = span_from(*in, len);
    return 0;
}

int ipc_decode_type(struct span *body, struct span *ret)
{
    return take_name(body, ret);
}

static int decode_value(const struct ipc_field *f, struct span value, char *msg)
{
    char *member = msg + f->offset;
    uint64_t n;

    switch (f->kind) {
    case IPC_KIND_U32:
        if (span_u64(value, f->max < UINT32_MAX ? f->max : UINT32_MAX, &n) < 0)
            return -EPROTO;
        *(uint32_t *)(void *)member = (uint32_t)n;
        return 0;
    case IPC_KIND_U64:
        if (span_u64(value, f->max, &n) < 0)
            return -EPROTO;
        *(uint64_t *)(void *)member = n;
        return 0;
    case IPC_KIND_STR:
        if (value.len > f->max || span_chr(value, '\0') >= 0)
            return -EPROTO;
        if (value.len > 0)
            memcpy(member, value.ptr, value.len);
        member[value.len] = '\0';
        return 0;
    case IPC_KIND_DYN:
        if (value.len > f->max)
            return -EPROTO;
        str_set((struct str *)(void *)member, value);
        return 0;
    case IPC_KIND_END:
        break;
    }
    return -EPROTO;
}

/* find_field - its index, searched cyclically from `from` on; -1 */
static int find_field(const struct ipc_shape *shape, size_t n, size_t from, struct span name)
{
    for (size_t i = 0; i < n; i++) {
        size_t at = (from + i) % n;

        if (span_eq_str(name, shape->fields[at].name))
            return (int)at;
    }
    return -1;
}

int ipc_decode_fields(struct span in, const struct ipc_shape *shape, void *msg)
{
    size_t n = 0, next = 0;
    uint64_t seen = 0;

    while (shape->fields[n].kind != IPC_KIND_END)
        n++;
    assert(n < SHAPE_FIELDS_MAX);
    while (in.len > 0) {
        struct span name, value;

        if (take_name(&in, &name) < 0 || take_value(&in, &value) < 0)
            return -EPROTO;
        int at = find_field(shape, n, next, name);
        if (at < 0 || seen & (UINT64_C(1) << at))
            return -EPROTO;
        if (decode_value(&shape->fields[at], value, msg) < 0)
            return -EPROTO;
        seen |= UINT64_C(1) << at;
        next = (size_t)at + 1;
    }
    return seen == (UINT64_C(1) << n) - 1 ? 0 : -EPROTO;
}

void ipc_msg_done(const struct ipc_shape *shape, void *msg)
{
    for (const struct ipc_field *f = shape->fields; f->kind != IPC_KIND_END; f++)
        if (f->kind == IPC_KIND_DYN)
            str_free((struct str *)(void *)((char *)msg + f->offset));
}
