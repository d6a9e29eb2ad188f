/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restrict_login.c - who may use a sender address: smtpd_sender_login_maps
 *
 * Runs in: smtpd (the sender is hostile, the sign-in name has been proved). Logs nothing.
 */
#include <errno.h>

#include "base/own.h"
#include "mail/address.h"
#include "smtpd/reply.h"
#include "smtpd/restrict_internal.h"

/* The sign-in names that own the sender: 1 and *ret, 0: nobody does, or negative */
static int find_owners(struct smtpd *s, struct str *ret)
{
    struct span sender = str_span(&s->sender);
    enum address_class class;
    unsigned forms = MAPS_FULL | MAPS_AT_DOMAIN;

    if (route_class(s->sv->router, address_domain(sender), &class) < 0)
        return -EAGAIN;
    if (class == CLASS_LOCAL)
        forms |= MAPS_LOCALPART;
    return maps_get_address(s->sv->sender_logins, sender, s->sv->params->recipient_delimiter, forms,
                            ret, NULL);
}

static bool is_owner(const struct smtpd *s, const struct str *owners)
{
    struct span rest = str_span(owners);
    struct span word;

    while (span_word(&rest, ", \t\r\n", &word))
        if (span_eq_nocase(word, str_span(&s->sasl_username)))
            return true;
    return false;
}

enum {
    SIGNED_IN     = 1 << 0,     /* ask of a client that has signed in */
    NOT_SIGNED_IN = 1 << 1,
    ONLY_OWNED    = 1 << 2,     /* an address that nobody owns is free */
};

static enum verdict mismatch(struct smtpd *s, unsigned which)
{
    _cleanup_(str_free) struct str scratch = STR_INIT;
    _cleanup_(str_free) struct str owners = STR_INIT;
    _cleanup_(str_free) struct str why = STR_INIT;
    struct subject about = subject_sender(s, &scratch);
    bool signed_in = s->sasl_username.len > 0;

    if (s->sender.len == 0 || !(which & (signed_in ? SIGNED_IN : NOT_SIGNED_IN)))
        return VERDICT_NONE;

    int found = find_owners(s, &owners);

    if (found < 0)
        return restrict_lookup_failed(s, &about);
    if (!signed_in && found)
        return restrict_refuse(s, &about, 553, "7.1", "not logged in");
    if (!signed_in || is_owner(s, &owners) || (!found && (which & ONLY_OWNED)))
        return VERDICT_NONE;
    str_add_str(&why, "not owned by user ");
    show(&why, str_span(&s->sasl_username));
    return restrict_refuse(s, &about, 553, "7.1", str_cstr(&why));
}

enum verdict ask_login_mismatch(struct smtpd *s, const struct restriction_item *item)
{
    (void)item;
    return mismatch(s, SIGNED_IN | NOT_SIGNED_IN);
}

enum verdict ask_unauthenticated_mismatch(struct smtpd *s, const struct restriction_item *item)
{
    (void)item;
    return mismatch(s, NOT_SIGNED_IN);
}

enum verdict ask_authenticated_mismatch(struct smtpd *s, const struct restriction_item *item)
{
    (void)item;
    return mismatch(s, SIGNED_IN);
}

enum verdict ask_known_mismatch(struct smtpd *s, const struct restriction_item *item)
{
    (void)item;
    return mismatch(s, SIGNED_IN | NOT_SIGNED_IN | ONLY_OWNED);
}
