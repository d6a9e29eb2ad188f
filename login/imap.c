/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imap.c - the not-authenticated state of IMAP (RFC 3501 section 6.2)
 *
 * Only what a client needs to sign in is understood here; the grammar of
 * mailboxes and messages is the session's. Arguments are strings, atoms and literals
 * (RFC 7888) within limits.
 *
 * Runs in: imapd-login; the client is hostile.
 */
#include "login/imap.h"

#include <errno.h>

#include "base/mem.h"
#include "base/secret.h"
#include "sasl/offer.h"

enum { ARGUMENT_MAX = 4096, COMMAND_MAX = 65536, TAG_MAX = 200, BAD_MAX = 20, FAILURES_MAX = 20 };

struct imap_line {
    struct login *l;
    struct span tag;
    struct str copy;        /* the command line: later reads move the stream's buffer */
    struct span rest;       /* not yet parsed, within copy */
};

static const struct {
    const char *name;
    enum { EVERYWHERE, SIGNED_IN } where;
} capabilities[] = {
#define CAPABILITY(name, where) { name, where },
#include "imapd/capability.def"
#undef CAPABILITY
};

static void put_capabilities(struct login *l)
{
    stream_puts(l->client, "CAPABILITY");
    for (size_t i = 0; i < ARRAY_LEN(capabilities); i++)
        if (capabilities[i].where == EVERYWHERE)
            stream_printf(l->client, " %s", capabilities[i].name);
    if (l->server->tls && !l->tls)
        stream_puts(l->client, " STARTTLS");
    if (!login_may_sign_in(l)) {
        stream_puts(l->client, " LOGINDISABLED");
        return;
    }
    _cleanup_(str_free) struct str offer = STR_INIT;
    sasl_offer(l->sv->params->auth_mechanisms, l->tls, " AUTH=", &offer);
    stream_puts(l->client, str_cstr(&offer));
}

static void answer(struct imap_line *c, const char *text)
{
    stream_printf(c->l->client, SPAN_FMT " %s\r\n", SPAN_ARG(c->tag), text);
}

static void bad(struct imap_line *c, const char *text)
{
    stream_printf(c->l->client, SPAN_FMT " BAD %s\r\n", SPAN_ARG(c->tag), text);
    c->l->bad_commands++;
}

/* ---- arguments ---- */

static int quoted_argument(struct imap_line *c, struct str *ret)
{
    struct span s = span_from(c->rest, 1);

    while (s.len > 0 && s.ptr[0] != '"') {
        if (s.ptr[0] == '\\') {
            s = span_from(s, 1);
            if (s.len == 0 || (s.ptr[0] != '"' && s.ptr[0] != '\\'))
                return -EINVAL;
        }
        str_add_char(ret, s.ptr[0]);
        s = span_from(s, 1);
    }
    if (s.len == 0)
        return -EINVAL;
    c->rest = span_from(s, 1);
    return 0;
}

/* "{n}" or "{n+}" at the end of the line: read n bytes and the line that goes on after them. */
static int literal_argument(struct imap_line *c, struct str *ret)
{
    struct stream *st = c->l->client;
    struct span size = span_from(c->rest, 1), line;
    bool wait = true;
    uint32_t n;

    if (size.len == 0 || size.ptr[size.len - 1] != '}')
        return -EINVAL;
    size.len--;
    if (size.len > 0 && size.ptr[size.len - 1] == '+') {
        size.len--;
        wait = false;
    }
    if (span_u32(size, ARGUMENT_MAX, &n) < 0)
        return wait ? -EINVAL : -EMSGSIZE;
    if (wait)
        stream_puts(st, "+ go on\r\n");
    str_reserve(ret, n);
    int r = stream_read(st, ret->data + ret->len, n);
    if (r < 0)
        return r;
    str_advance(ret, n);
    r = stream_getline(st, LOGIN_LINE_MAX, &line);
    if (r < 0)
        return r;
    if (c->copy.len + line.len > COMMAND_MAX)
        return -EMSGSIZE;
    size_t tag_at = (size_t)(c->tag.ptr - c->copy.data), at = c->copy.len; /* it moves when it grows */
    str_add(&c->copy, line);
    c->tag.ptr = c->copy.data + tag_at;
    c->rest = span_from(str_span(&c->copy), at);
    return 0;
}

/* One astring (RFC 3501 section 9). 0, -EINVAL malformed, -EMSGSIZE an unwanted literal is on its way or the
 * command has become too long, or the stream's error. */
