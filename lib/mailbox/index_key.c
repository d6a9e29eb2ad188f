/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_key.c - keys of the index (schema: index.h), and access to one record by its key
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

int index_get(struct index_txn *t, struct index_key *k, struct span *ret)
{
    MDB_val key = { k->len, k->bytes }, value;
    int rc = mdb_get(t->txn, t->db, &key, &value);

    if (rc != MDB_SUCCESS)
        return index_errno(rc);
    *ret = span_make(value.mv_data, value.mv_size);
    return 0;
}

int index_put(struct index_txn *t, struct index_key *k, struct span bytes)
{
    MDB_val key = { k->len, k->bytes }, value = { bytes.len, (void *)bytes.ptr };

    return index_errno(mdb_put(t->txn, t->db, &key, &value, 0));
}

int index_delete(struct index_txn *t, struct index_key *k)
{
    MDB_val key = { k->len, k->bytes };

    return index_errno(mdb_del(t->txn, t->db, &key, NULL));
}
