/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recipients.c - complete addresses, expand virtual aliases, remove duplicates
 *
 * An expansion is a list that grows at its end while it is worked off from its
 * front, so that no alias file, however it is written, makes us recurse. An address that was looked
 * up already is final: that is how "user@domain  user@domain, other@domain" ends, and how loops do.
 *
 * Runs in: cleanup. Recipients are hostile, tables are the administrator's.
 */
#include "cleanup/recipients.h"

#include <errno.h>

#include "base/mem.h"
#include "mail/address.h"
#include "mail/route.h"

/* An address, case folded, in a set. */
struct folded {
    struct hash_node node;
    struct str text;
};

/* True if it was not in the set yet. */
static bool set_add(struct hash *set, struct span address)
{
    struct folded *f = mem_new(struct folded);

    str_add_lower(&f->text, address);
    f->node.key = str_span(&f->text);
    if (hash_get(set, f->node.key)) {
        str_free(&f->text);
        free(f);
        return false;
    }
    hash_put(set, &f->node);
    return true;
}

static void set_done(struct hash *set)
{
    struct hash_node *n = hash_next(set, NULL);

    while (n) {
        struct folded *f = CONTAINER_OF(n, struct folded, node);

        n = hash_next(set, n);
        str_free(&f->text);
        free(f);
    }
    hash_done(set);
}

int aliases_open(const struct params *p, struct aliases *ret, struct str *err)
{
    struct span list = span_of(p->propagate_unmatched_extensions), word;
    struct aliases a = {.params = p};

    while (span_word(&list, ", \t\r\n", &word))
        a.propagate |= span_eq_nocase_str(word, "virtual");
    int r = maps_open_named("virtual_alias_maps", p->virtual_alias_maps, &a.maps, err);

    if (r == 0)
        r = match_list_open_named("mydestination", p->mydestination, MATCH_DOMAIN, &a.local, err);
    if (r < 0)
        aliases_close(&a);
    else
        *ret = a;
    return r;
}

void aliases_close(struct aliases *a)
{
    maps_free(a->maps);
    match_list_free(a->local);
    *a = (struct aliases){0};
}

void recipients_done(struct recipients *r)
{
    for (size_t i = 0; i < r->len; i++) {
        free(r->items[i].address);
        free(r->items[i].orig);
        free(r->items[i].dsn_orcpt);
    }
    free(r->items);
    set_done(&r->known);
    *r = (struct recipients){0};
}

/* ---- the end of an expansion ---- */

static char *dup_unless_empty(const struct str *s)
{
    return s->len > 0 ? mem_dup_span(str_span(s)) : NULL;
}

static void add_final(struct recipients *r, const struct params *p, const struct submit_rcpt *given,
                      struct span address)
{
    struct span orig = str_span(given->orig.len > 0 ? &given->orig : &given->address);
    bool keep = p->enable_original_recipient && !span_eq(orig, address);

    if (!set_add(&r->known, address))
        return;
    MEM_GROW(r->items, r->len, r->cap);
    r->items[r->len++] = (struct queue_rcpt){
        .address = mem_dup_span(address),
        .orig = keep ? mem_dup_span(orig) : NULL,
        .dsn_orcpt = dup_unless_empty(&given->dsn_orcpt),
        .dsn_notify = given->dsn_notify,
    };
}

/* ---- taking out ---- */

static void set_remove(struct hash *set, struct span address)
{
    _cleanup_(str_free) struct str key = STR_INIT;

    str_add_lower(&key, address);
    struct folded *f = HASH_ENTRY(hash_get(set, str_span(&key)), struct folded, node);

    if (!f)
        return;
    hash_remove(set, &f->node);
    str_free(&f->text);
    free(f);
}

void recipients_remove(struct recipients *r, struct span address)
{
    size_t kept = 0;

    for (size_t i = 0; i < r->len; i++) {
        struct queue_rcpt *q = &r->items[i];

        if (!span_eq_nocase_str(address, q->address) && !(q->orig && span_eq_nocase_str(address, q->orig))) {
            r->items[kept++] = *q;
            continue;
        }
        set_remove(&r->known, span_of(q->address));
        free(q->address);
        free(q->orig);
        free(q->dsn_orcpt);
    }
    r->len = kept;
}

/* ---- the expansion ---- */

struct pending {
    char *address;
    int64_t depth;
};

struct expansion {
    struct aliases *aliases;
    struct pending *items;
    size_t len, cap;
    struct hash looked_up;
    struct str value, ext, work; /* scratch */
};

