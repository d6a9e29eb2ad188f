/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restrict_access.c - check_*_access: looking clients and addresses up in access(5) tables
 *
 * The search order is access(5)'s; the first hit decides, also when it says DUNNO. A
 * pattern table (regexp, pcre, cidr) is asked for the whole only, since its patterns see
 * to the parts themselves.
 *
 * Runs in: smtpd (what is looked up is hostile). Logs nothing.
 */
#include "base/own.h"
#include "mail/address.h"
#include "smtpd/restrict_internal.h"

/* ---- search orders ---- */

/* host.example.com, example.com, com; or with a dot in front where parents are not meant by the
 * bare name */
int access_find_domain(const struct smtpd *s, struct table *t, struct span domain,
                       struct str *value)
{
    int r = table_get(t, domain, value);
    bool dotted = !s->sv->access_parents;
    ptrdiff_t dot;

    if (table_is_pattern(t))
        return r;
    while (r == 0 &&
           (dot = span_chr(dotted && domain.len > 0 ? span_from(domain, 1) : domain, '.')) >= 0) {
        domain = span_from(domain, (size_t)dot + 1);
        r = table_get(t, domain, value);
    }
    return r;
}

/* 192.0.2.9, 192.0.2, 192.0, 192; 2001:db8::1, 2001:db8:, 2001:db8, 2001 */
int access_find_network(struct table *t, struct span addr, struct str *value)
{
    char separator = span_chr(addr, ':') >= 0 ? ':' : '.';
    int r = table_get(t, addr, value);
    ptrdiff_t end;

    if (table_is_pattern(t))
        return r;
    while (r == 0 && (end = span_rchr(addr, separator)) > 0) {
        addr = span_first(addr, (size_t)end);
        r = table_get(t, addr, value);
    }
    return r;
}

/* local@ */
static int find_local(struct table *t, struct span local, struct str *value)
{
    _cleanup_(str_free) struct str key = STR_INIT;

    str_add(&key, local);
    str_add_char(&key, '@');
    return table_get(t, str_span(&key), value);
}

/* user+ext@domain, user@domain, domain and its parents, user+ext@, user@ */
int access_find_address(const struct smtpd *s, struct table *t, struct span address,
                        struct str *value)
{
    _cleanup_(str_free) struct str bare = STR_INIT;
    struct span domain = address_domain(address), local = address_local(address), user, ext;
    int r = table_get(t, address, value);

    if (r != 0 || table_is_pattern(t))
        return r;
    address_split_extension(local, s->sv->params->recipient_delimiter, &user, &ext);
    if (user.len < local.len) {
        str_add(&bare, user);
        str_add_char(&bare, '@');
        str_add(&bare, domain);
        r = table_get(t, str_span(&bare), value);
    }
    if (r == 0 && domain.len > 0)
        r = access_find_domain(s, t, domain, value);
    if (r == 0)
        r = find_local(t, local, value);
    if (r == 0 && user.len < local.len)
        r = find_local(t, user, value);
    return r;
}

/* ---- restrictions ---- */

static enum verdict act(struct smtpd *s, const struct restriction_item *item, int found,
                        const struct str *value, const struct subject *about)
{
    if (found < 0)
        return restrict_lookup_failed(s, about);
    return found == 0 ? VERDICT_NONE
                      : access_act(s, table_name(item->table), str_span(value), about);
}

enum verdict ask_client_access(struct smtpd *s, const struct restriction_item *item)
{
    _cleanup_(str_free) struct str value = STR_INIT;
    struct subject about = subject_client(s);
    int r = access_find_domain(s, item->table, str_span(&s->name), &value);

    if (r == 0)
        r = access_find_network(item->table, span_of(s->addr), &value);
    return act(s, item, r, &value, &about);
}

enum verdict ask_reverse_client_access(struct smtpd *s, const struct restriction_item *item)
{
    _cleanup_(str_free) struct str value = STR_INIT;
    struct subject about = { "Unverified Client host", str_span(&s->reverse_name) };
    int r = access_find_domain(s, item->table, about.name, &value);

    return act(s, item, r, &value, &about);
}

enum verdict ask_helo_access(struct smtpd *s, const struct restriction_item *item)
{
    _cleanup_(str_free) struct str value = STR_INIT;
    struct subject about = subject_helo(s);
    int r = access_find_domain(s, item->table, about.name, &value);

    return act(s, item, r, &value, &about);
}

enum verdict ask_sender_access(struct smtpd *s, const struct restriction_item *item)
{
    _cleanup_(str_free) struct str value = STR_INIT;
    _cleanup_(str_free) struct str scratch = STR_INIT;
    struct subject about = subject_sender(s, &scratch);
    const char *null_key = s->sv->params->smtpd_null_access_lookup_key;
    int r = s->sender.len > 0 ? access_find_address(s, item->table, str_span(&s->sender), &value)
                              : table_get(item->table, span_of(null_key), &value);

    return act(s, item, r, &value, &about);
}

enum verdict ask_rcpt_access(struct smtpd *s, const struct restriction_item *item)
{
    _cleanup_(str_free) struct str value = STR_INIT;
    _cleanup_(str_free) struct str scratch = STR_INIT;
    struct subject about = subject_rcpt(s, &scratch);
    int r = access_find_address(s, item->table, str_span(&s->rcpt), &value);

    return act(s, item, r, &value, &about);
}

enum verdict ask_etrn_access(struct smtpd *s, const struct restriction_item *item)
{
    _cleanup_(str_free) struct str value = STR_INIT;
    struct subject about = { "Etrn command", s->etrn };
    int r = access_find_domain(s, item->table, about.name, &value);

    return act(s, item, r, &value, &about);
}

enum verdict ask_sasl_access(struct smtpd *s, const struct restriction_item *item)
{
    _cleanup_(str_free) struct str value = STR_INIT;
    _cleanup_(str_free) struct str shown = STR_INIT;
    struct span user = str_span(&s->sasl_username);

    if (user.len == 0)
        return VERDICT_NONE;
    str_add_escaped(&shown, user, SHOWN_MAX, STR_UTF8);

    struct subject about = { "SASL login name", str_span(&shown) };
    int r = access_find_address(s, item->table, user, &value);

    return act(s, item, r, &value, &about);
}
