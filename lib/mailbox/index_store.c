/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_store.c - records of the index by key (schema: index.h)
 *
 * Runs in: imapd, pop3d, as the mailbox owner. What is read may be damaged.
 */
#include <errno.h>

#include "mailbox/index_parts.h"
#include "mailbox/internal.h"

/* ---- mailboxes ---- */

int index_mailbox_get(struct index_txn *t, uint64_t id, struct index_mailbox *ret)
{
    struct index_key k = index_key_of('b', id);
    struct span bytes;
    int r = index_get(t, &k, &bytes);

    if (r == 0)
        r = record_mailbox_decode(bytes, ret);
    if (r == 0)
        arrivals_count(t, id, ret);
    return r;
}

int index_mailbox_put(struct index_txn *t, uint64_t id, const struct index_mailbox *m)
{
    _cleanup_(str_free) struct str bytes = STR_INIT;
    struct index_key k = index_key_of('b', id);

    record_mailbox_encode(m, &bytes);
    return index_put(t, &k, str_span(&bytes));
}

static bool has_prefix(const MDB_val *key, const struct index_key *prefix)
{
    return key->mv_size >= prefix->len && memcmp(key->mv_data, prefix->bytes, prefix->len) == 0;
}

int index_mailbox_drop(struct index_txn *t, uint64_t id)
{
    int rc = MDB_SUCCESS, r = index_page_flush(t);

    if (r < 0)
        return r;
    if (t->kept)
        t->kept->valid = false;

    for (const char *kind = "bcdklmnpx"; *kind && rc == MDB_SUCCESS; kind++) {
        struct index_key prefix = index_key_of(*kind, id);
        MDB_val key = { prefix.len, prefix.bytes }, value;
        MDB_cursor *cursor;

        rc = mdb_cursor_open(t->txn, t->db, &cursor);
        if (rc != MDB_SUCCESS)
            return index_errno(rc);
        rc = index_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
        while (rc == MDB_SUCCESS && has_prefix(&key, &prefix)) {
            rc = index_cursor_delete(cursor);
            if (rc == MDB_SUCCESS)
                rc = index_cursor_get(cursor, &key, &value, MDB_NEXT);
        }
        mdb_cursor_close(cursor);
        if (rc == MDB_NOTFOUND)
            rc = MDB_SUCCESS;
    }
    return index_errno(rc);
}

int index_keywords_get(struct index_txn *t, uint64_t id, struct str *ret)
{
    struct index_key k = index_key_of('k', id);
    struct span bytes, names = SPAN_NULL;
    int r = index_get(t, &k, &bytes);

    if (r == 0)
        r = record_bytes_decode(bytes, &names);
    if (r < 0) /* every mailbox has the record, from the beginning */
        return r == -ENOENT ? -EBADMSG : r;
    if (names.len > 0 && names.ptr[names.len - 1] != '\0')
        return -EBADMSG;
    str_set(ret, names);
    return 0;
}

int index_keywords_put(struct index_txn *t, uint64_t id, struct span names)
{
    _cleanup_(str_free) struct str bytes = STR_INIT;
    struct index_key k = index_key_of('k', id);

    record_bytes_encode(names, &bytes);
    return index_put(t, &k, str_span(&bytes));
}

/* ---- messages ---- */

static struct span base_of(struct span file)
{
    return span_cut(&file, ':');
}

/* The name that a message of this base, place and flags has, unless another program has its own ideas */
static void make_name(const struct index_message *m, struct span base, struct str *ret)
{
    char letters[27];

    keywords_letters(m->keywords, letters);
    if (m->in_new)
        str_set(ret, base);
    else
        maildir_name_make(base, m->flags, letters, ret);
}

int index_message_get(struct index_txn *t, uint64_t id, uint32_t uid, struct index_message *ret)
{
    struct index_key k = index_key_numbered('m', id, uid);
    const struct index_message *m;
    struct span bytes, name;
    bool whole;
    int r = index_page_find(t, id, uid, &m);

    if (r < 0)
        return r;
    r = index_get(t, &k, &bytes);
    if (r < 0)
        return r == -ENOENT ? -EBADMSG : r;
    r = record_name_decode(bytes, &name, &whole);
    if (r < 0)
        return r;
    if (!whole) {
        make_name(m, name, &t->kept->name);
        name = str_span(&t->kept->name);
    }
    *ret = *m;
    ret->file = name;
    ret->named = whole;
    return 0;
}

static struct index_key name_key(uint64_t id, struct span base)
{
    struct index_key k = index_key_of('n', id);
    size_t n = base.len <= 255 ? base.len : 255;

    if (n > 0)
        memcpy(k.bytes + k.len, base.ptr, n);
    k.len += n;
    return k;
}

int index_name_get(struct index_txn *t, uint64_t id, struct span base, uint32_t *ret_uid)
{
    struct index_key k = name_key(id, base);
    struct span bytes;
    int r = index_get(t, &k, &bytes);

    if (r < 0)
        return r;
    if (bytes.len != 4)
        return -EBADMSG;
    *ret_uid = (uint32_t)index_key_number(bytes.ptr, 0, 4);
    return 0;
}

