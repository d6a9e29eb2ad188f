/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expand.c - ${name} in the arguments of a command
 *
 * Values come from strangers. Each becomes part of one argument, never of two, and there is no shell; a command
 * whose options could be forged by an address that begins with "-" takes it behind "--".
 *
 * Runs in: pipe.
 */
#include <errno.h>

#include "base/chars.h"
#include "base/mem.h"
#include "mail/address.h"
#include "pipe/pipe.h"

enum value {
    V_CLIENT_ADDRESS, V_CLIENT_HELO, V_CLIENT_HOSTNAME, V_CLIENT_PORT, V_CLIENT_PROTOCOL, V_SASL_METHOD,
    V_SASL_SENDER, V_SASL_USERNAME, V_ENVID, V_NEXTHOP, V_QUEUE_ID, V_SENDER, V_SIZE, V_DOMAIN, V_EXTENSION,
    V_MAILBOX, V_ORIGINAL_RECIPIENT, V_RECIPIENT, V_USER,
};

static const struct name_row {
    const char *name;
    enum value value;
    bool envelope, recipient;   /* stands in the queue file only; differs between recipients */
} names[] = {
    { "client_address", V_CLIENT_ADDRESS, true, false },
    { "client_helo", V_CLIENT_HELO, true, false },
    { "client_hostname", V_CLIENT_HOSTNAME, true, false },
    { "client_port", V_CLIENT_PORT, true, false },
    { "client_protocol", V_CLIENT_PROTOCOL, true, false },
    { "sasl_method", V_SASL_METHOD, true, false },
    { "sasl_sender", V_SASL_SENDER, true, false },
    { "sasl_username", V_SASL_USERNAME, true, false },
    { "envid", V_ENVID, false, false },
    { "nexthop", V_NEXTHOP, false, false },
    { "queue_id", V_QUEUE_ID, false, false },
    { "sender", V_SENDER, false, false },
    { "size", V_SIZE, false, false },
    { "domain", V_DOMAIN, false, true },
    { "extension", V_EXTENSION, false, true },
    { "mailbox", V_MAILBOX, false, true },
    { "original_recipient", V_ORIGINAL_RECIPIENT, false, true },
    { "recipient", V_RECIPIENT, false, true },
    { "user", V_USER, false, true },
};

static const struct name_row *find(struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (span_eq_str(name, names[i].name))
            return &names[i];
    return NULL;
}

/* The bytes before the next "$name", "${name}" or "$(name)", then its name. False: no more; *ret_text is the rest. */
static bool next_name(struct span *in, struct span *ret_text, struct span *ret_name)
{
    ptrdiff_t dollar = span_chr(*in, '$');

    *ret_name = SPAN_NULL;
    *ret_text = span_first(*in, dollar < 0 ? in->len : (size_t)dollar);
    if (dollar < 0)
        return false;
    *in = span_from(*in, (size_t)dollar + 1);
    char close = span_take(in, '{') ? '}' : span_take(in, '(') ? ')' : '\0';
    size_t n = 0;

    while (n < in->len && (char_is(in->ptr[n], CHAR_ALNUM) || in->ptr[n] == '_'))
        n++;
    *ret_name = span_first(*in, n);
    *in = span_from(*in, n);
    if (close)
        span_take(in, close);
    return true;
}

int expand_check(const char *const *argv, struct str *err)
{
    for (; *argv; argv++) {
        struct span in = span_of(*argv), text, name;

        while (next_name(&in, &text, &name)) {
            if (name.len == 0 && span_take(&in, '$'))
                continue;
            if (!find(name)) {
                str_addf(err, "argv=: unknown macro name in \"%s\"", *argv);
                return -EINVAL;
            }
        }
    }
    return 0;
}

static bool refers(const char *word, bool to_recipient)
{
    struct span in = span_of(word), text, name;

    while (next_name(&in, &text, &name)) {
        const struct name_row *row = find(name);

        if (!row)
            span_take(&in, '$');
        else if (to_recipient ? row->recipient : row->envelope)
            return true;
    }
    return false;
}

bool expand_needs_envelope(const char *const *argv)
{
    for (; *argv; argv++)
        if (refers(*argv, false))
            return true;
    return false;
}

/* ---- values ---- */

static void add_folded(struct str *ret, struct span text, bool fold)
{
    if (fold)
        str_add_lower(ret, text);
    else
        str_add(ret, text);
}

