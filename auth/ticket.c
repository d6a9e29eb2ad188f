/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ticket.c - one-time tickets that turn a sign-in at a front into a mailbox session
 *
 * A ticket is sealed as a pass is (pass.c), with 16 random bytes in front of the user's name, so that one which was issued
 * before a reload, or before auth was killed, is good after it: nobody has to sign in again. These bytes
 * are remembered from the first time that it is shown until it has expired. Only the auth that it was shown to
 * remembers; a front that was taken over could show one again to the next, of a user who has just signed in through it.
 *
 * Runs in: auth. Logs nothing.
 */
#include "auth/auth.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/rand.h"

enum { ID_SIZE = 16 };

struct used {
    struct hash_node node;      /* key: id */
    struct list by_age;
    uint64_t until_ms;
    unsigned char id[ID_SIZE];
};

struct ticket_office {
    unsigned char key[PASS_KEY_SIZE];
    struct hash used;
    struct list by_age;         /* oldest first */
    int64_t lifetime_ms;
    size_t max;
};

struct ticket_office *ticket_office_new(const unsigned char key[static PASS_KEY_SIZE], int64_t lifetime_ms, size_t max)
{
    struct ticket_office *o = mem_new(struct ticket_office);

    memcpy(o->key, key, sizeof o->key);
    o->lifetime_ms = lifetime_ms;
    o->max = max;
    list_init(&o->by_age);
    return o;
}

static void drop(struct ticket_office *o, struct used *t)
{
    hash_remove(&o->used, &t->node);
    list_remove(&t->by_age);
    free(t);
}

/* Forget what has expired, and the oldest beyond `max`. */
static void clean(struct ticket_office *o, uint64_t now_ms, size_t max)
{
    struct used *t;

    LIST_FOREACH (t, &o->by_age, struct used, by_age) {
        if (t->until_ms > now_ms && o->used.len <= max)
            return;
        drop(o, t);
    }
}

void ticket_office_free(struct ticket_office *o)
{
    if (!o)
        return;
    clean(o, UINT64_MAX, 0);
    hash_done(&o->used);
    free(o);
}

void ticket_issue(struct ticket_office *o, const char *protocol, struct span user, uint64_t now_ms, struct str *ret)
{
    _cleanup_(str_free) struct str named = STR_INIT;
    unsigned char id[ID_SIZE];

    rand_bytes(id, sizeof id);
    str_add(&named, span_make(id, sizeof id));
    str_add(&named, user);
    pass_issue(o->key, protocol, str_span(&named), now_ms + (uint64_t)o->lifetime_ms, ret);
}

/* False: it was used before. */
static bool use(struct ticket_office *o, struct span id, uint64_t now_ms)
{
    clean(o, now_ms, o->max - 1);
    if (hash_get(&o->used, id))
        return false;

    struct used *t = mem_new(struct used);
    memcpy(t->id, id.ptr, ID_SIZE);
    t->until_ms = now_ms + (uint64_t)o->lifetime_ms;
    t->node.key = span_make(t->id, ID_SIZE);
    hash_put(&o->used, &t->node);
    list_push_back(&o->by_age, &t->by_age);
    return true;
}

bool ticket_redeem(struct ticket_office *o, struct span ticket, const char *protocol, uint64_t now_ms, struct str *user)
{
    _cleanup_(str_free) struct str named = STR_INIT;

    if (!pass_redeem(o->key, ticket, protocol, now_ms, &named) || named.len < ID_SIZE ||
        !use(o, span_first(str_span(&named), ID_SIZE), now_ms))
        return false;
    str_set(user, span_from(str_span(&named), ID_SIZE));
    return true;
}
