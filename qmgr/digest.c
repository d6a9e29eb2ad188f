/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest.c - what listings say of a waiting message, packed
 *
 * Receivers like to repeat the address in their reply, which would make every reason another text: so
 * the address is replaced by a mark in the reason that is kept.
 *
 * Runs in: qmgr. Pure.
 */
#include "qmgr/digest.h"

#include "mail/address.h"

#define RCPTS_MAX   16     /* of a digest that is not partial */
#define REASONS_MAX 65536  /* different ones; those beyond are left in the files */
#define MARK        '\1'   /* in a reason: the recipient's address */

enum { FLAG_EXPIRE = 1, FLAG_PARTIAL = 2 };

struct digest {
    unsigned char bytes[1]; /* flags first; as many as it takes */
};

bool digest_is_listed(const struct queue_rcpt *r)
{
    return r->state != RCPT_SENT && r->state != RCPT_REPORTED;
}

/* ---- packing ---- */

static void put_number(struct str *s, uint64_t n)
{
    for (; n >= 128; n >>= 7)
        str_add_char(s, (char)(n | 128));
    str_add_char(s, (char)n);
}

static void put_text(struct str *s, struct span text)
{
    put_number(s, text.len);
    str_add(s, text);
}

static void put_address(struct digests *ds, struct str *s, struct span address)
{
    struct span domain = address_domain(address);

    put_number(s, domain.len > 0 ? names_get(&ds->domains, domain) : 0);
    if (domain.len > 0)
        address = span_first(address, address.len - domain.len - 1);
    put_text(s, address);
}

/* The reason with the mark for the address. */
static void mark_address(struct str *ret, struct span reason, struct span address)
{
    ptrdiff_t at;

    while (address.len > 0 && (at = span_find(reason, address)) >= 0) {
        str_add(ret, span_first(reason, (size_t)at));
        str_add_char(ret, MARK);
        reason = span_from(reason, (size_t)at + address.len);
    }
    str_add(ret, reason);
}

/* 0: none; or the limit is reached, then *full. */
static uint32_t keep_reason(struct digests *ds, const struct queue_rcpt *r, bool *full)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    if (!r->text || strchr(r->text, MARK))
        return 0;
    mark_address(&text, span_of(r->text), span_of(r->address));
    if (ds->reasons.by_text.len >= REASONS_MAX && !names_find(&ds->reasons, str_span(&text))) {
        *full = true;
        return 0;
    }
    return names_get(&ds->reasons, str_span(&text));
}

static void put_rcpt(struct digests *ds, struct str *s, const struct queue_rcpt *r, bool *full)
{
    put_address(ds, s, span_of(r->address));
    put_number(s, keep_reason(ds, r, full));
    put_text(s, span_of(r->orig));
}

static uint32_t count_listed(const struct queue_envelope *e)
{
    uint32_t n = 0;

    for (size_t i = 0; i < e->n_rcpts; i++)
        n += digest_is_listed(&e->rcpts[i]);
    return n;
}

static void put_head(struct digests *ds, struct str *s, const struct queue_envelope *e, uint32_t n,
                     unsigned flags)
{
    str_add_char(s, (char)(flags | (e->expire ? FLAG_EXPIRE : 0)));
    put_number(s, (uint64_t)(e->arrival_us / 1000000));
    put_number(s, e->content_size);
    put_address(ds, s, span_of(e->sender));
    put_number(s, n);
}

static struct digest *copy(const struct str *s)
{
    struct digest *d = mem_realloc(NULL, s->len, 1);

    memcpy(d, s->data, s->len);
    return d;
}

static struct digest *partial_new(struct digests *ds, const struct queue_envelope *e, uint32_t n)
{
    _cleanup_(str_free) struct str s = STR_INIT;

    put_head(ds, &s, e, n, FLAG_PARTIAL);
    return copy(&s);
}

struct digest *digest_new(struct digests *ds, const struct queue_envelope *e)
{
    _cleanup_(str_free) struct str s = STR_INIT;
    uint32_t n = count_listed(e);
    bool full = false;

