/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ticket.c - one-time tickets that turn a sign-in at a front into a mailbox session
 *
 * Kept in memory only: a restart of auth loses those of sessions that are being
 * handed over, whose clients then sign in again. The ticket is random, so that
 * a look-up by hash table tells nothing by its timing.
 *
 * Runs in: auth. Logs nothing.
 */
#include "auth/auth.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/rand.h"

struct ticket {
    struct hash_node node;      /* key: id */
    struct list by_age;
    uint64_t expires_ms;
    char id[40];
    char protocol[16];
    char *user;
};

struct ticket_office {
    struct hash tickets;
    struct list by_age;         /* oldest first */
    int64_t lifetime_ms;
    size_t max;
};

struct ticket_office *ticket_office_new(int64_t lifetime_ms, size_t max)
{
    struct ticket_office *o = mem_new(struct ticket_office);

    o->lifetime_ms = lifetime_ms;
    o->max = max;
    list_init(&o->by_age);
    return o;
}

static void drop(struct ticket_office *o, struct ticket *t)
{
    hash_remove(&o->tickets, &t->node);
    list_remove(&t->by_age);
    free(t->user);
    free(t);
}

/* Drop what has expired, and the oldest beyond `max` tickets. */
static void clean(struct ticket_office *o, uint64_t now_ms, size_t max)
{
    struct ticket *t;

    LIST_FOREACH (t, &o->by_age, struct ticket, by_age) {
        if (t->expires_ms > now_ms && o->tickets.len <= max)
            return;
        drop(o, t);
    }
}

void ticket_office_free(struct ticket_office *o)
{
    if (!o)
        return;
    clean(o, UINT64_MAX, 0);
    hash_done(&o->tickets);
    free(o);
}

void ticket_issue(struct ticket_office *o, const char *protocol, struct span user, uint64_t now_ms,
                  char ret[static 40])
{
    struct ticket *t = mem_new(struct ticket);
    _cleanup_(str_free) struct str hex = STR_INIT;
    unsigned char secret[16];

    clean(o, now_ms, o->max - 1);
    rand_bytes(secret, sizeof secret);
    str_add_hex(&hex, span_make(secret, sizeof secret));
    memcpy(t->id, str_cstr(&hex), hex.len + 1);
    snprintf(t->protocol, sizeof t->protocol, "%s", protocol);
    t->user = mem_dup_span(user);
    t->expires_ms = now_ms + (uint64_t)o->lifetime_ms;
    t->node.key = span_of(t->id);
    hash_put(&o->tickets, &t->node);
    list_push_back(&o->by_age, &t->by_age);
    memcpy(ret, t->id, sizeof t->id);
}

bool ticket_redeem(struct ticket_office *o, const char *id, const char *protocol, uint64_t now_ms,
                   struct str *user)
{
    clean(o, now_ms, o->max);
    struct ticket *t = HASH_ENTRY(hash_get(&o->tickets, span_of(id)), struct ticket, node);
    if (!t)
        return false;
    bool good = strcmp(t->protocol, protocol) == 0;
    if (good)
        str_set(user, span_of(t->user));
    drop(o, t);     /* also when it was shown for another protocol: somebody has stolen it */
    return good;
}