static int argument(struct imap_line *c, struct str *ret)
{
    c->rest = span_skip_ws(c->rest);
    if (c->rest.len == 0)
        return -EINVAL;
    if (c->rest.ptr[0] == '"')
        return quoted_argument(c, ret);
    if (c->rest.ptr[0] == '{')
        return literal_argument(c, ret);
    struct span word = span_cut(&c->rest, ' ');
    str_add(ret, word);
    return word.len > 0 ? 0 : -EINVAL;
}

/* A malformed argument gets BAD; after an unwanted literal the connection is out of step and must end. */
static int refuse_argument(struct imap_line *c, int r)
{
    if (r == -EINVAL) {
        bad(c, "expected an atom, a string or a literal of at most 4096 bytes");
        return 0;
    }
    if (r == -EMSGSIZE) {
        stream_puts(c->l->client, "* BYE literal longer than 4096 bytes, or command longer than 65536\r\n");
        c->l->done = true;
        return 0;
    }
    return r;
}

/* ---- signing in ---- */

static void answer_result(struct imap_line *c, const struct auth_result *res)
{
    static const char *const answers[] = {
        [AUTH_OK] = "NO [UNAVAILABLE] Signed in, but no mailbox session can be had now; try again later",
        [AUTH_REFUSED] = "NO [AUTHENTICATIONFAILED] Authentication failed.",
        [AUTH_TEMPORARY] = "NO [UNAVAILABLE] Temporary authentication failure.",
        [AUTH_MALFORMED] = "BAD Authentication exchange malformed or cancelled.",
        [AUTH_NO_MECHANISM] = "NO Unsupported authentication mechanism.",
    };

    if (res->status == AUTH_OK && login_hand_off(c->l, res->ticket, c->tag) == 0) {
        c->l->done = true;
        c->l->failures = 0;
        return;
    }
    answer(c, answers[res->status]);
}

static int cmd_login(struct imap_line *c)
{
    _cleanup_(str_free) struct str user = STR_INIT;
    _cleanup_(secret_free) struct str password = STR_INIT;
    struct auth_result res;

    int r = argument(c, &user);
    if (r == 0)
        r = argument(c, &password);
    if (r == 0 && span_trim(c->rest).len > 0)
        r = -EINVAL;
    if (r < 0)
        return refuse_argument(c, r);
    login_password(c->l, str_span(&user), str_span(&password), &res);
    answer_result(c, &res);
    str_free(&res.user);
    return 0;
}

static int cmd_authenticate(struct imap_line *c)
{
    _cleanup_(str_free) struct str mechanism = STR_INIT;
    _cleanup_(secret_free) struct str initial = STR_INIT;
    struct auth_result res;

    int r = argument(c, &mechanism);
    if (r < 0)
        return refuse_argument(c, r);
    struct span given = span_trim(c->rest);
    bool has_initial = given.len > 0;
    if (has_initial && sasl_initial_parse(given, &initial) < 0) {
        bad(c, "initial response is not Base64");
        return 0;
    }
    login_mechanism(c->l, str_span(&mechanism), has_initial ? &initial : NULL, &res);
    answer_result(c, &res);
    str_free(&res.user);
    return 0;
}

/* ---- the rest ---- */

static int cmd_capability(struct imap_line *c)
{
    stream_puts(c->l->client, "* ");
    put_capabilities(c->l);
    stream_puts(c->l->client, "\r\n");
    answer(c, "OK Capability completed.");
    return 0;
}

static int cmd_noop(struct imap_line *c)
{
    answer(c, "OK NOOP completed.");
    return 0;
}

static int cmd_logout(struct imap_line *c)
{
    stream_puts(c->l->client, "* BYE Logging out\r\n");
    answer(c, "OK Logout completed.");
    c->l->done = true;
    return 0;
}

/* RFC 2971: the client's pairs are not needed before sign-in; literals in them are. */
static int cmd_id(struct imap_line *c)
{
    int r = 0;

    while (r == 0 && span_ends_nocase(c->rest, span_of("}")) && span_rchr(c->rest, '{') >= 0) {
        _cleanup_(str_free) struct str skipped = STR_INIT;
        c->rest = span_from(c->rest, (size_t)span_rchr(c->rest, '{'));
        r = literal_argument(c, &skipped);
    }
    if (r < 0)
        return refuse_argument(c, r);
    stream_puts(c->l->client, "* ID (\"name\" \"Postern\")\r\n");
    answer(c, "OK ID completed.");
    return 0;
}

static int cmd_starttls(struct imap_line *c)
{
    if (c->l->tls || !c->l->server->tls) {
        bad(c, c->l->tls ? "TLS is active already" : "TLS is not offered");
        return 0;
    }
    answer(c, "OK Begin TLS negotiation now.");
    int r = stream_flush(c->l->client);
    return r < 0 ? r : login_start_tls(c->l);
}

