/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth.c - AUTH: carrying a SASL exchange between the client and the auth service
 *
 * RFC 4954. smtpd knows no mechanism and no password: it decodes Base64 in both
 * directions and waits for the verdict. Credentials never reach a log.
 *
 * Runs in: smtpd (input is hostile). Logs failures as fail2ban expects them.
 */
#include <errno.h>

#include "base/chars.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "base/secret.h"
#include "ipc/msg_auth.h"
#include "sasl/offer.h"
#include "smtpd/command.h"
#include "smtpd/limits.h"
#include "smtpd/reply.h"
#include "tls/tls.h"

/* ---- the exchange ---- */

/* One challenge: ask the client, pass its answer on. 0, or the error of either stream. */
static int relay_challenge(struct smtpd *s, struct ipc *c)
{
    struct auth_challenge challenge = { .data = STR_INIT };
    _cleanup_(str_free) struct str text = STR_INIT;
    struct auth_answer to_auth = { .data = STR_INIT };
    struct span line;
    int r = ipc_recv(c, &auth_challenge_shape, &challenge);

    if (r == 0)
        str_add_base64(&text, str_span(&challenge.data));
    str_free(&challenge.data);
    if (r < 0)
        return r;
    reply_uncounted(s, "334 " SPAN_FMT, SPAN_ARG(str_span(&text)));
    r = stream_getline(s->client, (size_t)s->sv->params->smtpd_sasl_response_limit, &line);
    if (r < 0 && r != -EMSGSIZE)
        return r;
    /* "*" gives up (section 4); a line that is no Base64 or too long is no answer either */
    if (r == -EMSGSIZE || span_eq_str(line, "*") || str_add_unbase64(&to_auth.data, line) < 0)
        to_auth.cancelled = 1;
    ipc_send(c, &auth_answer_shape, &to_auth);
    secret_free(&to_auth.data);
    return 0;
}

/* Carry challenges until the result comes, then receive it. `type` is of the message that waits. */
static int relay_until_result(struct smtpd *s, struct ipc *c, struct span type, struct auth_result *ret)
{
    while (span_eq_str(type, "auth_challenge")) {
        int r = relay_challenge(s, c);

        if (r == 0)
            r = ipc_peek_type(c, &type);
        if (r < 0)
            return r;
    }
    return ipc_recv(c, &auth_result_shape, ret);
}

/* A kept connection that turns out dead before it has said anything is replaced. */
static int authenticate(struct smtpd *s, const struct auth_start *start, struct auth_result *ret)
{
    int64_t timeout_ms = s->sv->params->ipc_timeout * 1000;

    for (;;) {
        struct ipc *c;
        struct span type;
        int r = ipc_pool_get(s->sv->auth, clock_deadline_ms(timeout_ms), &c);

        if (r < 0)
            return r;
        stream_set_timeout(ipc_stream(c), timeout_ms);
        ipc_send(c, &auth_start_shape, start);
        r = ipc_peek_type(c, &type);
        if (r < 0 && r != -ECANCELED && r != -ETIMEDOUT && ipc_was_kept(c)) {
            ipc_free(c);
            continue;
        }
        if (r == 0)
            r = relay_until_result(s, c, type, ret);
        if (r == 0)
            ipc_pool_put(s->sv->auth, c);
        else
            ipc_free(c);
        return r;
    }
}

/* ---- the answer ---- */

static void log_failure(const struct smtpd *s, const char *mechanism, const struct auth_result *r)
{
    _cleanup_(str_free) struct str user = STR_INIT;

    show(&user, str_span(&r->user));
    log_warn("%s: SASL %s authentication failed: %s, sasl_username=%s", s->namaddr,
             mechanism, r->text[0] ? r->text : "authentication failure",
             user.len > 0 ? str_cstr(&user) : "(unavailable)");
}

