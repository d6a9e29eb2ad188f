/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authenticate.c - one SASL exchange between the client and auth (ipc/msg_auth.h)
 *
 * Runs in: imapd-login, pop3d-login. Passwords pass through and are not kept.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/secret.h"
#include "login/login.h"
#include "sasl/offer.h"
#include "tls/tls.h"

enum { USER_LOG_MAX = 128, AUTH_TIMEOUT_MS = 60000 };

/* Ask the client: 0, -EINVAL undecodable, -ECANCELED it sent "*", or the stream's error. */
static int ask_client(struct login *l, struct span challenge, struct str *reply)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    struct span line;

    str_add_base64(&text, challenge);
    stream_printf(l->client, "+ %s\r\n", str_cstr(&text));
    int r = stream_getline(l->client, (size_t)l->sv->params->imap_login_line_limit, &line);
    if (r == -EMSGSIZE)
        return -EINVAL;
    if (r < 0)
        return r;
    if (span_eq_str(line, "*"))
        return -ECANCELED;
    r = str_add_unbase64(reply, line);
    return r == 0 && reply->len > AUTH_DATA_MAX ? -EINVAL : r;
}

/* auth wants more of the client. */
static int pass_challenge(struct login *l, struct ipc *auth)
{
    struct auth_challenge ask = { .data = STR_INIT };
    struct auth_answer answer = { .data = STR_INIT };
    int r = ipc_recv(auth, &auth_challenge_shape, &ask);

    if (r == 0)
        r = ask_client(l, str_span(&ask.data), &answer.data);
    if (r == -EINVAL || r == -ECANCELED) {
        answer.cancelled = 1;
        str_reset(&answer.data);
        r = 0;
    }
    if (r == 0)
        ipc_send(auth, &auth_answer_shape, &answer);
    str_free(&ask.data);
    secret_free(&answer.data);
    return r;
}

/* *ret_answered: auth has said something, so that this must not be repeated. */
static int exchange(struct login *l, struct ipc *auth, const struct auth_start *start,
                    struct auth_result *ret, bool *ret_answered)
{
    struct span type;

    ipc_send(auth, &auth_start_shape, start);
    for (;;) {
        int r = ipc_peek_type(auth, &type);
        if (r < 0)
            return r;
        *ret_answered = true;
        if (!span_eq_str(type, "auth_challenge"))
            return ipc_recv(auth, &auth_result_shape, ret);
        r = pass_challenge(l, auth);
        if (r < 0)
            return r;
    }
}

static void fill_start(const struct login *l, struct span mechanism, struct auth_start *start)
{
    snprintf(start->protocol, sizeof start->protocol, "%s", l->server->protocol->name);
    snprintf(start->service, sizeof start->service, "%s", l->sv->service);
    struct span name = span_first(mechanism, sizeof start->mechanism - 1);
    for (size_t i = 0; i < name.len && name.ptr[i] >= ' ' && name.ptr[i] < 127; i++)
        start->mechanism[i] = name.ptr[i] >= 'a' && name.ptr[i] <= 'z' ? name.ptr[i] - 32 : name.ptr[i];
    snprintf(start->client_addr, sizeof start->client_addr, "%s", l->remote);
    snprintf(start->local_addr, sizeof start->local_addr, "%s", l->local);
    start->tls = l->tls;
    start->want_ticket = 1;
    tls_channel_binding(stream_ssl(l->client), &start->channel_binding);
}

/* A kept connection may have been to an auth that has gone since: once more then, with its successor. */
static int ask(struct login *l, const struct auth_start *start, struct auth_result *ret)
{
    const uint64_t deadline = clock_deadline_ms(AUTH_TIMEOUT_MS);
    bool again = true;
    int r = -EPIPE;

    while (r < 0 && again) {
        _cleanup_(ipc_free_ptr_) struct ipc *auth = NULL;
        bool answered = false;

        r = ipc_pool_get(l->server->auth, deadline, &auth);
        if (r < 0)
            return r;
        stream_set_deadline(ipc_stream(auth), deadline);
        r = exchange(l, auth, start, ret, &answered);
        again = ipc_was_kept(auth) && !answered && r != -ETIMEDOUT && r != -ECANCELED;
        if (r == 0)
            ipc_pool_put(l->server->auth, TAKE_PTR(auth));
    }
    return r;
}

static void authenticate(struct login *l, struct span mechanism, const struct str *initial,
                         struct auth_result *ret)
{
    struct auth_start start = { .initial = STR_INIT, .channel_binding = STR_INIT };

    *ret = (struct auth_result){ .status = AUTH_TEMPORARY, .user = STR_INIT };
    if (initial && initial->len > AUTH_DATA_MAX) {
        ret->status = AUTH_MALFORMED;
        return;
    }
    fill_start(l, mechanism, &start);
    memcpy(l->method, start.mechanism, sizeof l->method);
    if (initial) {
        start.has_initial = 1;
        str_add(&start.initial, str_span(initial));
    }
    if (ask(l, &start, ret) < 0)
        ret->status = AUTH_TEMPORARY;
    secret_free(&start.initial);
    str_free(&start.channel_binding);
    str_reset(&l->user);
    str_add_escaped(&l->user, str_span(&ret->user), USER_LOG_MAX, STR_ASCII);
    if (ret->status == AUTH_REFUSED)
        l->failures++;
}

int login_mechanism(struct login *l, struct span mechanism, struct span initial, struct auth_result *ret)
{
    _cleanup_(secret_free) struct str response = STR_INIT;

    if (initial.len > 0 && sasl_initial_parse(initial, &response) < 0)
        return -EINVAL;
    if (sasl_is_offered(l->sv->params->auth_mechanisms, l->tls, mechanism))
        authenticate(l, mechanism, initial.len > 0 ? &response : NULL, ret);
    else
        *ret = (struct auth_result){ .status = AUTH_NO_MECHANISM, .user = STR_INIT };
    return 0;
}

void login_password(struct login *l, struct span user, struct span password, struct auth_result *ret)
{
    struct str message = STR_INIT;

    str_add_char(&message, '\0');
    str_add(&message, user);
    str_add_char(&message, '\0');
    str_add(&message, password);
    authenticate(l, span_of("PLAIN"), &message, ret);
    secret_free(&message);
}
