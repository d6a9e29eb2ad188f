/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.c - whom we report to: limits against backscatter
 *
 * A table that cannot be asked refuses nothing: a report too many is better than a sender who never hears.
 *
 * Runs in: bounce. Senders and headers are hostile; memory is bounded by SENDERS_MAX.
 */
#include "bounce/policy.h"

#include "base/mem.h"
#include "conf/words.h"
#include "mail/header.h"

#define SENDERS_MAX 20000

struct sender_count {
    struct hash_node node;
    struct list link;
    struct str address; /* lower case */
    int64_t since;
    int64_t count;
};

int report_origins_parse(struct span list, unsigned *ret, struct str *err)
{
    static const struct conf_word origins[] = {
        { "local", ORIGIN_LOCAL },
        { "authenticated", ORIGIN_AUTHENTICATED },
        { "mynetworks", ORIGIN_MYNETWORKS },
        { "forwarded", ORIGIN_FORWARDED },
        { "remote", ORIGIN_REMOTE },
    };

    return conf_parse_words("bounce_report_origins", list, origins, ARRAY_LEN(origins), ret, err);
}

int policy_open(struct policy *ret, const struct params *p, struct str *err)
{
    *ret = (struct policy){ .rate_limit = p->bounce_report_rate_limit, .rate_unit = p->bounce_report_rate_time_unit };
    list_init(&ret->by_time);
    int r = report_origins_parse(span_of(p->bounce_report_origins), &ret->origins, err);

    if (r == 0)
        r = match_list_open_named("mynetworks", p->mynetworks, MATCH_HOST_ADDR, &ret->mynetworks, err);
    if (r == 0)
        r = maps_open_named("bounce_report_suppress_checks", p->bounce_report_suppress_checks, &ret->suppress, err);
    if (r < 0)
        policy_close(ret);
    return r;
}

static void forget(struct policy *p, struct sender_count *s)
{
    hash_remove(&p->senders, &s->node);
    list_remove(&s->link);
    str_free(&s->address);
    free(s);
}

/* Those whose time is over; a flood of senders must not have all of them looked at each time. */
static void forget_before(struct policy *p, int64_t since)
{
    struct sender_count *s;

    while (!list_empty(&p->by_time) && (s = LIST_FIRST(&p->by_time, struct sender_count, link))->since <= since)
        forget(p, s);
}

void policy_close(struct policy *p)
{
    match_list_free(p->mynetworks);
    maps_free(p->suppress);
    forget_before(p, INT64_MAX);
    hash_done(&p->senders);
    *p = (struct policy){ 0 };
    list_init(&p->by_time);
}

/* ---- the three questions ---- */

static bool origin_is_reported(struct policy *p, const struct queue_envelope *e)
{
    if (e->origin == SUBMIT_LOCAL)
        return p->origins & ORIGIN_LOCAL;
    if (e->origin == SUBMIT_INTERNAL)
        return p->origins & ORIGIN_FORWARDED;
    if (p->origins & ORIGIN_REMOTE)
        return true;
    if (e->sasl_username)
        return p->origins & ORIGIN_AUTHENTICATED;
    return (p->origins & ORIGIN_MYNETWORKS) && e->client_addr &&
           match_list_has_client(p->mynetworks, span_of(e->client_name ? e->client_name : "unknown"),
                                 span_of(e->client_addr)) != 0;
}

static bool header_forbids(struct policy *p, struct span header)
{
    _cleanup_(str_free) struct str value = STR_INIT;
    size_t size = header.len;
    struct header_field field;

    if (maps_empty(p->suppress))
        return false;
    while (header_next(&header, size, &field) == 1)
        if (maps_get(p->suppress, span_trim(field.raw), &value) == 1)
            return true;
    return false;
}

static struct sender_count *count_of(struct policy *p, const char *sender, int64_t now)
{
    _cleanup_(str_free) struct str key = STR_INIT;

    str_add_lower(&key, span_of(sender));
    struct hash_node *n = hash_get(&p->senders, str_span(&key));

    if (n)
        return CONTAINER_OF(n, struct sender_count, node);
    if (p->senders.len >= SENDERS_MAX)
        forget_before(p, now - p->rate_unit);
    if (p->senders.len >= SENDERS_MAX)
        return NULL;
    struct sender_count *s = mem_new(struct sender_count);

    s->since = now;
    list_push_back(&p->by_time, &s->link);
    str_set(&s->address, str_span(&key));
    s->node.key = str_span(&s->address);
    hash_put(&p->senders, &s->node);
    return s;
}

static bool had_enough(struct policy *p, const char *sender, int64_t now)
{
    if (p->rate_limit == 0)
        return false;
    struct sender_count *s = count_of(p, sender, now);

    if (!s)
        return false;
    if (now - s->since >= p->rate_unit) {
        s->since = now;
        s->count = 0;
        list_remove(&s->link);
        list_push_back(&p->by_time, &s->link);
    }
    return ++s->count > p->rate_limit;
}

const char *policy_refuses(struct policy *p, const struct queue_envelope *e, struct span header, int64_t now)
{
    if (!origin_is_reported(p, e))
        return "bounce_report_origins does not name where the message came from";
    if (header_forbids(p, header))
        return "its header is matched by bounce_report_suppress_checks";
    if (had_enough(p, e->sender, now))
        return "bounce_report_rate_limit is reached";
    return NULL;
}
