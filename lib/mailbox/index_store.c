/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_store.c - records of the index by key (schema: index.h)
 *
 * Runs in: imapd, pop3d, as the mailbox owner. What is read may be damaged.
 */
#include <errno.h>

#include "mailbox/index.h"
#include "mailbox/maildir.h"

enum { KEY_MAX = 1 + 8 + 255 + 1 };

struct key {
    unsigned char bytes[KEY_MAX];
    size_t len;
};

static int map_error(int rc)
{
    if (rc == MDB_SUCCESS)
        return 0;
    if (rc == MDB_NOTFOUND)
        return -ENOENT;
    if (rc == MDB_MAP_FULL || rc == MDB_TXN_FULL)
        return -ENOSPC;
    return rc > 0 ? -rc : -EBADMSG;
}

/* ---- keys ---- */

static void key_number(struct key *k, uint64_t n, unsigned width)
{
    while (width-- > 0)
        k->bytes[k->len++] = (unsigned char)(n >> (8 * width) & 255);
}

static struct key key_of(char kind, uint64_t id)
{
    struct key k = { .len = 1 };

    k.bytes[0] = (unsigned char)kind;
    key_number(&k, id, 8);
    return k;
}

static struct key message_key(uint64_t id, uint32_t uid)
{
    struct key k = key_of('m', id);

    key_number(&k, uid, 4);
    return k;
}

static struct key note_key(uint64_t id, uint32_t uid)
{
    struct key k = key_of('d', id);

    key_number(&k, uid, 4);
    return k;
}

static struct key change_key(uint64_t id, uint64_t modseq, uint32_t uid)
{
    struct key k = key_of('c', id);

    key_number(&k, modseq, 8);
    key_number(&k, uid, 4);
    return k;
}

static struct key name_key(uint64_t id, struct span base)
{
    struct key k = key_of('n', id);
    size_t n = base.len <= 255 ? base.len : 255;

    if (n > 0)
        memcpy(k.bytes + k.len, base.ptr, n);
    k.len += n;
    return k;
}

static uint64_t number_at(const void *bytes, size_t offset, unsigned width)
{
    const unsigned char *p = (const unsigned char *)bytes + offset;
    uint64_t n = 0;

    while (width-- > 0)
        n = n << 8 | *p++;
    return n;
}

static int get(struct index_txn *t, struct key *k, struct span *ret)
{
    MDB_val key = { k->len, k->bytes }, value;
    int rc = mdb_get(t->txn, t->db, &key, &value);

    if (rc != MDB_SUCCESS)
        return map_error(rc);
    *ret = span_make(value.mv_data, value.mv_size);
    return 0;
}

static int put(struct index_txn *t, struct key *k, struct span bytes)
{
    MDB_val key = { k->len, k->bytes }, value = { bytes.len, (void *)bytes.ptr };

    return map_error(mdb_put(t->txn, t->db, &key, &value, 0));
}

static int delete(struct index_txn *t, struct key *k)
{
    MDB_val key = { k->len, k->bytes };

    return map_error(mdb_del(t->txn, t->db, &key, NULL));
}

/* ---- mailboxes ---- */

int index_mailbox_get(struct index_txn *t, uint64_t id, struct index_mailbox *ret)
{
    struct key k = key_of('b', id);
    struct span bytes;
    int r = get(t, &k, &bytes);

    return r < 0 ? r : record_mailbox_decode(bytes, ret);
}

int index_mailbox_put(struct index_txn *t, uint64_t id, const struct index_mailbox *m)
{
    _cleanup_(str_free) struct str bytes = STR_INIT;
    struct key k = key_of('b', id);

    record_mailbox_encode(m, &bytes);
    return put(t, &k, str_span(&bytes));
}

static bool has_prefix(const MDB_val *key, const struct key *prefix)
{
    return key->mv_size >= prefix->len && memcmp(key->mv_data, prefix->bytes, prefix->len) == 0;
}

