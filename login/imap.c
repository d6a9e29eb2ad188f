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
#include "login/id.h"
#include "sasl/offer.h"

enum { ID_PAIRS_MAX = 30 }; /* RFC 2971 section 3.3 */

struct imap_line {
    struct login *l;
    struct span tag;
    struct str copy;        /* the command's lines: later reads move the stream's buffer */
    struct span rest;       /* not yet parsed, within copy */
    size_t line_at;         /* where in copy its last line begins */
    bool refused;           /* what the client sends for it unasked is to be read away */
};

static const struct {
    const char *name;
    enum { EVERYWHERE, SIGNED_IN } where;
} capabilities[] = {
#define CAPABILITY(name, where) { name, where },
#include "imapd/capability.def"
#undef CAPABILITY
};

static bool is_hidden(const struct login *l, const char *capability)
{
    struct span list = span_of(l->sv->params->imap_discard_capabilities), name;

    while (span_word(&list, " ,\t\r\n", &name))
        if (span_eq_nocase_str(name, capability))
            return true;
    return false;
}

static void put_capabilities(struct login *l)
{
    stream_puts(l->client, "CAPABILITY");
    for (size_t i = 0; i < ARRAY_LEN(capabilities); i++)
        if (capabilities[i].where == EVERYWHERE && !is_hidden(l, capabilities[i].name))
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

static void refuse(struct imap_line *c, const char *text)
{
    answer(c, text);
    c->refused = true;
}

static void bad(struct imap_line *c, const char *text)
{
    stream_printf(c->l->client, SPAN_FMT " BAD %s\r\n", SPAN_ARG(c->tag), text);
    c->l->bad_commands++;
    c->refused = true;
}

/* A limit was passed, and what is under way could be taken for commands: the end. */
static void give_up(struct login *l, const char *what, int64_t limit)
{
    stream_printf(l->client, "* BYE %s longer than %lld bytes\r\n", what, (long long)limit);
    l->done = true;
}

static size_t line_limit(const struct login *l)
{
    return (size_t)l->sv->params->imap_login_line_limit;
}

static uint64_t literal_limit(const struct login *l)
{
    return (uint64_t)l->sv->params->imap_login_literal_limit;
}

/* ---- literals ---- */

/* Does the line end in "{n}" or "{n+}"? at: of the brace; n: UINT64_MAX if more than 64 bits */
struct announcement {
    size_t at;
    uint64_t n;
    bool wait;
};

static bool is_announced(struct span line, struct announcement *ret)
{
    ptrdiff_t open = span_ends_nocase(line, span_of("}")) ? span_rchr(line, '{') : -1;

    if (open < 0)
        return false;
    struct span size = span_from(line, (size_t)open + 1);

    size.len--;
    *ret = (struct announcement){ (size_t)open, UINT64_MAX, !span_ends_nocase(size, span_of("+")) };
    size.len -= !ret->wait;
    return span_u64(size, UINT64_MAX, &ret->n) != -EINVAL;
}

/* Read away what a refused command brings along. It may hold anything: mail, for one who has pipelined an APPEND. */
static int drop_literals(struct login *l, struct span line)
{
    struct announcement a;

    while (is_announced(line, &a) && !a.wait) {
        if (a.n > line_limit(l)) {
            give_up(l, "literal", (int64_t)line_limit(l));
            return 0;
        }
        _cleanup_(secret_free) struct str dropped = STR_INIT;
        str_reserve(&dropped, (size_t)a.n);
        int r = stream_read(l->client, dropped.data, (size_t)a.n);
        if (r == 0)
            r = stream_getline(l->client, line_limit(l), &line);
        if (r == -EMSGSIZE)
            line = stream_long_line_tail(l->client);
        else if (r < 0)
            return r;
    }
    return 0;
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

/* The line that goes on after a literal, as the new rest */
static int next_line(struct imap_line *c)
{
    struct span line;
    int r = stream_getline(c->l->client, line_limit(c->l) - c->copy.len, &line);

    if (r < 0)
        return r;
    size_t tag_at = (size_t)(c->tag.ptr - c->copy.data); /* it moves when it grows */
    c->line_at = c->copy.len;
    str_add(&c->copy, line);
    c->tag.ptr = c->copy.data + tag_at;
    c->rest = span_from(str_span(&c->copy), c->line_at);
    return 0;
}

/* A literal at the end of the line: read it, and the line that goes on after it. */
static int literal_argument(struct imap_line *c, struct str *ret)
{
    struct stream *st = c->l->client;
    struct announcement a;

    if (!is_announced(c->rest, &a) || a.at != 0 || a.n > literal_limit(c->l))
        return -EINVAL;
    if (a.wait)
        stream_puts(st, "+ go on\r\n");
    str_reserve(ret, (size_t)a.n);
    int r = stream_read(st, ret->data + ret->len, (size_t)a.n);
    if (r < 0)
        return r;
    str_advance(ret, (size_t)a.n);
    return next_line(c);
}

/* One astring (RFC 3501 section 9). 0, -EINVAL malformed, -EMSGSIZE the command has become too long, or the
 * stream's error. */
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

/* A malformed argument gets BAD. */
static int refuse_argument(struct imap_line *c, int r)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    if (r == -EINVAL) {
        str_addf(&text, "expected an atom, a string or a literal of at most %llu bytes",
                 (unsigned long long)literal_limit(c->l));
        bad(c, str_cstr(&text));
        return 0;
    }
    if (r == -EMSGSIZE) {
        give_up(c->l, "command", (int64_t)line_limit(c->l));
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

    int r = res->status == AUTH_OK ? login_hand_off(c->l, res, c->tag) : -EACCES;

    if (r == 0) {
        c->l->done = true;
        c->l->failures = 0;
    } else if (r == -EUSERS) {
        stream_printf(c->l->client, SPAN_FMT " NO [LIMIT] " LOGIN_LIMIT_TEXT "\r\n", SPAN_ARG(c->tag),
                      (long long)login_limit(c->l));
    } else {
        answer(c, answers[res->status]);
    }
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
    auth_result_msg_done(&res);
    return 0;
}

static int cmd_authenticate(struct imap_line *c)
{
    _cleanup_(str_free) struct str mechanism = STR_INIT;
    struct auth_result res;

    int r = argument(c, &mechanism);
    if (r < 0)
        return refuse_argument(c, r);
    if (login_mechanism(c->l, str_span(&mechanism), span_trim(c->rest), &res) < 0) {
        bad(c, "initial response is not Base64");
        return 0;
    }
    answer_result(c, &res);
    auth_result_msg_done(&res);
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

/* string SP nstring; 1, or 0: there is none. A missing value leaves *value empty. */
static int id_pair(struct imap_line *c, struct str *field, struct str *value)
{
    str_reset(field);
    str_reset(value);
    c->rest = span_skip_ws(c->rest);
    if (c->rest.len == 0 || c->rest.ptr[0] == ')')
        return 0;
    int r = argument(c, field);

    c->rest = span_skip_ws(c->rest);
    if (r == 0 && span_starts_nocase(c->rest, (struct span)SPAN("NIL")))
        c->rest = span_from(c->rest, 3);
    else if (r == 0)
        r = argument(c, value);
    return r < 0 ? r : 1;
}

/* id_params_list = "(" *(string SP nstring) ")" / nil. 1, or 0: it is none; negative: as argument(). */
static int id_list(struct imap_line *c)
{
    _cleanup_(str_free) struct str field = STR_INIT, value = STR_INIT;
    int r = 1;

    c->rest = span_trim(c->rest);
    if (span_eq_nocase_str(c->rest, "NIL"))
        return 1;
    if (!span_take(&c->rest, '('))
        return 0;
    for (size_t n = 0; n <= ID_PAIRS_MAX && (r = id_pair(c, &field, &value)) > 0; n++)
        login_id_field(c->l, str_span(&field), str_span(&value));
    return r < 0 ? r : r == 0 && span_eq_str(span_trim(c->rest), ")");
}

/* RFC 2971 */
static int cmd_id(struct imap_line *c)
{
    int r = id_list(c);

    if (r < 0)
        return refuse_argument(c, r);
    if (r == 0) {
        bad(c, "ID takes a list of at most 30 pairs, or NIL");
        return 0;
    }
    login_id_answer(c->l);
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

static bool tag_valid(struct span tag, size_t longest)
{
    for (size_t i = 0; i < tag.len; i++)
        if (tag.ptr[i] <= ' ' || tag.ptr[i] >= 127 || strchr("(){%*\"\\+", tag.ptr[i]))
            return false;
    return tag.len > 0 && tag.len <= longest;
}

static int run_named(struct imap_line *c, const struct command *cmd)
{
    if (!cmd) {
        bad(c, "unknown command before sign-in");
        return 0;
    }
    if (cmd->use == SIGNS_IN && !login_may_sign_in(c->l)) {
        refuse(c, "NO [PRIVACYREQUIRED] Plaintext authentication is not allowed without TLS.");
        return 0;
    }
    if (cmd->form == ALONE && span_trim(c->rest).len > 0) {
        bad(c, "no arguments are expected");
        return 0;
    }
    return cmd->run(c);
}

static int run_command(struct imap_line *c)
{
    size_t longest_tag = (size_t)c->l->sv->params->imap_tag_limit;
    struct span name;

    c->rest = str_span(&c->copy);
    c->tag = span_cut(&c->rest, ' ');
    name = span_cut(&c->rest, ' ');
    if (!tag_valid(c->tag, longest_tag)) {
        c->tag = span_of("*");
        _cleanup_(str_free) struct str text = STR_INIT;

        str_addf(&text, "expected a tag of at most %zu bytes and a command", longest_tag);
        bad(c, str_cstr(&text));
        return 0;
    }
    return run_named(c, command_find(name));
}

static int serve_line(struct login *l)
{
    struct imap_line c = { .l = l, .tag = SPAN("*"), .copy = STR_INIT };
    struct span line;
    int r = stream_getline(l->client, line_limit(l), &line);

    if (r == -EMSGSIZE) {
        _cleanup_(str_free) struct str text = STR_INIT;
        str_addf(&text, "command line longer than %zu bytes", line_limit(l));
        bad(&c, str_cstr(&text));
        return drop_literals(l, stream_long_line_tail(l->client));
    }
    if (r < 0)
        return r;
    str_add(&c.copy, line);
    r = run_command(&c);
    if (r == 0 && c.refused && !l->done)
        r = drop_literals(l, span_from(str_span(&c.copy), c.line_at));
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
        const char *why = login_patience_ends(l);

        if (why) {
            stream_printf(l->client, "* BYE %s\r\n", why);
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
