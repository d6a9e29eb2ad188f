/* SPDX-License-Identifier: Apache-2.0 */
/*
 * places.c - which live mailbox sessions there are, by user and address, and which front has them
 *
 * Runs in: anvil. Fronts talk to strangers and are mistrusted: one can end only what it has begun, and have
 * so many sessions.
 */
#include "anvil/places.h"

#include "base/own.h"
#include "base/str.h"

enum { PLACES_OF_A_FRONT_MAX = 1000000 };

struct places {
    struct hash groups;
};

struct place {
    struct hash_node node;      /* by its front's number */
    struct list link;           /* of its group */
    struct group *group;
    struct front *front;
    uint64_t id;
};

struct places *places_new(void)
{
    struct places *p = mem_new(struct places);

    p->groups = HASH_INIT;
    return p;
}

void places_free(struct places *p)
{
    hash_done(&p->groups);
    free(p);
}

static struct group *group_new(struct places *p, struct span name)
{
    struct group *g = mem_calloc(1, sizeof *g + name.len + 1);

    memcpy(g->name, name.ptr, name.len);
    g->node.key = span_make(g->name, name.len);
    g->places = p;
    list_init(&g->members);
    gate_init(&g->gate, 1);
    hash_put(&p->groups, &g->node);
    return g;
}

struct group *group_hold(struct places *p, const char *protocol, struct span user, const char *client)
{
    _cleanup_(str_free) struct str name = STR_INIT;

    str_addf(&name, "%s %s ", protocol, client);    /* neither has a space in it; a user may */
    str_add(&name, user);

    struct group *g = HASH_ENTRY(hash_get(&p->groups, str_span(&name)), struct group, node);

    if (!g)
        g = group_new(p, str_span(&name));
    g->holds++;
    return g;
}

static void forget_unused(struct group *g)
{
    if (g->holds > 0 || g->len > 0)
        return;
    hash_remove(&g->places->groups, &g->node);
    free(g);
}

void group_release(struct group *g)
{
    g->holds--;
    forget_unused(g);
}

void front_init(struct front *f, struct places *p, void *owner)
{
    *f = (struct front){ .places = p, .owner = owner, .by_id = HASH_INIT };
}

static void end(struct place *p)
{
    struct group *g = p->group;

    hash_remove(&p->front->by_id, &p->node);
    list_remove(&p->link);
    free(p);
    g->len--;
    forget_unused(g);
}

void front_done(struct front *f)
{
    struct hash_node *next, *n = hash_next(&f->by_id, NULL);

    for (; n; n = next) {
        next = hash_next(&f->by_id, n);
        end(CONTAINER_OF(n, struct place, node));
    }
    hash_done(&f->by_id);
    f->by_id = HASH_INIT;
}

static struct place *find(const struct front *f, uint64_t id)
{
    return HASH_ENTRY(hash_get(&f->by_id, span_make(&id, sizeof id)), struct place, node);
}

bool place_add(struct front *f, uint64_t id, struct group *g)
{
    if (f->by_id.len >= PLACES_OF_A_FRONT_MAX || find(f, id))
        return false;

    struct place *p = mem_new(struct place);

    p->front = f;
    p->group = g;
    p->id = id;
    p->node.key = span_make(&p->id, sizeof p->id);
    hash_put(&f->by_id, &p->node);
    list_push_back(&g->members, &p->link);
    g->len++;
    return true;
}

void place_remove(struct front *f, uint64_t id)
{
    struct place *p = find(f, id);

    if (p)
        end(p);
}

static bool has(void *const *owners, size_t n, const void *owner)
{
    for (size_t i = 0; i < n; i++)
        if (owners[i] == owner)
            return true;
    return false;
}

size_t group_owners(const struct group *g, void **ret, size_t max)
{
    const struct place *p;
    size_t n = 0;

    LIST_FOREACH(p, &g->members, struct place, link)
        if (n < max && !has(ret, n, p->front->owner))
            ret[n++] = p->front->owner;
    return n;
}
