/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_page.c - pages of 32 messages within a transaction: one is kept decoded, and written once
 *
 * A page lies under its number, and a second time, by its greatest modseq, among the changes.
 *
 * Runs in: imapd, pop3d, as the mailbox owner. What is read may be damaged.
 */
#include <errno.h>

#include "base/mem.h"
#include "mailbox/index_parts.h"

void index_kept_page_free(struct index_kept_page *k)
{
    if (k)
        str_free(&k->name);
    free(k);
}

static uint64_t greatest_modseq(const struct index_page *p)
{
    uint64_t max = 0;

    for (uint32_t i = 0; i < p->len; i++)
        if (p->items[i].modseq > max)
            max = p->items[i].modseq;
    return max;
}

/* Its place among the changes */
static int move_change(struct index_txn *t, const struct index_kept_page *k, uint64_t modseq)
{
    struct index_key old = index_key_modseq('c', k->id, k->stored_modseq, k->number),
                     new = index_key_modseq('c', k->id, modseq, k->number);

    if (k->stored_modseq == modseq)
        return 0;
    if (k->stored_modseq != 0) {
        int r = index_delete(t, &old);
        if (r < 0)
            return r == -ENOENT ? -EBADMSG : r;
    }
    return modseq == 0 ? 0 : index_put(t, &new, SPAN_NULL);
}

static int write_page(struct index_txn *t, const struct index_kept_page *k)
{
    _cleanup_(str_free) struct str bytes = STR_INIT;
    struct index_key key = index_key_numbered('p', k->id, k->number);

    if (k->page.len == 0)
        return k->stored_modseq == 0 ? 0 : index_delete(t, &key);
    record_page_encode(&k->page, &bytes);
    return index_put(t, &key, str_span(&bytes));
}

int index_page_flush(struct index_txn *t)
{
    struct index_kept_page *k = t->kept;

    if (!k || !k->valid || !k->changed)
        return 0;
    k->valid = false; /* also when this fails: the transaction has failed then */
    uint64_t modseq = greatest_modseq(&k->page);
    int r = move_change(t, k, modseq);
    if (r == 0)
        r = write_page(t, k);
    if (r < 0)
        return r;
    k->stored_modseq = modseq;
    k->valid = true;
    k->changed = false;
    return 0;
}

/* Make it the kept page. */
static int keep(struct index_txn *t, uint64_t id, uint32_t number)
{
    struct index_kept_page *k = t->kept;
    struct index_key key = index_key_numbered('p', id, number);
    struct span bytes;

    if (k && k->valid && k->id == id && k->number == number)
        return 0;
    int r = index_page_flush(t);
    if (r < 0)
        return r;
    if (!k)
        k = t->kept = mem_new(struct index_kept_page);
    k->valid = false;
    k->page.len = 0;
    r = index_get(t, &key, &bytes);
    if (r == 0)
        r = record_page_decode(bytes, number, &k->page);
    if (r < 0 && r != -ENOENT)
        return r;
    k->id = id;
    k->number = number;
    k->stored_modseq = greatest_modseq(&k->page);
    k->valid = true;
    k->changed = false;
    return 0;
}

int index_page_get(struct index_txn *t, uint64_t id, uint32_t number, const struct index_page **ret)
{
    int r = keep(t, id, number);

    if (r == 0)
        *ret = &t->kept->page;
    return r;
}

/* Where a UID is on the kept page, or would be. */
static uint32_t place_of(const struct index_page *p, uint32_t uid)
{
    uint32_t i = 0;

    while (i < p->len && p->items[i].uid < uid)
        i++;
    return i;
}

static bool has(const struct index_page *p, uint32_t at, uint32_t uid)
{
    return at < p->len && p->items[at].uid == uid;
}

int index_page_find(struct index_txn *t, uint64_t id, uint32_t uid, const struct index_message **ret)
{
    int r = keep(t, id, record_page_of(uid));

    if (r < 0)
        return r;
    uint32_t at = place_of(&t->kept->page, uid);
    if (!has(&t->kept->page, at, uid))
        return -ENOENT;
    *ret = &t->kept->page.items[at];
    return 0;
}

int index_page_set(struct index_txn *t, uint64_t id, const struct index_message *m)
{
    int r = keep(t, id, record_page_of(m->uid));

    if (r < 0)
        return r;
    struct index_page *p = &t->kept->page;
    uint32_t at = place_of(p, m->uid);
    if (!has(p, at, m->uid)) {
        memmove(&p->items[at + 1], &p->items[at], (p->len - at) * sizeof p->items[0]);
        p->len++;
    }
    p->items[at] = *m;
    p->items[at].file = SPAN_NULL; /* where it lies will be something else soon */
    t->kept->changed = true;
    return 0;
}

int index_page_remove(struct index_txn *t, uint64_t id, uint32_t uid)
{
    int r = keep(t, id, record_page_of(uid));

    if (r < 0)
        return r;
    struct index_page *p = &t->kept->page;
    uint32_t at = place_of(p, uid);
    if (!has(p, at, uid))
        return -EBADMSG;
    p->len--;
    memmove(&p->items[at], &p->items[at + 1], (p->len - at) * sizeof p->items[0]);
    t->kept->changed = true;
    return 0;
}
