/* SPDX-License-Identifier: Apache-2.0 */
/*
 * generic.c - smtp_generic_maps: addresses as other systems are to see them
 *
 * generic(5): user@domain, then user alone where the domain is ours, then @domain; the result is
 * used once, it is not looked up again. "@other" keeps the local part.
 *
 * Runs in: smtp. Addresses are hostile, tables are not.
 */
#include "base/mem.h"
#include "mail/address.h"
#include "smtp/rewrite.h"

/* Is the domain one of those whose users may stand in the table without it? */
static bool is_ours(struct smtp_client *c, struct span domain)
{
    return span_eq_nocase_str(domain, c->params->myorigin) ||
           match_list_has(c->tables.destinations, domain) > 0;
}

static bool propagates(const struct params *p)
{
    struct span list = span_of(p->propagate_unmatched_extensions), word;

    while (span_word(&list, ", \t\r\n", &word))
        if (span_eq_nocase_str(word, "generic"))
            return true;
    return false;
}

/* user+ext@domain of "user@domain" and "+ext" */
static void add_extension(struct str *address, struct span ext)
{
    _cleanup_(str_free) struct str whole = STR_INIT;

    str_add(&whole, address_local(str_span(address)));
    str_add(&whole, ext);
    str_addf(&whole, "@" SPAN_FMT, SPAN_ARG(address_domain(str_span(address))));
    str_set(address, str_span(&whole));
}

int generic_map(struct smtp_client *c, struct span address, struct str *ret)
{
    _cleanup_(str_free) struct str value = STR_INIT, ext = STR_INIT;
    struct span domain = address_domain(address);

    if (maps_empty(c->tables.generic) || address.len == 0)
        return 0;
    unsigned forms = MAPS_FULL | MAPS_AT_DOMAIN | (is_ours(c, domain) ? MAPS_LOCALPART : 0);
    int r = maps_get_address(c->tables.generic, address, c->params->recipient_delimiter, forms,
                             &value, &ext);
    if (r <= 0)
        return r;
    struct span to = span_trim(str_span(&value));
    str_reset(ret);
    if (to.len > 0 && to.ptr[0] == '@')
        str_add(ret, address_local(address));
    str_add(ret, to);
    if (span_chr(to, '@') < 0)
        str_addf(ret, "@%s", c->params->myorigin);
    if (ext.len > 0 && propagates(c->params))
        add_extension(ret, str_span(&ext));
    return !span_eq(str_span(ret), address);
}
