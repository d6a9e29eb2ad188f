/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list_names.c - all that LIST or LSUB could name
 *
 * An account may have thousands of mailboxes and subscriptions, so nothing here looks at all names for each name: a
 * mailbox tells its parents, not a parent its mailboxes, and it stops at the first that was told before.
 *
 * Runs in: imapd. Names may be anything. Logs nothing.
 */
#include "list_names.h"

#include <stdlib.h>

#include "base/mem.h"
#include "mailbox_name.h"

void list_names_done(struct list_names *l)
{
    free(l->items);
    *l = LIST_NAMES_INIT;
}

static int compare(struct list_names *l, struct span a, struct span b)
{
    l->compared++;
    return span_cmp(a, b);
}

/* A name and its mailbox stand before the same name as a mere parent. */
static int by_name(const void *a, const void *b, void *arg)
{
    const struct list_name *x = a, *y = b;
    int order = compare(arg, x->name, y->name);

    return order != 0 ? order : (x->info == NULL) - (y->info == NULL);
}

static void add(struct list_names *l, struct span name, const struct mailbox_info *info)
{
    MEM_GROW(l->items, l->len, l->cap);
    l->items[l->len++] = (struct list_name){ name, info, false };
}

static size_t common(struct span a, struct span b)
{
    size_t n = 0;

    while (n < a.len && n < b.len && a.ptr[n] == b.ptr[n])
        n++;
    return n;
}

/* Those that the subscribed name before it has as well were added with that. */
static void add_parents(struct list_names *l, struct span name, struct span before)
{
    for (size_t at = common(name, before); at < name.len; at++)
        if (at > 0 && name.ptr[at] == MAILBOX_SEPARATOR)
            add(l, span_first(name, at), NULL);
}

void list_names_make(struct list_names *l, const struct mailbox_info *infos, size_t n)
{
    struct span before = SPAN_NULL;
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        struct span name = span_of(infos[i].name);

        add(l, name, &infos[i]);
        if (!infos[i].subscribed)
            continue;
        add_parents(l, name, before);
        before = name;
    }
    if (l->len > 1)
        qsort_r(l->items, l->len, sizeof *l->items, by_name, l);
    for (size_t i = 0; i < l->len; i++)
        if (kept == 0 || !span_eq(l->items[kept - 1].name, l->items[i].name))
            l->items[kept++] = l->items[i];
    l->len = kept;
}

static struct list_name *find(struct list_names *l, struct span name)
{
    size_t low = 0, high = l->len;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = compare(l, name, l->items[mid].name);

        if (order == 0)
            return &l->items[mid];
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

void list_names_note_below(struct list_names *l, const struct list_name *item)
{
    for (size_t at = item->name.len; at-- > 1;) {
        if (item->name.ptr[at] != MAILBOX_SEPARATOR)
            continue;

        struct list_name *parent = find(l, span_first(item->name, at));

        if (parent && parent->has_below)
            return;
        if (parent)
            parent->has_below = true;
    }
}