static void answer(struct smtpd *s, const char *mechanism, const struct auth_result *r)
{
    switch ((enum auth_status)r->status) {
    case AUTH_OK:
        snprintf(s->sasl_method, sizeof(s->sasl_method), "%s", mechanism);
        str_set(&s->sasl_username, str_span(&r->user));
        reply(s, "235 2.7.0 Authentication successful");
        return;
    case AUTH_REFUSED:
        log_failure(s, mechanism, r);
        reply(s, "535 5.7.8 Error: authentication failed: (reason unavailable)");
        return;
    case AUTH_TEMPORARY:
        log_failure(s, mechanism, r);
        reply_uncounted(s, "454 4.7.0 Temporary authentication failure: %s", r->text);
        return;
    case AUTH_MALFORMED:
        reply(s, "501 5.7.0 Authentication aborted");
        return;
    case AUTH_NO_MECHANISM:
        reply(s, "504 5.5.4 Error: unrecognized authentication mechanism");
        return;
    }
}

/* ---- the command ---- */

/* Why AUTH cannot be used now, or NULL */
static const char *objection(const struct smtpd *s)
{
    if (!s->sv->params->smtpd_sasl_auth_enable)
        return "503 5.5.1 Error: authentication not enabled";
    if (!s->esmtp)
        return "503 5.5.1 Error: send EHLO first";
    if (s->sasl_username.len > 0)
        return "503 5.5.1 Error: already authenticated";
    if (s->sv->params->smtpd_tls_auth_only && s->tls_info.len == 0)
        return "538 5.7.0 Encryption required for requested authentication mechanism";
    return NULL;
}

/* sasl-mech: 1 to 20 of letters, digits, "-" and "_" (RFC 4422 section 3.1) */
static bool take_mechanism(struct span name, char ret[static 32])
{
    if (name.len == 0 || name.len > 20)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        if (!char_is(name.ptr[i], CHAR_ALNUM) && name.ptr[i] != '-' && name.ptr[i] != '_')
            return false;
        ret[i] = char_upper(name.ptr[i]);
    }
    ret[name.len] = '\0';
    return true;
}

/* The initial response (section 4). False: it is no Base64. */
static bool take_initial(struct span text, struct auth_start *ret)
{
    ret->has_initial = text.len > 0;
    return text.len == 0 || sasl_initial_parse(text, &ret->initial) == 0;
}

static void run_mechanism(struct smtpd *s, struct auth_start *start)
{
    struct auth_result result = { .user = STR_INIT };
    char local[INET6_ADDRSTRLEN] = "";

    if (s->local.sa.sa_family != AF_UNSPEC)
        socket_addr_print(&s->local, local);
    snprintf(start->protocol, sizeof(start->protocol), "smtp");
    snprintf(start->service, sizeof(start->service), "%s", s->sv->server->service);
    snprintf(start->client_addr, sizeof(start->client_addr), "%s", s->addr);
    snprintf(start->local_addr, sizeof(start->local_addr), "%s", local);
    start->tls = s->tls_info.len > 0;
    tls_channel_binding(stream_ssl(s->client), &start->channel_binding);

    int r = authenticate(s, start, &result);

    if (r == 0) {
        answer(s, start->mechanism, &result);
    } else if (stream_error(s->client) == 0) {
        log_warn_errno(r, "cannot reach the auth service for %s, telling it to try again",
                       s->namaddr);
        reply_uncounted(s, "454 4.7.0 Temporary authentication failure");
    }
    auth_result_msg_done(&result);
}

void cmd_auth(struct smtpd *s, struct span args)
{
    const char *why = objection(s);
    struct auth_start start = { .initial = STR_INIT, .channel_binding = STR_INIT };
    struct span initial = args;
    struct span mechanism = span_cut(&initial, ' ');

    if (why)
        reply(s, "%s", why);
    else if (limit_exceeded(s, LIMIT_AUTH))
        reply(s, "450 4.7.1 Error: too many AUTH commands from %s", s->addr);
    else if (!take_mechanism(mechanism, start.mechanism))
        reply(s, "501 5.5.4 Syntax: AUTH mechanism");
    else if (!take_initial(span_trim(initial), &start))
        reply(s, "501 5.5.2 Error: malformed initial response");
    else if (!sasl_is_offered(s->sv->params->auth_mechanisms, s->tls_info.len > 0, mechanism))
        reply(s, "504 5.5.4 Error: unrecognized authentication mechanism");
    else
        run_mechanism(s, &start);
    secret_free(&start.initial);
    str_free(&start.channel_binding);
}
