/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pop3.c - the AUTHORIZATION state of POP3 (RFC 1939 section 4, RFC 2449, RFC 2595, RFC 5034, RFC 6856)
 *
 * Runs in: pop3d-login; the client is hostile.
 */
#include "login/pop3.h"

#include <errno.h>

#include "base/mem.h"
#include "base/secret.h"
#include "mail/pop3_lang.h"
#include "sasl/offer.h"

struct pop3 {
    struct login *l;
    struct str user;        /* of USER */
};

static void answer(struct pop3 *c, const char *text)
{
    stream_printf(c->l->client, "%s\r\n", text);
}

static void bad(struct pop3 *c, const char *text)
{
    stream_printf(c->l->client, "-ERR %s\r\n", text);
    c->l->bad_commands++;
}

/* RFC 3206: [AUTH] is the user's fault, [SYS/TEMP] ours */
static void answer_result(struct pop3 *c, const struct auth_result *res)
{
    static const char *const answers[] = {
        [AUTH_OK] = "-ERR [SYS/TEMP] Signed in, but no mailbox session can be had now; try again later",
        [AUTH_REFUSED] = "-ERR [AUTH] Authentication failed.",
        [AUTH_TEMPORARY] = "-ERR [SYS/TEMP] Temporary authentication failure.",
        [AUTH_MALFORMED] = "-ERR Authentication exchange malformed or cancelled.",
        [AUTH_NO_MECHANISM] = "-ERR Unsupported authentication mechanism.",
    };

    int r = res->status == AUTH_OK ? login_hand_off(c->l, res, SPAN_NULL) : -EACCES;

    if (r == 0) {
        c->l->done = true;
        c->l->failures = 0;
    } else if (r == -EUSERS) {
        stream_printf(c->l->client, "-ERR [IN-USE] " LOGIN_LIMIT_TEXT "\r\n", (long long)login_limit(c->l));
    } else {
        answer(c, answers[res->status]);
    }
}

static int cmd_user(struct pop3 *c, struct span args)
{
    if (args.len == 0) {
        bad(c, "expected USER name");
        return 0;
    }
    str_set(&c->user, args);
    answer(c, "+OK");
    return 0;
}

static int cmd_pass(struct pop3 *c, struct span args)
{
    struct auth_result res;

    if (c->user.len == 0) {
        bad(c, "expected USER first");
        return 0;
    }
    login_password(c->l, str_span(&c->user), args, &res);
    str_reset(&c->user);
    answer_result(c, &res);
    auth_result_msg_done(&res);
    return 0;
}

/* What clients did before CAPA had a line for it */
static void list_mechanisms(struct pop3 *c)
{
    _cleanup_(str_free) struct str offer = STR_INIT;

    sasl_offer(c->l->sv->params->auth_mechanisms, c->l->tls, "\r\n", &offer);
    stream_printf(c->l->client, "+OK%s\r\n.\r\n", str_cstr(&offer));
}

static int cmd_auth(struct pop3 *c, struct span args)
{
    _cleanup_(str_free) struct str mechanism = STR_INIT;
    struct auth_result res;

    str_add(&mechanism, span_cut(&args, ' '));
    if (mechanism.len == 0) {
        list_mechanisms(c);
        return 0;
    }
    if (login_mechanism(c->l, str_span(&mechanism), span_trim(args), &res) < 0) {
        bad(c, "initial response is not Base64");
        return 0;
    }
    answer_result(c, &res);
    auth_result_msg_done(&res);
    return 0;
}

static int cmd_capa(struct pop3 *c, struct span args)
{
    struct login *l = c->l;

    (void)args;
    answer(c, "+OK");
    stream_puts(l->client, "TOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\nAUTH-RESP-CODE\r\nUTF8 USER\r\nLANG\r\n");
    if (l->server->tls && !l->tls)
        stream_puts(l->client, "STLS\r\n");
    if (login_may_sign_in(l)) {
        _cleanup_(str_free) struct str offer = STR_INIT;
        sasl_offer(l->sv->params->auth_mechanisms, l->tls, " ", &offer);
        stream_printf(l->client, "USER\r\nSASL%s\r\n", str_cstr(&offer));
    }
    answer(c, ".");
    return 0;
}

static int cmd_stls(struct pop3 *c, struct span args)
{
    (void)args;
    if (c->l->tls || !c->l->server->tls) {
        bad(c, c->l->tls ? "TLS is active already" : "TLS is not offered");
        return 0;
    }
    answer(c, "+OK Begin TLS negotiation now.");
    int r = stream_flush(c->l->client);
    str_reset(&c->user);
    return r < 0 ? r : login_start_tls(c->l);
}

static int cmd_quit(struct pop3 *c, struct span args)
{
    (void)args;
    answer(c, "+OK Logging out");
    c->l->done = true;
    return 0;
}

/* RFC 6856 section 2.1: messages go out as they are in any case, and names are UTF-8. */
static int cmd_utf8(struct pop3 *c, struct span args)
{
    (void)args;
    answer(c, "+OK UTF8 enabled");
    return 0;
}

static int cmd_lang(struct pop3 *c, struct span args)
{
    stream_puts(c->l->client, pop3_lang_answer(span_trim(args)));
    return 0;
}

static int cmd_noop(struct pop3 *c, struct span args)
{
    (void)args;
    answer(c, "+OK");
    return 0;
}

static const struct command {
    struct span name;
    bool signs_in;
    int (*run)(struct pop3 *c, struct span args);
} commands[] = {
    { SPAN("CAPA"), false, cmd_capa }, { SPAN("STLS"), false, cmd_stls },
    { SPAN("QUIT"), false, cmd_quit }, { SPAN("NOOP"), false, cmd_noop },
    { SPAN("USER"), true, cmd_user },  { SPAN("PASS"), true, cmd_pass },
    { SPAN("AUTH"), true, cmd_auth },  { SPAN("UTF8"), false, cmd_utf8 },
    { SPAN("LANG"), false, cmd_lang },
};

static int serve_line(struct pop3 *c)
{
    _cleanup_(secret_free) struct str copy = STR_INIT;
    struct span line;
    size_t limit = (size_t)c->l->sv->params->imap_login_line_limit;
    int r = stream_getline(c->l->client, limit, &line);

    if (r == -EMSGSIZE) {
        str_addf(&copy, "command line longer than %zu bytes", limit);
        bad(c, str_cstr(&copy));
        return 0;
    }
    if (r < 0)
        return r;
    str_add(&copy, line);
    struct span args = str_span(&copy), name = span_cut(&args, ' ');
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (!span_eq_nocase(name, commands[i].name))
            continue;
        if (commands[i].signs_in && !login_may_sign_in(c->l)) {
            bad(c, "[AUTH] Plaintext authentication is not allowed without TLS.");
            return 0;
        }
        return commands[i].run(c, args);
    }
    bad(c, "unknown command before sign-in");
    return 0;
}

void pop3_talk(struct login *l)
{
    struct pop3 c = { .l = l, .user = STR_INIT };
    int r = 0;

    answer(&c, "+OK Postern ready.");
    while (r == 0 && !l->done) {
        const char *why = login_patience_ends(l);

        if (why) {
            stream_printf(l->client, "-ERR %s\r\n", why);
            break;
        }
        r = serve_line(&c);
    }
    str_free(&c.user);
    if (!l->client)
        return;     /* gone to its session */
    if (r == -ETIMEDOUT)
        answer(&c, "-ERR Disconnected for inactivity.");
    stream_flush(l->client);
    if (!l->done || l->failures > 0)
        login_log_failure(l, r == -ETIMEDOUT ? ": Inactivity" : "");
}