static void expansion_done(struct expansion *x)
{
    for (size_t i = 0; i < x->len; i++)
        free(x->items[i].address);
    free(x->items);
    set_done(&x->looked_up);
    str_free(&x->value);
    str_free(&x->ext);
    str_free(&x->work);
}

static int push(struct expansion *x, struct span address, int64_t depth)
{
    const struct params *p = x->aliases->params;

    if (address.len == 0 || span_chr(address, '\0') >= 0)
        return -EINVAL;
    if (x->len >= (uint64_t)p->virtual_alias_expansion_limit)
        return -E2BIG;
    if (depth > p->virtual_alias_recursion_limit)
        return -ELOOP;
    route_complete(p, address, &x->work);
    if (x->work.len > SUBMIT_ADDRESS_MAX)
        return -EMSGSIZE;
    MEM_GROW(x->items, x->len, x->cap);
    x->items[x->len++] = (struct pending){mem_dup_span(str_span(&x->work)), depth};
    return 0;
}

/* Push one address of a table's answer, with the extension that was cut off the key. */
static int push_answer(struct expansion *x, struct span local, struct span host, int64_t depth)
{
    _cleanup_(str_free) struct str address = STR_INIT;

    str_add(&address, local);
    if (x->aliases->propagate)
        str_add(&address, str_span(&x->ext));
    if (host.len > 0) {
        str_add_char(&address, '@');
        str_add(&address, host);
    }
    return push(x, str_span(&address), depth);
}

/* "@other.domain": the same user there */
static int push_domains(struct expansion *x, struct span answer, struct span key, int64_t depth)
{
    struct span word;
    int r = 0;

    while (r == 0 && span_word(&answer, ", \t\r\n", &word))
        if (span_take(&word, '@') && word.len > 0)
            r = push_answer(x, address_local(key), word, depth);
    return r;
}

static int push_answers(struct expansion *x, struct span key, int64_t depth)
{
    _cleanup_(header_addresses_done) struct header_address_list list = {0};
    struct span answer = span_trim(str_span(&x->value));
    size_t max = (size_t)x->aliases->params->virtual_alias_expansion_limit + 1;
    int r = 0;

    if (answer.len > 0 && answer.ptr[0] == '@')
        return push_domains(x, answer, key, depth);
    header_addresses_parse(answer, max, &list);
    for (size_t i = 0; i < list.len && r == 0; i++) {
        const struct header_address *a = &list.items[i];

        if (a->kind == HDR_ADDR_MAILBOX)
            r = push_answer(x, str_span(&a->mailbox), str_span(&a->host), depth);
    }
    return r;
}

/* 1 found, 0 not, negative temporary */
static int look_up(struct expansion *x, struct span address)
{
    struct aliases *a = x->aliases;
    struct span domain = address_domain(address);
    unsigned forms = MAPS_FULL | MAPS_AT_DOMAIN;
    int local =
        span_eq_nocase_str(domain, a->params->myorigin) ? 1 : match_list_has(a->local, domain);

    if (local < 0)
        return local;
    if (local > 0)
        forms |= MAPS_LOCALPART;
    str_reset(&x->value);
    str_reset(&x->ext);
    return maps_get_address(a->maps, address, a->params->recipient_delimiter, forms, &x->value,
                            &x->ext);
}

static int expand_one(struct expansion *x, struct pending item, struct recipients *r,
                      const struct submit_rcpt *given)
{
    struct span address = span_of(item.address);
    size_t before = x->len;
    int found = set_add(&x->looked_up, address) ? look_up(x, address) : 0;

    if (found < 0)
        return found;
    int pushed = found ? push_answers(x, address, item.depth + 1) : 0;

    if (pushed < 0)
        return pushed;
    if (x->len == before) /* no answer, or none that is an address: deliver as it is */
        add_final(r, x->aliases->params, given, address);
    return 0;
}

int recipients_add(struct recipients *r, struct aliases *a, const struct submit_rcpt *given,
                   enum recipients_mode mode)
{
    _cleanup_(expansion_done) struct expansion x = {.aliases = a};
    int err = push(&x, str_span(&given->address), 0);

    if (err == 0 && (mode == RECIPIENTS_AS_GIVEN || maps_empty(a->maps))) {
        add_final(r, a->params, given, span_of(x.items[0].address));
        return 0;
    }
    for (size_t i = 0; i < x.len && err == 0; i++)
        err = expand_one(&x, x.items[i], r, given);
    return err;
}
