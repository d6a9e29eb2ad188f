/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seqset.c - sequence sets
 *
 * Kept as ranges, so that "1:*" costs one element whatever the mailbox holds. Merged
 * before use: a message is visited once, however often the client named it.
 *
 * Runs in: imapd (input is hostile). Logs nothing.
 */
#include "seqset.h"

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"

/* seq-number = nz-number / "*" */
static int parse_seq_number(struct span s, uint32_t *ret)
{
    if (span_eq_str(s, "*")) {
        *ret = SEQ_STAR;
        return 0;
    }
    if (span_u32(s, UINT32_MAX, ret) < 0 || *ret == 0)
        return -EINVAL;
    return 0;
}

int seqset_parse(struct span text, struct seqset *ret)
{
    *ret = SEQSET_INIT;
    if (text.len == 0 || text.ptr[text.len - 1] == ',')
        return -EINVAL;
    while (text.len > 0) {
        struct span to = span_cut(&text, ',');
        bool is_range = span_chr(to, ':') >= 0;
        struct span from = span_cut(&to, ':');
        struct seqrange r;

        if (parse_seq_number(from, &r.from) < 0)
            return -EINVAL;
        r.to = r.from;
        if (is_range && parse_seq_number(to, &r.to) < 0)
            return -EINVAL;
        MEM_GROW(ret->items, ret->len, ret->cap);
        ret->items[ret->len++] = r;
    }
    return 0;
}

void seqset_done(struct seqset *s)
{
    free(s->items);
    *s = SEQSET_INIT;
}

static int by_start(const void *a, const void *b)
{
    const struct seqrange *x = a, *y = b;

    return x->from < y->from ? -1 : x->from > y->from;
}

void seqset_add(struct seqset *s, uint32_t n)
{
    if (s->len > 0 && s->items[s->len - 1].to != UINT32_MAX && s->items[s->len - 1].to + 1 == n) {
        s->items[s->len - 1].to = n;
        return;
    }
    MEM_GROW(s->items, s->len, s->cap);
    s->items[s->len++] = (struct seqrange){ n, n };
}

void seqset_copy(const struct seqset *from, struct seqset *ret)
{
    *ret = SEQSET_INIT;
    for (size_t i = 0; from && i < from->len; i++) {
        MEM_GROW(ret->items, ret->len, ret->cap);
        ret->items[ret->len++] = from->items[i];
    }
}

void seqset_resolve(struct seqset *s, uint32_t star)
{
    size_t n = 0;

    for (size_t i = 0; i < s->len; i++) {
        struct seqrange *r = &s->items[i];

        if (r->from == SEQ_STAR)
            r->from = star;
        if (r->to == SEQ_STAR)
            r->to = star;
        if (r->from > r->to)
            *r = (struct seqrange){ r->to, r->from };
    }
    if (s->len > 1)
        qsort(s->items, s->len, sizeof *s->items, by_start);
    for (size_t i = 0; i < s->len; i++) {
        struct seqrange r = s->items[i];

        if (n > 0 && (s->items[n - 1].to == UINT32_MAX || r.from <= s->items[n - 1].to + 1)) {
            if (s->items[n - 1].to < r.to)
                s->items[n - 1].to = r.to;
        } else {
            s->items[n++] = r;
        }
    }
    s->len = n;
}

bool seqset_has(const struct seqset *s, uint32_t n)
{
    size_t low = 0, high = s->len;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (n < s->items[mid].from)
            high = mid;
        else if (n > s->items[mid].to)
            low = mid + 1;
        else
            return true;
    }
    return false;
}

uint32_t seqset_max(const struct seqset *s)
{
    return s->len > 0 ? s->items[s->len - 1].to : 0;
}

static void print_range(struct seqset_printer *p)
{
    if (p->first == 0)
        return;
    str_add_u64(p->out, p->first);
    if (p->last != p->first) {
        str_add_char(p->out, ':');
        str_add_u64(p->out, p->last);
    }
}

void seqset_print_range(struct seqset_printer *p, uint32_t from, uint32_t to)
{
    if (p->first != 0 && from == p->last + 1) {
        p->last = to;
        return;
    }
    print_range(p);
    if (p->first != 0)
        str_add_char(p->out, ',');
    p->first = from;
    p->last = to;
}

void seqset_print(struct seqset_printer *p, uint32_t n)
{
    seqset_print_range(p, n, n);
}

void seqset_print_end(struct seqset_printer *p)
{
    print_range(p);
    p->first = 0;
}
