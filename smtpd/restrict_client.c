/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restrict_client.c - restrictions on the client and its HELO
 *
 * Runs in: smtpd (what the client says and what DNS says of it is hostile). Logs pipelining out of
 * turn.
 */
#include "base/chars.h"
#include "base/log.h"
#include "base/own.h"
#include "mail/address.h"
#include "smtpd/client.h"
#include "smtpd/reply.h"
#include "smtpd/restrict_internal.h"

/* ---- who is the client ---- */

enum verdict ask_mynetworks(struct smtpd *s, const struct restriction_item *item)
{
    (void)item;
    return s->trusted ? VERDICT_PERMIT : VERDICT_NONE;
}

enum verdict ask_sasl_authenticated(struct smtpd *s, const struct restriction_item *item)
{
    (void)item;
    return s->sasl_username.len > 0 ? VERDICT_PERMIT : VERDICT_NONE;
}

enum verdict ask_inet_interfaces(struct smtpd *s, const struct restriction_item *item)
{
    (void)item;
    return router_has_interface(s->sv->router, &s->remote) ? VERDICT_PERMIT : VERDICT_NONE;
}

/* A failing name server's 4xx comes first; a refusal only when DNS has said no */
static enum verdict refuse_nameless(struct smtpd *s, enum client_name_state state, const char *what)
{
    struct subject about = { "Client host", SPAN_NULL };
    char why[128];

    snprintf(why, sizeof(why), "cannot find your %s, [%s]", what, s->addr);
    if (state == CLIENT_NAME_TEMPORARY)
        return restrict_refuse(s, &about, 450, "7.1", why);
    return restrict_refuse(s, &about, s->sv->params->unknown_client_reject_code, "7.1", why);
}

enum verdict ask_unknown_client(struct smtpd *s, const struct restriction_item *item)
{
    (void)item;
    if (s->name_state == CLIENT_NAME_OK)
        return VERDICT_NONE;
    return refuse_nameless(s, s->name_state, "hostname");
}

enum verdict ask_unknown_reverse_client(struct smtpd *s, const struct restriction_item *item)
{
    (void)item;
    if (s->reverse_name_state == CLIENT_NAME_OK)
        return VERDICT_NONE;
    return refuse_nameless(s, s->reverse_name_state, "reverse hostname");
}

/* ---- how it behaves ---- */

enum verdict ask_pipelining(struct smtpd *s, const struct restriction_item *item)
{
    _cleanup_(str_free) struct str scratch = STR_INIT;
    _cleanup_(str_free) struct str shown = STR_INIT;
    struct subject about = subject_of_stage(s, &scratch);
    size_t waiting = stream_buffered(s->client);
    bool in_turn =
        s->esmtp && s->restrict_state.stage != STAGE_DATA &&
        (s->state & (SMTP_MAIL | SMTP_RCPT)); /* RFC 2920: what follows these need not wait */
    struct span in;

    (void)item;
    if (in_turn || s->in_content || waiting == 0 || stream_peek(s->client, &in) < 0)
        return VERDICT_NONE;
    show(&shown, in);
    log_info("improper command pipelining after %s from %s: %s", s->where, s->namaddr,
             str_cstr(&shown));
    return restrict_refuse(s, &about, 503, "5.0", "Improper use of SMTP command pipelining");
}

enum verdict ask_plaintext(struct smtpd *s, const struct restriction_item *item)
{
    _cleanup_(str_free) struct str scratch = STR_INIT;
    struct subject about = subject_of_stage(s, &scratch);

    (void)item;
    if (s->tls_info.len > 0)
        return VERDICT_NONE;
    return restrict_refuse(s, &about, s->sv->params->plaintext_reject_code, "7.1",
                           "Session encryption is required");
}

/* The null sender answers one message to one sender; this one counts the recipient at RCPT TO as
 * well */
enum verdict ask_multi_recipient_bounce(struct smtpd *s, const struct restriction_item *item)
{
    _cleanup_(str_free) struct str scratch = STR_INIT;
    struct subject about = subject_of_stage(s, &scratch);
    bool at_message =
        s->restrict_state.stage == STAGE_DATA || s->restrict_state.stage == STAGE_END_OF_DATA;

    (void)item;
    if (s->sender.len > 0 || s->n_rcpts + (at_message ? 0 : 1) < 2)
        return VERDICT_NONE;
    return restrict_refuse(s, &about, s->sv->params->multi_recipient_bounce_reject_code, "5.3",
                           "Multi-recipient bounce");
}

/* ---- HELO ---- */

static bool is_literal(struct span helo)
{
    struct span inner;

    return address_literal(helo, &inner);
}

enum verdict ask_invalid_helo(struct smtpd *s, const struct restriction_item *item)
{
    struct subject about = subject_helo(s);

    (void)item;
    if (address_domain_valid(about.name))
        return VERDICT_NONE;
    return restrict_refuse(s, &about, s->sv->params->invalid_hostname_reject_code, "5.2",
                           "Invalid name");
}

enum verdict ask_non_fqdn_helo(struct smtpd *s, const struct restriction_item *item)
{
    struct subject about = subject_helo(s);

    (void)item;
    if (is_literal(about.name) ||
        (address_domain_valid(about.name) && span_chr(about.name, '.') > 0))
        return VERDICT_NONE;
    return restrict_refuse(s, &about, s->sv->params->non_fqdn_reject_code, "5.2",
                           "need fully-qualified hostname");
}

enum verdict ask_unknown_helo(struct smtpd *s, const struct restriction_item *item)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    struct subject about = subject_helo(s);
    enum domain_state state =
        is_literal(about.name) ? DOMAIN_EXISTS : restrict_domain_state(s, about.name);

    (void)item;
    if (state == DOMAIN_EXISTS || state == DOMAIN_NULL_MX)
        return VERDICT_NONE;
    if (state == DOMAIN_UNKNOWN)
        return restrict_refuse(s, &about, s->sv->params->unknown_hostname_reject_code, "7.1",
                               "Host not found");
    reply_text(&text, &about, 450, "7.1", "Host not found");
    return restrict_tempfail(s, s->sv->params->unknown_helo_hostname_tempfail_action,
                             str_span(&text));
}
