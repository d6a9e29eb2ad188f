/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listing.c - the mailboxes of an account in order
 *
 * An account may have thousands of mailboxes and subscriptions. In sorted names what is below a parent stands together, so
 * a parent is looked for once: at the first name below it.
 *
 * Runs in: imapd, pop3d, as the mailbox owner. Names may be anything.
 */
#include "mailbox/listing.h"

#include <stdlib.h>

#include "base/mem.h"

static void add(struct listing *l, char *name, bool selectable)
{
    MEM_GROW(l->items, l->len, l->cap);
    l->items[l->len++] = (struct mailbox_info){ .name = name, .selectable = selectable };
}

void listing_add(struct listing *l, char *name)
{
    add(l, name, true);
}

static int compare(const void *a, const void *b, void *arg)
{
    const struct mailbox_info *x = a, *y = b;
    struct listing *l = arg;
    bool xi = strcmp(x->name, "INBOX") == 0, yi = strcmp(y->name, "INBOX") == 0;

    l->compared++;
    if (xi != yi)
        return xi ? -1 : 1;
    return strcmp(x->name, y->name);
}

static void sort(struct listing *l)
{
    if (l->len > 1)
        qsort_r(l->items, l->len, sizeof *l->items, compare, l);
}

/* Among the first n, which are sorted */
static struct mailbox_info *find(struct listing *l, size_t n, const char *name)
{
    struct mailbox_info key = { .name = (char *)(uintptr_t)name };
    size_t low = 0;

    while (low < n) {
        size_t mid = low + (n - low) / 2;
        int order = compare(&key, &l->items[mid], l);

        if (order == 0)
            return &l->items[mid];
        if (order < 0)
            n = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

struct mailbox_info *listing_find(struct listing *l, const char *name)
{
    return find(l, l->len, name);
}

static size_t common(const char *a, const char *b)
{
    size_t n = 0;

    while (a[n] != '\0' && a[n] == b[n])
        n++;
    return n;
}

/* Mark the parents of sorted names, and append those that are missing. */
static void add_parents(struct listing *l)
{
    size_t n = l->len;

    for (size_t i = 0; i < n; i++) {
        struct span name = span_of(l->items[i].name);
        size_t known = i > 0 ? common(l->items[i - 1].name, l->items[i].name) : 0;

        for (size_t at = known; at < name.len; at++) {
            if (name.ptr[at] != '/')
                continue;
            _cleanup_free_ char *parent = mem_dup_span(span_first(name, at));
            struct mailbox_info *found = find(l, n, parent);

            if (!found) {
                add(l, TAKE_PTR(parent), false);
                found = &l->items[l->len - 1];
            }
            found->has_children = true;
        }
    }
}

static void add_subscribed(struct listing *l, const struct name_list *names)
{
    size_t n = l->len;

    for (size_t i = 0; i < names->len; i++) {
        struct mailbox_info *m = find(l, n, names->items[i]);

        if (!m) {
            add(l, mem_strdup(names->items[i]), false);
            m = &l->items[l->len - 1];
        }
        m->subscribed = true;
    }
}

void listing_complete(struct listing *l, const struct name_list *subscribed)
{
    sort(l);
    add_parents(l);
    sort(l);
    add_subscribed(l, subscribed);
    sort(l);
}
