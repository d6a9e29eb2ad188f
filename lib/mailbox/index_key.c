/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_key.c - keys of the index (schema: index.h), and access to one record by its key
 *
 * LMDB finds its way to a record by the keys of branch pages. One of those that is damaged leads past records that are there: messages
 * would be gone for one command, and there for the next, which walks over them. So what is not found has its place looked at, and so has where a walk begins.
 *
 * Runs in: imapd, pop3d, as the mailbox owner.
 */
#include <errno.h>

#include "mailbox/index_parts.h"

void index_key_add(struct index_key *k, uint64_t n, unsigned width)
{
    while (width-- > 0)
        k->bytes[k->len++] = (unsigned char)(n >> (8 * width) & 255);
}

struct index_key index_key_of(char kind, uint64_t id)
{
    struct index_key k;

    k.bytes[0] = (unsigned char)kind;
    k.len = 1;
    index_key_add(&k, id, 8);
    return k;
}

struct index_key index_key_numbered(char kind, uint64_t id, uint32_t n)
{
    struct index_key k = index_key_of(kind, id);

    index_key_add(&k, n, 4);
    return k;
}

struct index_key index_key_modseq(char kind, uint64_t id, uint64_t modseq, uint32_t n)
{
    struct index_key k = index_key_of(kind, id);

    index_key_add(&k, modseq, 8);
    index_key_add(&k, n, 4);
    return k;
}

uint64_t index_key_number(const void *bytes, size_t offset, unsigned width)
{
    const unsigned char *p = (const unsigned char *)bytes + offset;
    uint64_t n = 0;

    while (width-- > 0)
        n = n << 8 | *p++;
    return n;
}

int index_errno(int rc)
{
    switch (rc) {
    case MDB_SUCCESS:
        return 0;
    case MDB_NOTFOUND:
        return -ENOENT;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
        return -ENOSPC;
    case MDB_READERS_FULL:
        return -EAGAIN;
    case EINVAL: /* nothing that we ask for is; a page's number may be */
    case EFBIG:
        return -EBADMSG;
    default:
        return rc > 0 ? -rc : -EBADMSG;
    }
}

int index_check_place(struct index_txn *t, const MDB_val *wanted, bool missing)
{
    MDB_val key = *wanted;
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(t->txn, t->db, &cursor);

    if (rc != MDB_SUCCESS)
        return index_errno(rc);
    rc = index_cursor_get(cursor, &key, NULL, MDB_SET_RANGE);
    bool in_order = rc != MDB_SUCCESS || mdb_cmp(t->txn, t->db, &key, wanted) >= missing;
    if (rc == MDB_SUCCESS || rc == MDB_NOTFOUND)
        rc = index_cursor_get(cursor, &key, NULL, rc == MDB_SUCCESS ? MDB_PREV : MDB_LAST);
    in_order = in_order && (rc != MDB_SUCCESS || mdb_cmp(t->txn, t->db, &key, wanted) < 0);
    mdb_cursor_close(cursor);
    if (rc != MDB_SUCCESS && rc != MDB_NOTFOUND)
        return index_errno(rc);
    return in_order ? 0 : -EBADMSG;
}

static int not_found(struct index_txn *t, const MDB_val *key)
{
    int r = index_check_place(t, key, true);

    return r < 0 ? r : -ENOENT;
}

int index_get(struct index_txn *t, struct index_key *k, struct span *ret)
{
    MDB_val key = { k->len, k->bytes }, value;
    int rc = index_lmdb_get(t, &key, &value);

    if (rc == MDB_NOTFOUND)
        return not_found(t, &key);
    if (rc != MDB_SUCCESS)
        return index_errno(rc);
    *ret = span_make(value.mv_data, value.mv_size);
    return 0;
}

int index_put(struct index_txn *t, struct index_key *k, struct span bytes)
{
    MDB_val key = { k->len, k->bytes }, value = { bytes.len, (void *)bytes.ptr };

    return index_errno(index_lmdb_put(t, &key, &value));
}

int index_delete(struct index_txn *t, struct index_key *k)
{
    MDB_val key = { k->len, k->bytes };
    int rc = index_lmdb_delete(t, &key);

    return rc == MDB_NOTFOUND ? not_found(t, &key) : index_errno(rc);
}