void index_count(struct index_mailbox *mb, const struct index_message *m, int sign)
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

static int put_base(struct index_txn *t, uint64_t id, const struct index_message *m)
{
    struct index_key k = name_key(id, base_of(m->file)), number;

    number.len = 0;
    index_key_add(&number, m->uid, 4);
    return index_put(t, &k, span_make(number.bytes, number.len));
}

/* Nothing is written when the base alone is there already, and will do. */
static int put_file(struct index_txn *t, uint64_t id, const struct index_message *old, const struct index_message *m)
{
    _cleanup_(str_free) struct str bytes = STR_INIT;
    struct index_key k = index_key_numbered('m', id, m->uid);

    struct span base = base_of(m->file);

    make_name(m, base, &bytes);
    bool whole = base.len == 0 || !span_eq(str_span(&bytes), m->file);
    if (old && !old->named && !whole)
        return 0;
    record_name_encode(whole ? m->file : base, whole, &bytes);
    return index_put(t, &k, str_span(&bytes));
}

int index_message_put(struct index_txn *t, uint64_t id, struct index_mailbox *mb,
                      const struct index_message *old, const struct index_message *m)
{
    int r = index_page_set(t, id, m);

    if (r == 0 && !old)
        r = put_base(t, id, m);
    if (r == 0)
        r = put_file(t, id, old, m);
    if (r < 0)
        return r;
    if (old)
        index_count(mb, old, -1);
    index_count(mb, m, 1);
    return 0;
}

