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

static struct key page_key(uint64_t id, uint32_t page)
{
    struct key k = key_of('p', id);

    key_number(&k, page, 4);
    return k;
}

/* kind: 'c' and a page, or 'x' and a UID */
static struct key modseq_key(char kind, uint64_t id, uint64_t modseq, uint32_t which)
{
    struct key k = key_of(kind, id);

    key_number(&k, modseq, 8);
    key_number(&k, which, 4);
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

    for (const char *kind = "bcdkmnpx"; *kind && rc == MDB_SUCCESS; kind++) {
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
    struct span bytes, names = SPAN_NULL;
    int r = get(t, &k, &bytes);

    if (r == 0)
        r = record_bytes_decode(bytes, &names);
    if (r < 0 && r != -ENOENT)
        return r;
    if (names.len > 0 && names.ptr[names.len - 1] != '\0')
        return -EBADMSG;
    str_set(ret, names);
    return 0;
}

int index_keywords_put(struct index_txn *t, uint64_t id, struct span names)
{
    _cleanup_(str_free) struct str bytes = STR_INIT;
    struct key k = key_of('k', id);

    record_bytes_encode(names, &bytes);
    return put(t, &k, str_span(&bytes));
}

/* ---- pages of messages ---- */

static int page_get(struct index_txn *t, uint64_t id, uint32_t number, struct index_page *ret)
{
    struct key k = page_key(id, number);
    struct span bytes;
    int r = get(t, &k, &bytes);

    return r < 0 ? r : record_page_decode(bytes, number, ret);
}

static uint64_t page_modseq(const struct index_page *p)
{
    uint64_t max = 0;

    for (uint32_t i = 0; i < p->len; i++)
        if (p->items[i].modseq > max)
            max = p->items[i].modseq;
    return max;
}

/* Where a UID is on its page, or would be. */
static uint32_t page_find(const struct index_page *p, uint32_t uid)
{
    uint32_t i = 0;

    while (i < p->len && p->items[i].uid < uid)
        i++;
    return i;
}

static bool page_has(const struct index_page *p, uint32_t at, uint32_t uid)
{
    return at < p->len && p->items[at].uid == uid;
}

/* Store a page that has been changed, and its place among the changes. before: its modseq as it was, 0 if there was no
 * such page. */
static int page_put(struct index_txn *t, uint64_t id, uint32_t number, const struct index_page *p, uint64_t before)
{
    _cleanup_(str_free) struct str bytes = STR_INIT;
    struct key k = page_key(id, number), change;
    uint64_t after = page_modseq(p);
    int r = 0;

    if (before != 0 && before != after) {
        change = modseq_key('c', id, before, number);
        r = delete(t, &change);
        if (r < 0)
            return r == -ENOENT ? -EBADMSG : r;
    }
    if (p->len == 0)
        return delete(t, &k);
    if (before != after) {
        change = modseq_key('c', id, after, number);
        r = put(t, &change, SPAN_NULL);
    }
    if (r < 0)
        return r;
    record_page_encode(p, &bytes);
    return put(t, &k, str_span(&bytes));
}

static int page_set(struct index_txn *t, uint64_t id, const struct index_message *m)
{
    uint32_t number = record_page_of(m->uid);
    struct index_page p = { .len = 0 };
    int r = page_get(t, id, number, &p);

    if (r < 0 && r != -ENOENT)
        return r;
    uint64_t before = page_modseq(&p);
    uint32_t at = page_find(&p, m->uid);
    if (!page_has(&p, at, m->uid)) {
        memmove(&p.items[at + 1], &p.items[at], (p.len - at) * sizeof p.items[0]);
        p.len++;
    }
    p.items[at] = *m;
    return page_put(t, id, number, &p, before);
}

static int page_remove(struct index_txn *t, uint64_t id, uint32_t uid)
{
    uint32_t number = record_page_of(uid);
    struct index_page p;
    int r = page_get(t, id, number, &p);

    if (r < 0)
        return r == -ENOENT ? -EBADMSG : r;
    uint64_t before = page_modseq(&p);
    uint32_t at = page_find(&p, uid);
    if (!page_has(&p, at, uid))
        return -EBADMSG;
    p.len--;
    memmove(&p.items[at], &p.items[at + 1], (p.len - at) * sizeof p.items[0]);
    return page_put(t, id, number, &p, before);
}

/* ---- messages ---- */

int index_message_get(struct index_txn *t, uint64_t id, uint32_t uid, struct index_message *ret)
{
    struct key k = message_key(id, uid);
    struct index_page p;
    struct span bytes;
    int r = page_get(t, id, record_page_of(uid), &p);

    if (r < 0)
        return r;
    uint32_t at = page_find(&p, uid);
    if (!page_has(&p, at, uid))
        return -ENOENT;
    r = get(t, &k, &bytes);
    if (r < 0)
        return r == -ENOENT ? -EBADMSG : r;
    *ret = p.items[at];
    return record_name_decode(bytes, &ret->file);
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

static int put_base(struct index_txn *t, uint64_t id, const struct index_message *m)
{
    struct key k = name_key(id, base_of(m->file)), number = { .len = 0 };

    key_number(&number, m->uid, 4);
    return put(t, &k, span_make(number.bytes, number.len));
}

static int put_file(struct index_txn *t, uint64_t id, const struct index_message *m)
{
    _cleanup_(str_free) struct str bytes = STR_INIT;
    struct key k = message_key(id, m->uid);

    record_bytes_encode(m->file, &bytes);
    return put(t, &k, str_span(&bytes));
}

int index_message_put(struct index_txn *t, uint64_t id, struct index_mailbox *mb,
                      const struct index_message *old, const struct index_message *m)
{
    int r = page_set(t, id, m);

    if (r == 0 && !old)
        r = put_base(t, id, m);
    if (r == 0 && (!old || !span_eq(old->file, m->file)))
        r = put_file(t, id, m);
    if (r < 0)
        return r;
    if (old)
        count(mb, old, -1);
    count(mb, m, 1);
    return 0;
}

/* When too many expunges are remembered, the older half is forgotten. */
static int trim_expunged(struct index_txn *t, uint64_t id, struct index_mailbox *mb)
{
    struct key start = key_of('x', id);
    MDB_val key = { start.len, start.bytes };
    MDB_cursor *cursor;

    if (mb->expunged <= INDEX_EXPUNGED_MAX)
        return 0;
    int rc = mdb_cursor_open(t->txn, t->db, &cursor);
    if (rc != MDB_SUCCESS)
        return map_error(rc);
    rc = mdb_cursor_get(cursor, &key, NULL, MDB_SET_RANGE);
    while (rc == MDB_SUCCESS && has_prefix(&key, &start) && mb->expunged > INDEX_EXPUNGED_MAX / 2) {
        mb->expunged_since = number_at(key.mv_data, 9, 8);
        mb->expunged--;
        rc = mdb_cursor_del(cursor, 0);
        if (rc == MDB_SUCCESS)
            rc = mdb_cursor_get(cursor, &key, NULL, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : map_error(rc);
}

/* Its base must lead to this message, else another one was mistaken for it. */
static int delete_base(struct index_txn *t, uint64_t id, const struct index_message *m)
{
    struct key k = name_key(id, base_of(m->file));
    uint32_t uid = 0;
    int r = index_name_get(t, id, base_of(m->file), &uid);

    if (r == 0 && uid != m->uid)
        return -EBADMSG;
    return r < 0 ? r : delete(t, &k);
}

int index_message_delete(struct index_txn *t, uint64_t id, struct index_mailbox *mb,
                         const struct index_message *old, uint64_t modseq)
{
    struct key message = message_key(id, old->uid),
               expunged = modseq_key('x', id, modseq, old->uid), note = note_key(id, old->uid);
    int r = page_remove(t, id, old->uid);

    if (r == 0)
        r = delete_base(t, id, old);
    if (r == 0)
        r = delete(t, &message);
    if (r < 0)
        return r == -ENOENT ? -EBADMSG : r;
    r = delete(t, &note);
    if (r < 0 && r != -ENOENT)
        return r;
    count(mb, old, -1);
    mb->expunged++;
    r = put(t, &expunged, SPAN_NULL);
    return r < 0 ? r : trim_expunged(t, id, mb);
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

struct visit {
    struct index_txn *txn;
    uint64_t id;
    uint32_t from_uid;
    index_visit *fn;
    void *arg;
};

static int visit_messages(const struct index_page *p, const struct visit *v)
{
    for (uint32_t i = 0; i < p->len; i++) {
        int r = p->items[i].uid < v->from_uid ? 0 : v->fn(&p->items[i], v->arg);

        if (r != 0)
            return r;
    }
    return 0;
}

static int visit_page(const MDB_val *key, const MDB_val *value, void *arg)
{
    const struct visit *v = arg;
    struct index_page p;

    if (key->mv_size != 13)
        return -EBADMSG;
    int r = record_page_decode(span_make(value->mv_data, value->mv_size), (uint32_t)number_at(key->mv_data, 9, 4), &p);
    return r < 0 ? r : visit_messages(&p, v);
}

int index_each_message(struct index_txn *t, uint64_t id, uint32_t from_uid, index_visit *fn, void *arg)
{
    struct key start = page_key(id, record_page_of(from_uid));
    struct visit v = { t, id, from_uid, fn, arg };

    return each(t, &start, visit_page, &v);
}

static int visit_change(const MDB_val *key, const MDB_val *value, void *arg)
{
    const struct visit *v = arg;
    struct index_page p;

    (void)value;
    if (key->mv_size != 21)
        return -EBADMSG;
    int r = page_get(v->txn, v->id, (uint32_t)number_at(key->mv_data, 17, 4), &p);
    if (r < 0)
        return r == -ENOENT ? -EBADMSG : r;
    return visit_messages(&p, v);
}

int index_each_changed(struct index_txn *t, uint64_t id, uint64_t after_modseq, index_visit *fn, void *arg)
{
    struct key start = modseq_key('c', id, after_modseq + 1, 0);
    struct visit v = { t, id, 0, fn, arg };

    return each(t, &start, visit_change, &v);
}

struct expunged_visit {
    int (*fn)(uint32_t uid, uint64_t modseq, void *arg);
    void *arg;
};

static int visit_expunged(const MDB_val *key, const MDB_val *value, void *arg)
{
    struct expunged_visit *v = arg;

    (void)value;
    if (key->mv_size != 21)
        return -EBADMSG;
    return v->fn((uint32_t)number_at(key->mv_data, 17, 4), number_at(key->mv_data, 9, 8), v->arg);
}

int index_each_expunged(struct index_txn *t, uint64_t id, uint64_t after_modseq,
                        int (*fn)(uint32_t uid, uint64_t modseq, void *arg), void *arg)
{
    struct key start = modseq_key('x', id, after_modseq + 1, 0);
    struct expunged_visit v = { fn, arg };

    return each(t, &start, visit_expunged, &v);
}