int index_mailbox_drop(struct index_txn *t, uint64_t id)
{
    int rc = MDB_SUCCESS;

    for (const char *kind = "bcdkmn"; *kind && rc == MDB_SUCCESS; kind++) {
        struct key prefix = key_of(*kind, id);
        MDB_val key = { prefix.len, prefix.bytes }, value;
        MDB_cursor *cursor;

        rc = mdb_cursor_open(t->txn, t->db, &cursor);
        if (rc != MDB_SUCCESS)
            return map_error(rc);
        rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
        while (rc == MDB_SUCCESS && has_prefix(&key, &prefix)) {
            rc = mdb_cursor_del(cursor, 0);
            if (rc == MDB_SUCCESS)
                rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        }
        mdb_cursor_close(cursor);
        if (rc == MDB_NOTFOUND)
            rc = MDB_SUCCESS;
    }
    return map_error(rc);
}

int index_keywords_get(struct index_txn *t, uint64_t id, struct str *ret)
{
    struct key k = key_of('k', id);
    struct span bytes = SPAN_NULL;
    int r = get(t, &k, &bytes);

    if (r < 0 && r != -ENOENT)
        return r;
    if (bytes.len > 0 && bytes.ptr[bytes.len - 1] != '\0')
        return -EBADMSG;
    str_set(ret, bytes);
    return 0;
}

int index_keywords_put(struct index_txn *t, uint64_t id, struct span names)
{
    struct key k = key_of('k', id);

    return put(t, &k, names);
}

/* ---- messages ---- */

int index_message_get(struct index_txn *t, uint64_t id, uint32_t uid, struct index_message *ret)
{
    struct key k = message_key(id, uid);
    struct span bytes;
    int r = get(t, &k, &bytes);

    if (r < 0)
        return r;
    ret->uid = uid;
    return record_message_decode(bytes, ret);
}

int index_name_get(struct index_txn *t, uint64_t id, struct span base, uint32_t *ret_uid)
{
    struct key k = name_key(id, base);
    struct span bytes;
    int r = get(t, &k, &bytes);

    if (r < 0)
        return r;
    if (bytes.len != 4)
        return -EBADMSG;
    *ret_uid = (uint32_t)number_at(bytes.ptr, 0, 4);
    return 0;
}

static void count(struct index_mailbox *mb, const struct index_message *m, int sign)
{
    mb->messages += (uint32_t)sign;
    mb->size += (uint64_t)sign * m->vsize;
    if (!(m->flags & MAIL_SEEN))
        mb->unseen += (uint32_t)sign;
    if (m->flags & MAIL_DELETED)
        mb->deleted += (uint32_t)sign;
    if (m->in_new)
        mb->in_new += (uint32_t)sign;
}

static struct span base_of(struct span file)
{
    return span_cut(&file, ':');
}

static int put_name(struct index_txn *t, uint64_t id, const struct index_message *m)
{
    struct key k = name_key(id, base_of(m->file)), number = { .len = 0 };

    key_number(&number, m->uid, 4);
    return put(t, &k, span_make(number.bytes, number.len));
}

int index_message_put(struct index_txn *t, uint64_t id, struct index_mailbox *mb,
                      const struct index_message *old, const struct index_message *m)
{
    _cleanup_(str_free) struct str bytes = STR_INIT;
    struct key message = message_key(id, m->uid), change = change_key(id, m->modseq, m->uid);
    int r;

    if (old && old->modseq != m->modseq) {
        struct key before = change_key(id, old->modseq, old->uid);

        r = delete(t, &before);
        if (r < 0)
            return r == -ENOENT ? -EBADMSG : r;
    }
    if (!old || old->modseq != m->modseq) {
        r = put(t, &change, SPAN_NULL);
        if (r < 0)
            return r;
    }
    if (!old) {
        r = put_name(t, id, m);
        if (r < 0)
            return r;
    }
    record_message_encode(m, &bytes);
    r = put(t, &message, str_span(&bytes));
    if (r < 0)
        return r;
    if (old)
        count(mb, old, -1);
    count(mb, m, 1);
    return 0;
}