/* When too many expunges are remembered, the older half is forgotten. */
static int trim_expunged(struct index_txn *t, uint64_t id, struct index_mailbox *mb)
{
    struct index_key start = index_key_of('x', id);
    MDB_val key = { start.len, start.bytes };
    MDB_cursor *cursor;

    if (mb->expunged <= INDEX_EXPUNGED_MAX)
        return 0;
    int rc = mdb_cursor_open(t->txn, t->db, &cursor);
    if (rc != MDB_SUCCESS)
        return index_errno(rc);
    rc = index_cursor_get(cursor, &key, NULL, MDB_SET_RANGE);
    while (rc == MDB_SUCCESS && has_prefix(&key, &start) && mb->expunged > INDEX_EXPUNGED_MAX / 2) {
        mb->expunged_since = index_key_number(key.mv_data, 9, 8);
        mb->expunged--;
        rc = index_cursor_delete(cursor);
        if (rc == MDB_SUCCESS)
            rc = index_cursor_get(cursor, &key, NULL, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : index_errno(rc);
}

int index_expunged_add(struct index_txn *t, uint64_t id, struct index_mailbox *mb, uint32_t uid, uint64_t modseq)
{
    struct index_key k = index_key_modseq('x', id, modseq, uid);
    int r = index_put(t, &k, SPAN_NULL);

    mb->expunged++;
    return r < 0 ? r : trim_expunged(t, id, mb);
}

int index_name_check(struct index_txn *t, uint64_t id, const struct index_message *m)
{
    uint32_t uid = 0;
    int r = index_name_get(t, id, base_of(m->file), &uid);

    return r == -ENOENT || (r == 0 && uid != m->uid) ? -EBADMSG : r;
}

static int delete_base(struct index_txn *t, uint64_t id, const struct index_message *m)
{
    struct index_key k = name_key(id, base_of(m->file));
    int r = index_name_check(t, id, m);

    return r < 0 ? r : index_delete(t, &k);
}

int index_expunged_get(struct index_txn *t, uint64_t id, uint64_t modseq, uint32_t uid)
{
    struct index_key k = index_key_modseq('x', id, modseq, uid);
    struct span nothing;

    return index_get(t, &k, &nothing);
}

int index_message_delete(struct index_txn *t, uint64_t id, struct index_mailbox *mb,
                         const struct index_message *old, uint64_t modseq)
{
    struct index_key message = index_key_numbered('m', id, old->uid), note = index_key_numbered('d', id, old->uid);
    int r = index_page_remove(t, id, old->uid);

    if (r == 0)
        r = delete_base(t, id, old);
    if (r == 0)
        r = index_delete(t, &message);
    if (r < 0)
        return r == -ENOENT ? -EBADMSG : r;
    r = index_delete(t, &note);
    if (r < 0 && r != -ENOENT)
        return r;
    index_count(mb, old, -1);
    return index_expunged_add(t, id, mb, old->uid, modseq);
}

/* ---- late names and notes ---- */

int index_late_get(struct index_txn *t, uint64_t id, struct late_names *ret)
{
    struct index_key k = index_key_of('l', id);
    struct span bytes;
    int r = index_get(t, &k, &bytes);

    return r < 0 ? r : record_late_decode(bytes, ret);
}

int index_late_put(struct index_txn *t, uint64_t id, const struct late_names *l)
{
    _cleanup_(str_free) struct str bytes = STR_INIT;
    struct index_key k = index_key_of('l', id);

    record_late_encode(l, &bytes);
    return index_put(t, &k, str_span(&bytes));
}

int index_late_delete(struct index_txn *t, uint64_t id)
{
    struct index_key k = index_key_of('l', id);

    return index_delete(t, &k);
}

int index_note_get(struct index_txn *t, uint64_t id, uint32_t uid, struct span *ret)
{
    struct index_key k = index_key_numbered('d', id, uid);

    return index_get(t, &k, ret);
}

int index_note_put(struct index_txn *t, uint64_t id, uint32_t uid, struct span bytes)
{
    struct index_key k = index_key_numbered('d', id, uid);

    return index_put(t, &k, bytes);
}

/* ---- visiting ---- */

/* All keys from `start` on that begin with the first 9 bytes of it: kind and mailbox */
static int each(struct index_txn *t, struct index_key *start,
                int (*fn)(const MDB_val *key, const MDB_val *value, void *arg), void *arg)
{
    struct index_key prefix = *start;
    MDB_val key = { start->len, start->bytes }, value;
    MDB_cursor *cursor;
    int r = index_page_flush(t);

    if (r == 0)
        r = index_check_place(t, &key, false);
    if (r < 0)
        return r;
    int rc = mdb_cursor_open(t->txn, t->db, &cursor);
    if (rc != MDB_SUCCESS)
        return index_errno(rc);
    prefix.len = 9;
    rc = index_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    while (rc == MDB_SUCCESS && r == 0 && has_prefix(&key, &prefix)) {
        r = fn(&key, &value, arg);
        if (r == 0)
            rc = index_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return r != 0 || rc == MDB_NOTFOUND ? r : index_errno(rc);
}

struct visit {
    struct index_txn *txn;
    uint64_t id;
    uint32_t from_uid;
    index_visit *fn;
    index_visit_run *fn_run;
    void *arg;
};

static int visit_messages(const struct index_message *m, uint32_t n, const struct visit *v)
{
    int r = 0;

    for (uint32_t i = 0; i < n && r == 0; i++)
        r = v->fn(&m[i], v->arg);
    return r;
}

static int visit_page(const MDB_val *key, const MDB_val *value, void *arg)
{
    const struct visit *v = arg;
    struct index_page p;
    uint32_t first = 0;

    if (key->mv_size != 13)
        return -EBADMSG;
    int r = record_page_decode(span_make(value->mv_data, value->mv_size), (uint32_t)index_key_number(key->mv_data, 9, 4), &p);
    if (r < 0)
        return r;
    while (first < p.len && p.items[first].uid < v->from_uid)
        first++;
    if (v->fn)
        return visit_messages(p.items + first, p.len - first, v);
    return first < p.len ? v->fn_run(p.items + first, p.len - first, v->arg) : 0;
}

int index_each_message(struct index_txn *t, uint64_t id, uint32_t from_uid, index_visit *fn, void *arg)
{
    struct index_key start = index_key_numbered('p', id, record_page_of(from_uid));
    struct visit v = { .txn = t, .id = id, .from_uid = from_uid, .fn = fn, .arg = arg };

    return each(t, &start, visit_page, &v);
}

int index_each_run(struct index_txn *t, uint64_t id, uint32_t from_uid, index_visit_run *fn, void *arg)
{
    struct index_key start = index_key_numbered('p', id, record_page_of(from_uid));
    struct visit v = { .txn = t, .id = id, .from_uid = from_uid, .fn_run = fn, .arg = arg };

    return each(t, &start, visit_page, &v);
}

static int visit_change(const MDB_val *key, const MDB_val *value, void *arg)
{
    const struct visit *v = arg;
    const struct index_page *p;

    (void)value;
    if (key->mv_size != 21)
        return -EBADMSG;
    int r = index_page_get(v->txn, v->id, (uint32_t)index_key_number(key->mv_data, 17, 4), &p);
    if (r < 0)
        return r;
    return p->len == 0 ? -EBADMSG : visit_messages(p->items, p->len, v);
}

int index_each_changed(struct index_txn *t, uint64_t id, uint64_t after_modseq, index_visit *fn, void *arg)
{
    struct index_key start = index_key_modseq('c', id, after_modseq + 1, 0);
    struct visit v = { .txn = t, .id = id, .fn = fn, .arg = arg };

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
    return v->fn((uint32_t)index_key_number(key->mv_data, 17, 4), index_key_number(key->mv_data, 9, 8), v->arg);
}

int index_each_expunged(struct index_txn *t, uint64_t id, uint64_t after_modseq,
                        int (*fn)(uint32_t uid, uint64_t modseq, void *arg), void *arg)
{
    struct index_key start = index_key_modseq('x', id, after_modseq + 1, 0);
    struct expunged_visit v = { fn, arg };

    return each(t, &start, visit_expunged, &v);
}