/* An address as an argument: folded and quoted as flags= says. */
static void add_address(struct str *ret, struct span address, unsigned flags)
{
    _cleanup_(str_free) struct str quoted = STR_INIT;
    struct span local;

    if (flags & PIPE_QUOTE) {
        address_quote(&quoted, address);
        address = str_span(&quoted);
    }
    local = address_local(address);
    add_folded(ret, local, flags & PIPE_FOLD_USER);
    add_folded(ret, span_from(address, local.len), flags & PIPE_FOLD_DOMAIN);
}

static void add_part(struct str *ret, const struct pipe_request *q, struct span address, enum value part)
{
    struct span local = address_local(address), user, extension;
    unsigned flags = q->config->flags;

    address_split_extension(local, q->sv->params->recipient_delimiter, &user, &extension);
    if (part == V_DOMAIN)
        add_folded(ret, address_domain(address), flags & PIPE_FOLD_DOMAIN);
    else
        add_folded(ret, part == V_MAILBOX ? local : part == V_USER ? user : extension, flags & PIPE_FOLD_USER);
}

static void add_sender(struct str *ret, const struct pipe_request *q)
{
    struct span sender = str_span(&q->d.sender);

    if (sender.len == 0)
        str_add_str(ret, q->config->null_sender);
    else
        add_address(ret, sender, q->config->flags & PIPE_QUOTE);
}

static const char *envelope_text(const struct queue_envelope *e, enum value value)
{
    switch ((unsigned)value) {
    case V_CLIENT_ADDRESS: return e->client_addr;
    case V_CLIENT_HELO: return e->helo;
    case V_CLIENT_HOSTNAME: return e->client_name;
    case V_CLIENT_PROTOCOL: return e->proto;
    case V_SASL_METHOD: return e->sasl_method;
    case V_SASL_SENDER: return e->sasl_sender;
    case V_SASL_USERNAME: return e->sasl_username;
    }
    return NULL;
}

static void add_value(struct str *ret, const struct pipe_request *q, const struct deliver_rcpt *r, enum value value)
{
    const struct str *orig = r->orig.len > 0 ? &r->orig : &r->address;

    switch ((unsigned)value) {
    case V_CLIENT_PORT: str_add_u64(ret, q->e.client_port); break;
    case V_ENVID: str_add(ret, str_span(&q->d.dsn_envid)); break;
    case V_NEXTHOP: str_add(ret, str_span(&q->d.nexthop)); break;
    case V_QUEUE_ID: str_add_str(ret, q->d.queue_id); break;
    case V_SENDER: add_sender(ret, q); break;
    case V_SIZE: str_add_u64(ret, q->d.content_size); break;
    case V_RECIPIENT: add_address(ret, str_span(&r->address), q->config->flags); break;
    case V_ORIGINAL_RECIPIENT: add_address(ret, str_span(orig), q->config->flags); break;
    case V_DOMAIN: case V_EXTENSION: case V_MAILBOX: case V_USER:
        add_part(ret, q, str_span(&r->address), value);
        break;
    default: str_add_str(ret, envelope_text(&q->e, value) ? envelope_text(&q->e, value) : ""); break;
    }
}

static char *expand_word(const struct pipe_request *q, const char *word, const struct deliver_rcpt *r)
{
    struct str s = STR_INIT;
    struct span in = span_of(word), text, name;

    while (next_name(&in, &text, &name)) {
        const struct name_row *row = find(name);

        str_add(&s, text);
        if (row)
            add_value(&s, q, r, row->value);
        else if (span_take(&in, '$'))
            str_add_char(&s, '$');
    }
    str_add(&s, text);
    return str_take(&s);
}

char **expand_argv(const struct pipe_request *q)
{
    char **argv = NULL;
    size_t len = 0, cap = 0;

    for (const char *const *word = q->config->argv; *word; word++) {
        uint32_t times = refers(*word, true) ? q->d.n_rcpt : 1;

        for (uint32_t i = 0; i < times; i++) {
            MEM_GROW(argv, len, cap);
            argv[len++] = expand_word(q, *word, &q->rcpts[i]);
        }
    }
    MEM_GROW(argv, len, cap);
    argv[len] = NULL;
    return argv;
}

void argv_free(char ***argv)
{
    for (char **a = *argv; a && *a; a++)
        free(*a);
    free(*argv);
}