int index_message_delete(struct index_txn *t, uint64_t id, struct index_mailbox *mb,
                         const struct index_message *old, uint64_t modseq)
{
    struct key change = change_key(id, old->modseq, old->uid), name = name_key(id, base_of(old->file)),
               message = message_key(id, old->uid), expunged = change_key(id, modseq, old->uid);
    struct key *keys[] = { &change, &name, &message }, note = note_key(id, old->uid);

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        int r = delete(t, keys[i]);
        if (r < 0)
            return r == -ENOENT ? -EBADMSG : r;
    }
    int r = delete(t, &note);
    if (r < 0 && r != -ENOENT)
        return r;
    count(mb, old, -1);
    return put(t, &expunged, (struct span)SPAN("x"));
}

/* ---- notes ---- */

int index_note_get(struct index_txn *t, uint64_t id, uint32_t uid, struct span *ret)
{
    struct key k = note_key(id, uid);

    return get(t, &k, ret);
}

int index_note_put(struct index_txn *t, uint64_t id, uint32_t uid, struct span bytes)
{
    struct key k = note_key(id, uid);

    return put(t, &k, bytes);
}

/* ---- visiting ---- */

/* All keys from `start` on that begin with the first 9 bytes of it: kind and mailbox */
static int each(struct index_txn *t, struct key *start,
                int (*fn)(const MDB_val *key, const MDB_val *value, void *arg), void *arg)
{
    struct key prefix = *start;
    MDB_val key = { start->len, start->bytes }, value;
    MDB_cursor *cursor;
    int r = 0, rc = mdb_cursor_open(t->txn, t->db, &cursor);

    if (rc != MDB_SUCCESS)
        return map_error(rc);
    prefix.len = 9;
    rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    while (rc == MDB_SUCCESS && r == 0 && has_prefix(&key, &prefix)) {
        r = fn(&key, &value, arg);
        if (r == 0)
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return r != 0 || rc == MDB_NOTFOUND ? r : map_error(rc);
}

struct message_visit {
    int (*fn)(const struct index_message *m, void *arg);
    void *arg;
};

static int visit_message(const MDB_val *key, const MDB_val *value, void *arg)
{
    struct message_visit *v = arg;
    struct index_message m;

    if (key->mv_size != 13)
        return -EBADMSG;
    m.uid = (uint32_t)number_at(key->mv_data, 9, 4);
    int r = record_message_decode(span_make(value->mv_data, value->mv_size), &m);
    return r < 0 ? r : v->fn(&m, v->arg);
}

int index_each_message(struct index_txn *t, uint64_t id, uint32_t from_uid,
                       int (*fn)(const struct index_message *m, void *arg), void *arg)
{
    struct key start = message_key(id, from_uid);
    struct message_visit v = { fn, arg };

    return each(t, &start, visit_message, &v);
}

struct change_visit {
    int (*fn)(uint32_t uid, uint64_t modseq, bool expunged, void *arg);
    void *arg;
};

static int visit_change(const MDB_val *key, const MDB_val *value, void *arg)
{
    struct change_visit *v = arg;

    if (key->mv_size != 21)
        return -EBADMSG;
    return v->fn((uint32_t)number_at(key->mv_data, 17, 4), number_at(key->mv_data, 9, 8), value->mv_size > 0,
                 v->arg);
}

int index_each_change(struct index_txn *t, uint64_t id, uint64_t after_modseq,
                      int (*fn)(uint32_t uid, uint64_t modseq, bool expunged, void *arg), void *arg)
{
    struct key start = change_key(id, after_modseq + 1, 0);
    struct change_visit v = { fn, arg };

    return each(t, &start, visit_change, &v);
}
