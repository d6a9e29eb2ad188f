/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bcc.c - copies that the administrator wants: always_bcc, sender_bcc_maps, recipient_bcc_maps
 *
 * Only of mail from outside: a copy of each report and of each forwarded message would be a second
 * one. Whoever gets a copy causes no report to the sender, who shall not know.
 *
 * Runs in: cleanup. Addresses are hostile, tables are not.
 */
#include "cleanup/bcc.h"

#include "base/log.h"
#include "base/mem.h"
#include "cleanup/cleanup.h"
#include "mail/address.h"

int bcc_open(const struct params *p, struct bcc_tables *ret, struct str *err)
{
    const struct maps_setting tables[] = {
        { "sender_bcc_maps", p->sender_bcc_maps, &ret->sender },
        { "recipient_bcc_maps", p->recipient_bcc_maps, &ret->recipient },
    };

    return maps_open_settings(tables, ARRAY_LEN(tables), err);
}

static bool wants_copies(const struct message *m)
{
    return m->submit.origin != SUBMIT_INTERNAL && !(m->submit.flags & SUBMIT_NO_ALIAS) && !message_failed(m);
}

static void add_copy(struct message *m, struct span address)
{
    _cleanup_(submit_rcpt_msg_done) struct submit_rcpt rcpt = { .dsn_notify = DSN_NEVER };

    str_add(&rcpt.address, address);
    message_add_expanded(m, &rcpt);
}

static void look_up(struct message *m, struct maps *maps, const char *name, struct span address)
{
    _cleanup_(str_free) struct str value = STR_INIT;
    unsigned forms = MAPS_FULL | MAPS_AT_DOMAIN;
    struct span domain = address_domain(address);
    int r;

    if (!maps || address.len == 0)
        return;
    if (span_eq_nocase_str(domain, m->c->params->myorigin) || match_list_has(m->c->aliases.local, domain) > 0)
        forms |= MAPS_LOCALPART;
    r = maps_get_address(maps, address, m->c->params->recipient_delimiter, forms, &value, NULL);
    if (r < 0) {
        log_warn_errno(r, "%s: %s map lookup problem -- message not accepted, try again later", m->env.id, name);
        message_fail(m, SUBMIT_TEMPORARY, "4.6.0", "Alias expansion error");
    }
    if (r > 0 && span_trim(str_span(&value)).len > 0)
        add_copy(m, span_trim(str_span(&value)));
}

void bcc_of_message(struct message *m)
{
    if (!wants_copies(m))
        return;
    if (*m->c->params->always_bcc)
        add_copy(m, span_of(m->c->params->always_bcc));
    look_up(m, m->c->bcc.sender, "sender_bcc_maps", str_span(&m->submit.sender));
}

void bcc_of_rcpt(struct message *m, const struct submit_rcpt *rcpt)
{
    if (wants_copies(m))
        look_up(m, m->c->bcc.recipient, "recipient_bcc_maps", str_span(&rcpt->address));
}
