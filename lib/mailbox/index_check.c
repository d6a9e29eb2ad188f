/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_check.c - read a whole index: is it sound?
 *
 * With a damaged list of free pages LMDB makes writes that cannot succeed, which look like a full or a broken disk; with
 * damaged order, look-ups find nothing. Values have checksums and are not looked at here.
 *
 * Runs in: imapd, pop3d, as the mailbox owner. The file may hold anything; what LMDB itself runs into is index.c's to catch.
 */
#include "mailbox/index_parts.h"

#include <errno.h>
#include <stdint.h>

#include "base/mem.h"

enum { FREE_PAGES = 0 }; /* LMDB's own tree: page numbers as size_t, their count first, by transaction */

struct check {
    uintptr_t map;          /* where page 0 is; 0: not known yet */
    size_t page_size, pages;
    MDB_dbi db;             /* our tree */
    unsigned char *used;    /* a byte for each page: it holds records, or is on a list of free ones */
};

typedef int check_record(struct check *c, MDB_txn *txn, const MDB_val *key, const MDB_val *value);

/* The pages of a record cannot be free. Each begins with its number, so that all agree on where the first one is. */
static int use(struct check *c, const MDB_val *v)
{
    uintptr_t at = (uintptr_t)v->mv_data, page = at - at % c->page_size;
    size_t first, n = (at - page + v->mv_size + c->page_size - 1) / c->page_size;

    memcpy(&first, (const char *)v->mv_data - (at - page), sizeof first);
    if (first < 2 || first >= c->pages || n > c->pages - first)
        return -EBADMSG;
    if (c->map == 0)
        c->map = page - first * c->page_size;
    if (c->map != page - first * c->page_size)
        return -EBADMSG;
    memset(c->used + first, 1, n);
    return 0;
}

/* The way down from the root has to lead to it as well. */
static int check_ours(struct check *c, MDB_txn *txn, const MDB_val *k, const MDB_val *v)
{
    MDB_val key = *k, found;

    if (mdb_get(txn, c->db, &key, &found) != MDB_SUCCESS || found.mv_data != v->mv_data)
        return -EBADMSG;
    return use(c, v);
}

static int check_free(struct check *c, MDB_txn *txn, const MDB_val *k, const MDB_val *v)
{
    (void)txn;
    (void)k;

    size_t n, page;

    if (v->mv_size < sizeof n)
        return -EBADMSG;
    memcpy(&n, v->mv_data, sizeof n);
    if (n > v->mv_size / sizeof n - 1)
        return -EBADMSG;
    for (size_t i = 1; i <= n; i++) {
        memcpy(&page, (const char *)v->mv_data + i * sizeof page, sizeof page);
        if (page < 2 || page >= c->pages || c->used[page])
            return -EBADMSG;
        c->used[page] = 1;
    }
    return 0;
}

/* Every record of a tree, in order. Those of free pages come last, when the others' pages are known. */
static int check_tree(struct check *c, MDB_txn *txn, MDB_dbi db, check_record *visit)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    MDB_stat stat;
    size_t n = 0;
    int rc = mdb_stat(txn, db, &stat), r = 0;

    if (rc == MDB_SUCCESS)
        rc = mdb_cursor_open(txn, db, &cursor);
    if (rc != MDB_SUCCESS)
        return index_errno(rc);
    while (r == 0 && (rc = mdb_cursor_get(cursor, &key, &value, n ? MDB_NEXT : MDB_FIRST)) == MDB_SUCCESS) {
        r = ++n > stat.ms_entries ? -EBADMSG : use(c, &key);
        if (r == 0)
            r = visit(c, txn, &key, &value);
    }
    mdb_cursor_close(cursor);
    if (r == 0 && (rc != MDB_NOTFOUND || n != stat.ms_entries))
        r = -EBADMSG;
    return r;
}

int index_check(struct index_txn *t)
{
    MDB_env *env = mdb_txn_env(t->txn);
    MDB_envinfo info;
    MDB_stat stat;

    mdb_env_info(env, &info);
    mdb_env_stat(env, &stat);
    struct check c = { .db = t->db, .page_size = stat.ms_psize, .pages = info.me_last_pgno + 1 };
    _cleanup_free_ unsigned char *used = c.used = mem_calloc(c.pages, 1);
    int r = check_tree(&c, t->txn, t->db, check_ours);
    return r < 0 ? r : check_tree(&c, t->txn, FREE_PAGES, check_free);
}