static const struct command {
    struct span name;
    enum { ALONE, WITH_ARGUMENTS } form;
    enum { ANYBODY, SIGNS_IN } use;
    int (*run)(struct imap_line *c);
} commands[] = {
    { SPAN("CAPABILITY"),   ALONE,          ANYBODY,  cmd_capability },
    { SPAN("NOOP"),         ALONE,          ANYBODY,  cmd_noop },
    { SPAN("LOGOUT"),       ALONE,          ANYBODY,  cmd_logout },
    { SPAN("ID"),           WITH_ARGUMENTS, ANYBODY,  cmd_id },
    { SPAN("STARTTLS"),     ALONE,          ANYBODY,  cmd_starttls },
    { SPAN("LOGIN"),        WITH_ARGUMENTS, SIGNS_IN, cmd_login },
    { SPAN("AUTHENTICATE"), WITH_ARGUMENTS, SIGNS_IN, cmd_authenticate },
};

static const struct command *command_find(struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (span_eq_nocase(name, commands[i].name))
            return &commands[i];
    return NULL;
}

static bool tag_valid(struct span tag)
{
    for (size_t i = 0; i < tag.len; i++)
        if (tag.ptr[i] <= ' ' || tag.ptr[i] >= 127 || strchr("(){%*\"\\+", tag.ptr[i]))
            return false;
    return tag.len > 0 && tag.len <= TAG_MAX;
}

static int run_named(struct imap_line *c, const struct command *cmd)
{
    if (!cmd) {
        bad(c, "unknown command before sign-in");
        return 0;
    }
    if (cmd->use == SIGNS_IN && !login_may_sign_in(c->l)) {
        answer(c, "NO [PRIVACYREQUIRED] Plaintext authentication is not allowed without TLS.");
        return 0;
    }
    if (cmd->form == ALONE && span_trim(c->rest).len > 0) {
        bad(c, "no arguments are expected");
        return 0;
    }
    return cmd->run(c);
}

/* What was refused may go on after "{n+}", which does not wait: it belongs to that command (RFC 7888 section 4). */
static int skip_rest(struct imap_line *c)
{
    int r = 0;

    while (r == 0 && !c->l->done && span_ends_nocase(c->rest, span_of("+}")) && span_rchr(c->rest, '{') >= 0) {
        _cleanup_(str_free) struct str skipped = STR_INIT;
        c->rest = span_from(c->rest, (size_t)span_rchr(c->rest, '{'));
        r = literal_argument(c, &skipped);
    }
    if (r == -EINVAL)
        return 0;
    return r == -EMSGSIZE ? refuse_argument(c, r) : r;
}

static int run_command(struct imap_line *c)
{
    struct span name;

    c->rest = str_span(&c->copy);
    c->tag = span_cut(&c->rest, ' ');
    name = span_cut(&c->rest, ' ');
    if (!tag_valid(c->tag)) {
        c->tag = span_of("*");
        bad(c, "expected a tag and a command");
        return 0;
    }
    int r = run_named(c, command_find(name));
    return r < 0 ? r : skip_rest(c);
}

static int serve_line(struct login *l)
{
    struct imap_line c = { .l = l, .tag = SPAN("*"), .copy = STR_INIT };
    struct span line;
    int r = stream_getline(l->client, LOGIN_LINE_MAX, &line);

    if (r == -EMSGSIZE) {
        bad(&c, "command line longer than 16384 bytes");
        return 0;
    }
    if (r < 0)
        return r;
    str_add(&c.copy, line);
    r = run_command(&c);
    secret_free(&c.copy);
    return r;
}

void imap_talk(struct login *l)
{
    int r = 0;

    stream_puts(l->client, "* OK [");
    put_capabilities(l);
    stream_puts(l->client, "] Postern ready.\r\n");
    while (r == 0 && !l->done) {
        if (l->bad_commands >= BAD_MAX || l->failures >= FAILURES_MAX) {
            stream_puts(l->client, "* BYE Too many invalid commands.\r\n");
            break;
        }
        r = serve_line(l);
    }
    if (!l->client)
        return;     /* gone to its session */
    if (r == -ETIMEDOUT)
        stream_puts(l->client, "* BYE Disconnected for inactivity.\r\n");
    stream_flush(l->client);
    if (!l->done || l->failures > 0)
        login_log_failure(l, r == -ETIMEDOUT ? ": Inactivity" : "");
}
