/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c - one caller's requests, one after another (ipc/msg_auth.h)
 *
 * Runs in: auth. What a client of a caller sent is hostile; callers are not trusted either.
 */
#include "auth/auth.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "sasl/offer.h"

/* A session that parks and is woken has a new pass each time. */
enum { USER_LOG_MAX = 512, PASS_LIFETIME_MS = 7 * 24 * 3600 * 1000 };

struct auth_caller {
    struct server *sv;
    struct auth *auth;
    struct ipc *ipc;
    const struct peer *peer;
};

/* Send a challenge and receive the answer. 0, -EINVAL when the client gave up, or the stream's error. */
static int ask_client(struct auth_caller *c, struct str *challenge, struct str *answer)
{
    struct auth_challenge ask = { .data = *challenge };
    _cleanup_(auth_answer_msg_done) struct auth_answer reply = { .data = STR_INIT };

    ipc_send(c->ipc, &auth_challenge_shape, &ask);
    str_reset(challenge);
    int r = ipc_recv(c->ipc, &auth_answer_shape, &reply);
    if (r < 0)
        return r;
    if (reply.cancelled)
        return -EINVAL;
    str_set(answer, str_span(&reply.data));
    return 0;
}

/* Run the exchange to its end: 0; or as sasl_step(); or the connection's error. */
static int run_exchange(struct auth_caller *c, const struct auth_start *start, struct sasl_exchange *x)
{
    _cleanup_(str_free) struct str challenge = STR_INIT;
    _cleanup_(secret_free) struct str answer = STR_INIT;
    struct span data = SPAN_NULL;

    if (start->has_initial)
        data = start->initial.len ? str_span(&start->initial) : span_make("", 0);
    for (;;) {
        int r = sasl_step(x, data, &challenge);
        if (r <= 0)
            return r;
        r = ask_client(c, &challenge, &answer);
        if (r < 0)
            return r;
        data = span_make(str_cstr(&answer), answer.len);
    }
}

static void set_status(struct auth_result *res, enum auth_status status, const char *text)
{
    res->status = status;
    snprintf(res->text, sizeof res->text, "%s", text);
}

/* The user is known by name; is it him? */
static void judge(struct auth_caller *c, const struct sasl_exchange *x, const struct scram_lookup *l,
                  struct auth_result *res)
{
    _cleanup_(account_done) struct account acc = { .name = STR_INIT };
    int r = account_find(c->auth, str_span(&x->credentials.user), &acc);

    str_set(&res->user, str_span(&acc.name));
    if (r < 0) {
        set_status(res, AUTH_TEMPORARY, "user database not available");
        return;
    }
    if (penalty_locked(c->auth->penalties, str_span(&acc.name), l->network, clock_ms(), res->text)) {
        res->status = AUTH_TEMPORARY;
        return;
    }
    if (x->proved)
        set_status(res, r ? AUTH_OK : AUTH_REFUSED, r ? "ok" : "unknown user");
    else
        res->status = account_check_password(c->auth, &acc, str_span(&x->credentials.password), res->text);
    if (res->status == AUTH_OK)
        res->status = account_may_sign_in(&acc, l->client_addr, res->text);
    /* Guesses that were under way together may have locked the user meanwhile: then neither answer is given. */
    if (penalty_locked(c->auth->penalties, str_span(&acc.name), l->network, clock_ms(), res->text))
        res->status = AUTH_TEMPORARY;
}

static void conclude(struct auth_caller *c, const struct sasl_exchange *x, int r, const struct scram_lookup *l,
                     struct auth_result *res)
{
    if (r == -EACCES || r == -EAGAIN)
        str_add_lower(&res->user, span_first(str_span(&x->credentials.user), USER_LOG_MAX));
    switch (r) {
    case 0:
        judge(c, x, l, res);
        break;
    case -EACCES:
        set_status(res, AUTH_REFUSED, l->status == AUTH_REFUSED ? l->text : "password mismatch");
        break;
    case -EAGAIN:
        set_status(res, AUTH_TEMPORARY, l->status == AUTH_TEMPORARY ? l->text : "user database not available");
        break;
    default:
        set_status(res, AUTH_MALFORMED, "malformed or cancelled exchange");
    }
}

/* Count it, and let who failed wait. */
static void settle(struct auth_caller *c, const struct sasl_exchange *x, const char *network,
                   const struct auth_result *res)
{
    struct span user = str_span(&res->user);

    if (res->status == AUTH_OK)
        penalty_succeeded(c->auth->penalties, user, network, clock_ms());
    if (res->status != AUTH_REFUSED)
        return;
    int64_t delay_ms =
        penalty_failed(c->auth->penalties, user, network, str_span(&x->credentials.password), clock_ms());
    if (delay_ms > 0)
        fiber_sleep_until(clock_deadline_ms(delay_ms));
}

/* The client's network, or NULL for one whose failures are not counted: a webmail server's, say. */
static const char *counted_network(const struct auth *a, const char *client_addr, char buffer[static 64])
{
    if (match_list_has_client(a->trusted, span_of("unknown"), span_of(client_addr)) > 0)
        return NULL;
    penalty_network(client_addr, buffer);
    return buffer;
}

static bool is_stream_error(int r)
{
    return r < 0 && r != -EINVAL && r != -EACCES && r != -EAGAIN;
}