    if (n > RCPTS_MAX)
        return partial_new(ds, e, n);
    put_head(ds, &s, e, n, 0);
    for (size_t i = 0; i < e->n_rcpts; i++)
        if (digest_is_listed(&e->rcpts[i]))
            put_rcpt(ds, &s, &e->rcpts[i], &full);
    struct digest *d = copy(&s);

    if (!full)
        return d;
    digest_free(ds, d);
    return partial_new(ds, e, n);
}

void digest_set_expire(struct digest *d)
{
    d->bytes[0] |= FLAG_EXPIRE;
}

bool digest_is_partial(const struct digest *d)
{
    return d->bytes[0] & FLAG_PARTIAL;
}

/* ---- unpacking: our own bytes, so they are trusted ---- */

static uint64_t get_number(const unsigned char **p)
{
    uint64_t n = 0;

    for (unsigned shift = 0;; shift += 7) {
        unsigned char c = *(*p)++;

        n |= (uint64_t)(c & 127) << shift;
        if (c < 128)
            return n;
    }
}

static struct span get_text(const unsigned char **p)
{
    size_t len = get_number(p);
    struct span text = span_make(*p, len);

    *p += len;
    return text;
}

static void add_address(const struct digests *ds, uint32_t domain, struct span local, struct str *ret)
{
    str_add(ret, local);
    if (domain == 0)
        return;
    str_add_char(ret, '@');
    str_add(ret, names_text(&ds->domains, domain));
}

/* Everything before the recipients. */
static void open_head(const struct digest *d, struct digest_view *v, uint32_t *ret_domain,
                      struct span *ret_local)
{
    const unsigned char *p = d->bytes;
    unsigned flags = *p++;

    *v = (struct digest_view){ .expire = flags & FLAG_EXPIRE, .partial = flags & FLAG_PARTIAL };
    v->arrival = (int64_t)get_number(&p);
    v->size = get_number(&p);
    *ret_domain = (uint32_t)get_number(&p);
    *ret_local = get_text(&p);
    v->n_rcpts = (uint32_t)get_number(&p);
    v->left = v->partial ? 0 : v->n_rcpts;
    v->rest = p;
}

void digest_open(const struct digests *ds, const struct digest *d, struct digest_view *ret,
                 struct str *sender)
{
    uint32_t domain;
    struct span local;

    open_head(d, ret, &domain, &local);
    str_reset(sender);
    add_address(ds, domain, local, sender);
}

bool digest_next(struct digest_view *v, struct digest_rcpt *ret)
{
    if (v->left == 0)
        return false;
    v->left--;
    ret->domain = (uint32_t)get_number(&v->rest);
    ret->local = get_text(&v->rest);
    ret->reason = (uint32_t)get_number(&v->rest);
    ret->orig = get_text(&v->rest);
    return true;
}

void digest_add_address(const struct digests *ds, const struct digest_rcpt *r, struct str *ret)
{
    add_address(ds, r->domain, r->local, ret);
}

void digest_add_reason(const struct digests *ds, const struct digest_rcpt *r, struct str *ret)
{
    struct span text = names_text(&ds->reasons, r->reason);

    for (ptrdiff_t at; (at = span_chr(text, MARK)) >= 0; text = span_from(text, (size_t)at + 1)) {
        str_add(ret, span_first(text, (size_t)at));
        digest_add_address(ds, r, ret);
    }
    str_add(ret, text);
}

enum digest_answer digest_concerns(const struct digests *ds, const struct digest *d,
                                   struct span domain)
{
    struct digest_view v;
    struct digest_rcpt r;
    struct span local;
    uint32_t sender_domain;

    open_head(d, &v, &sender_domain, &local);
    if (v.partial)
        return DIGEST_PERHAPS;
    while (digest_next(&v, &r))
        if (span_eq_nocase(names_text(&ds->domains, r.domain), domain))
            return DIGEST_YES;
    return DIGEST_NO;
}

void digest_free(struct digests *ds, struct digest *d)
{
    struct digest_view v;
    struct digest_rcpt r;
    struct span local;
    uint32_t domain;

    if (!d)
        return;
    open_head(d, &v, &domain, &local);
    names_put(&ds->domains, domain);
    while (digest_next(&v, &r)) {
        names_put(&ds->domains, r.domain);
        names_put(&ds->reasons, r.reason);
    }
    free(d);
}
