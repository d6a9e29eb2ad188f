/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alias.c - what the alias tables make of a local recipient (aliases(5))
 *
 * Addresses are forwarded through cleanup, all in one message, and travel on from there; the alias
 * itself among them means the own mailbox. Commands, files and :include: lists are not
 * supported: such an alias is refused as a whole, so that no part of it is lost silently.
 *
 * Runs in: local. Tables are the administrator's; recipients are anybody's.
 */
#include <errno.h>

#include "base/mem.h"
#include "local/agent.h"
#include "mail/address.h"
#include "mail/route.h"

#define DESTINATIONS_MAX 10000

void alias_list_done(struct alias_list *l)
{
    for (size_t i = 0; i < l->len; i++)
        str_free(&l->addresses[i]);
    free(l->addresses);
    str_free(&l->owner);
    free(l->refused);
    *l = (struct alias_list){ 0 };
}

/* ---- the right-hand side ---- */

/* Take the next item off a list: up to a comma, quotes and backslashes respected; what was quoted is
 * unquoted in *ret. */
static bool next_item(struct span *in, struct str *ret)
{
    bool quoted = false;
    size_t i = 0;

    str_reset(ret);
    *in = span_trim(*in);
    if (in->len == 0)
        return false;
    for (; i < in->len; i++) {
        char c = in->ptr[i];

        if (c == ',' && !quoted)
            break;
        if (c == '"')
            quoted = !quoted;
        else if (c == '\\' && i + 1 < in->len && quoted)
            str_add_char(ret, in->ptr[++i]);
        else
            str_add_char(ret, c);
    }
    *in = span_from(*in, i + 1);
    return true;
}

static bool is_unsupported(struct span item)
{
    return item.len > 0 && (item.ptr[0] == '|' || item.ptr[0] == '/' || item.ptr[0] == ':');
}

static void add_address(const struct params *p, struct span item, struct span user, struct alias_list *l)
{
    /* "\user" is the mailbox without further aliases; that of another user: he is asked himself. */
    span_take(&item, '\\');
    if (span_take(&item, '<') && item.len > 0 && item.ptr[item.len - 1] == '>')
        item.len--;
    if (item.len == 0)
        return;
    if (span_eq_nocase(item, user)) {
        l->self = true;
        return;
    }
    MEM_GROW(l->addresses, l->len, l->cap);
    l->addresses[l->len] = STR_INIT;
    route_complete(p, item, &l->addresses[l->len++]);
}

void alias_parse(const struct params *p, struct span value, struct span user, struct alias_list *ret)
{
    _cleanup_(str_free) struct str item = STR_INIT;

    *ret = (struct alias_list){ 0 };
    while (ret->len < DESTINATIONS_MAX && next_item(&value, &item)) {
        struct span text = span_trim(str_span(&item));

        if (is_unsupported(text)) {
            free(ret->refused);
            ret->refused = mem_dup_span(text);
        } else {
            add_address(p, text, user, ret);
        }
    }
}

/* ---- delivery ---- */

/* The alias for a recipient: user+ext, then user. 1 found (*user is the name that was found) */
static int find_alias(struct agent *a, struct span local, struct str *value, struct span *user)
{
    const char *delimiter = a->sv->params->recipient_delimiter;
    struct span base, ext;
    int r = maps_get(a->aliases, local, value);

    *user = local;
    if (r != 0 || delimiter[0] == '\0')
        return r;
    address_split_extension(local, delimiter, &base, &ext);
    if (ext.len == 0)
        return 0;
    *user = base;
    return maps_get(a->aliases, base, value);
}

/* An alias for which there is an owner-NAME is a mailing list: reports on its members go to the owner. */
static int find_owner(struct agent *a, struct span user, struct span domain, struct alias_list *l)
{
    static const struct span prefix = SPAN("owner-");
    const struct params *p = a->sv->params;
    _cleanup_(str_free) struct str name = STR_INIT, value = STR_INIT;
    _cleanup_(alias_list_done) struct alias_list owners = { 0 };

    if (span_starts_nocase(user, prefix))
        return 0;
    str_add(&name, prefix);
    str_add(&name, user);
    int found = maps_get(a->aliases, str_span(&name), &value);

    if (found <= 0)
        return found;
    str_addf(&l->owner, "%s@" SPAN_FMT, str_cstr(&name), SPAN_ARG(domain));
    if (!p->expand_owner_alias)
        return 0;
    alias_parse(p, str_span(&value), str_span(&name), &owners);
    if (owners.len == 1 && !owners.self && !owners.refused)
        str_set(&l->owner, str_span(&owners.addresses[0]));
    return 0;
}

static void refuse(struct recipient *r, const char *destination)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    str_add_escaped(&text, span_of(destination), 200, STR_UTF8);
    outcome_set(&r->outcome, OUTCOME_BOUNCED, "5.3.3",
                "the alias delivers to \"%s\": commands, files and lists are not supported", str_cstr(&text));
}

static void deliver_to(struct message *m, struct recipient *r, const struct alias_list *l)
{
    char id[64];

    if (l->refused) {
        refuse(r, l->refused);
        return;
    }
    if (l->len > 0 && forward_message(m, r, l, id) < 0)
        return;
    /* After the forwarding: a failure here repeats both, which is better than losing one. */
    if (l->self || l->len == 0)
        deliver_mailbox(m, r);
    else
        outcome_set(&r->outcome, OUTCOME_SENT, "2.0.0", "forwarded as %s", id);
    /* A list is where the message was to go (RFC 3461 section 5.2.7.2); behind an alias it goes on. */
    if (l->len > 0 && l->owner.len == 0 && r->outcome.status == OUTCOME_SENT)
        r->outcome.fate = FATE_EXPANDED;
}

bool alias_deliver(struct message *m, struct recipient *r)
{
    _cleanup_(alias_list_done) struct alias_list l = { 0 };
    _cleanup_(str_free) struct str value = STR_INIT;
    struct span user;
    int found = find_alias(m->agent, address_local(str_span(&r->rcpt.address)), &value, &user);

    if (found == 0)
        return false;
    if (found > 0 && (m->request.flags & SUBMIT_PROBE)) {
        outcome_set(&r->outcome, OUTCOME_SENT, "2.0.0", "aliased to " SPAN_FMT, SPAN_ARG(str_span(&value)));
        return true;
    }
    if (found > 0) {
        alias_parse(m->agent->sv->params, str_span(&value), user, &l);
        found = find_owner(m->agent, user, address_domain(str_span(&r->rcpt.address)), &l);
    }
    if (found < 0) {
        outcome_set(&r->outcome, OUTCOME_DEFERRED, "4.3.0", "alias database lookup error");
        return true;
    }
    deliver_to(m, r, &l);
    return true;
}