static int answer_start(struct auth_caller *c, const struct auth_start *start, struct auth_result *res)
{
    const char *mechanisms = c->sv->params->auth_mechanisms;
    char buffer[64];
    struct scram_lookup l = {
        .auth = c->auth, .network = counted_network(c->auth, start->client_addr, buffer),
        .client_addr = start->client_addr, .status = AUTH_OK,
    };
    struct sasl_server server = {
        .scram_secret = account_scram_secret, .arg = &l,
        .channel_binding = str_span(&start->channel_binding),
        .plus_offered = start->channel_binding.len > 0 &&
                        (sasl_is_offered(mechanisms, true, span_of("SCRAM-SHA-256-PLUS")) ||
                         sasl_is_offered(mechanisms, true, span_of("SCRAM-SHA-1-PLUS"))),
    };
    _cleanup_(sasl_end) struct sasl_exchange x = { .mech = NULL };

    if (sasl_start(&x, span_of(start->mechanism), &server) < 0) {
        set_status(res, AUTH_NO_MECHANISM, "mechanism not offered");
        return 0;
    }
    int r = run_exchange(c, start, &x);
    if (is_stream_error(r))
        return r;
    conclude(c, &x, r, &l, res);
    settle(c, &x, l.network, res);
    if (res->status == AUTH_OK && start->want_ticket)
        ticket_issue(c->auth->tickets, start->protocol, str_span(&res->user), clock_ms(), &res->ticket);
    return 0;
}

static int serve_start(struct auth_caller *c)
{
    _cleanup_(auth_start_msg_done) struct auth_start start = { .initial = STR_INIT, .channel_binding = STR_INIT };
    struct auth_result res = { .status = AUTH_MALFORMED, .user = STR_INIT };

    int r = ipc_recv(c->ipc, &auth_start_shape, &start);
    if (r == 0)
        r = answer_start(c, &start, &res);
    if (r == 0) {
        ipc_send(c->ipc, &auth_result_shape, &res);
        r = ipc_flush(c->ipc);
    }
    auth_result_msg_done(&res);
    secret_free(&start.initial);
    return r;
}

/* Is he still a user? 1; 0 no, which is said; negative: unknown */
static int look_up(struct auth_caller *c, struct ticket_user *res, struct account *acc)
{
    int r = account_find(c->auth, str_span(&res->user), acc);

    if (r >= 0 && (r == 0 || account_is_closed(acc))) {
        log_info("session of %s refused: %s", str_cstr(&res->user), r ? "the account is closed (nologin)" : "unknown user");
        return 0;
    }
    return r;
}

/* Where the mail of a user is who has a good ticket */
static void fill_user(struct auth_caller *c, struct ticket_user *res)
{
    _cleanup_(location_done) struct location where = { 0 };
    _cleanup_(account_done) struct account acc = { .name = STR_INIT };
    _cleanup_(str_free) struct str err = STR_INIT;

    int r = look_up(c, res, &acc);
    if (r == 0) {
        res->status = AUTH_REFUSED;
        return;
    }
    if (r > 0)
        r = locate(c->auth->locator, str_span(&res->user), &where, &err);
    if (r <= 0) {
        log_warn("no mailbox for user %s: %s", str_cstr(&res->user),
                 err.len ? str_cstr(&err) : r < 0 ? strerror(-r) : "not in the mailbox tables");
        res->status = AUTH_TEMPORARY;
        return;
    }
    res->status = AUTH_OK;
    res->uid = where.uid;
    res->gid = where.gid;
    str_set(&res->home, span_of(where.home));
    str_set(&res->maildir, span_of(where.maildir));
    account_quota_rule(&acc, res->quota);
}

/* A pass says what a ticket has been worth before; an empty one is none. */
static bool redeem(struct auth *a, const struct ticket_redeem *m, struct str *user)
{
    if (m->pass.len > 0)
        return pass_redeem(a->pass_key, str_span(&m->pass), m->protocol, clock_ms(), user);
    return ticket_redeem(a->tickets, str_span(&m->ticket), m->protocol, clock_ms(), user);
}

static int serve_ticket(struct auth_caller *c)
{
    _cleanup_(ticket_redeem_msg_done) struct ticket_redeem request = { .pass = STR_INIT };
    _cleanup_(ticket_user_msg_done) struct ticket_user res = { .status = AUTH_REFUSED };

    int r = ipc_recv(c->ipc, &ticket_redeem_shape, &request);
    if (r < 0)
        return r;
    /* Fronts hold tickets and passes but may not ask what they are worth: only session processes may. */
    if (!daemon_is_superuser(c->sv, c->peer->uid))
        log_warn("refused: ticket of a mailbox session shown by uid %u", (unsigned)c->peer->uid);
    else if (redeem(c->auth, &request, &res.user))
        fill_user(c, &res);
    if (res.status == AUTH_OK)
        pass_issue(c->auth->pass_key, request.protocol, str_span(&res.user), clock_deadline_ms(PASS_LIFETIME_MS),
                   &res.pass);
    ipc_send(c->ipc, &ticket_user_shape, &res);
    return ipc_flush(c->ipc);
}

void auth_session(struct server *sv, struct stream *client, const struct peer *peer)
{
    static const struct {
        struct span type;
        int (*serve)(struct auth_caller *c);
    } requests[] = {
        { SPAN("auth_start"), serve_start },
        { SPAN("ticket_redeem"), serve_ticket },
    };
    struct auth_caller c = { sv, sv->state, ipc_new(client), peer };
    struct span type;
    int r = 0;

    while (r == 0 && ipc_wait_request(c.ipc, &type) == 0) {
        r = -EPROTO;
        for (size_t i = 0; i < ARRAY_LEN(requests); i++)
            if (span_eq(type, requests[i].type)) {
                r = requests[i].serve(&c);
                break;
            }
    }
    if (r == -EPROTO)
        log_warn("malformed request from uid %u", (unsigned)peer->uid);
    ipc_free(c.ipc);
}
